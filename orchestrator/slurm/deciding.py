"""Decides what the runs of a suite need on a cluster, whose nodes cannot be looked at from here.

The node that makes a run decides again, as for a run of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.errors import BenchdockError, RequestError
from orchestrator.request import Device, Request
from orchestrator.run import checks
from orchestrator.slurm.programs import Node, Slurm
from orchestrator.slurm.site import Site
from orchestrator.suites.cells import Cell
from orchestrator.suites.deciding import counts_refused
from orchestrator.suites.decisions import Decided
from orchestrator.units import counted


@dataclass(frozen=True, kw_only=True)
class Usable:
    """The nodes that a session may use, the other ones of their partition, and where they are."""

    nodes: tuple[Node, ...]
    excluded: frozenset[str]
    where: str

    @property
    def names(self) -> frozenset[str]:
        """Return the names of those that may be used."""
        return frozenset(node.name for node in self.nodes)

    def most(self, kind: str) -> int:
        """Return how many GPUs of a type a run can have on one of the nodes."""
        return max((node.most(kind) for node in self.nodes), default=0)


def usable(slurm: Slurm, site: Site) -> Usable:
    """Return the nodes of the partition. Raises RequestError if there is no such node."""
    every = slurm.nodes()
    partitions = sorted({node.partition for node in every})
    wanted = site.partition or next((one.partition for one in every if one.is_default), "")
    if wanted and wanted not in partitions:
        raise RequestError(
            f"this cluster has no partition {wanted!r}",
            hint=f"use one of {', '.join(partitions)}",
        )
    there = [node for node in every if node.partition == wanted or not wanted]
    if not site.nodes:
        where = f"partition {wanted}" if wanted else "this cluster"
        return Usable(nodes=tuple(there), excluded=frozenset(), where=where)
    names = slurm.expand(site.nodes)
    known = {node.name for node in there}
    if missing := [name for name in names if name not in known]:
        raise RequestError(
            f"partition {wanted} has no node {missing[0]}", hint="`sinfo --Node` lists them"
        )
    return Usable(
        nodes=tuple(node for node in there if node.name in names),
        excluded=frozenset(known - set(names)),
        where=f"the nodes {site.nodes}",
    )


class NodeDecider:
    """Decides by what Slurm says of its nodes: how many GPUs they have."""

    def __init__(self, usable: Usable, kind: str = "") -> None:
        self._most = usable.most(kind)
        self._where = usable.where

    def decide(self, request: Request) -> Decided:
        """Return what a run needs; what is refused is not raised."""
        try:
            device, count = self._devices(request)
            checks.framework_for(request, device, elsewhere=True)
        except BenchdockError as error:
            return Decided(refusal=error.what, hint=error.hint)
        return Decided(device=device, devices=count)

    def _devices(self, request: Request) -> tuple[Device, int]:
        if request.is_for_cpu:
            return "cpu", request.ranks or 1
        if request.leaves_device_open:
            on_gpu = self._most and checks.is_able(request, "gpu")
            return ("gpu", 1) if on_gpu else ("cpu", 1)
        count = request.devices or 1
        if request.gpus == "all":
            count = self._most
        elif isinstance(request.gpus, tuple):
            _refuse_names(request.gpus)
            count = len(request.gpus)
        if not self._most or count > self._most:
            raise RequestError(
                f"no node of {self._where} has {counted(max(1, count), 'GPU')}",
                hint=f"the largest has {self._most}; see `sinfo --Node --format='%N %G'`",
            )
        return "gpu", count

    def counts(self, framework: str, device: Device, steps: int | None, warmup: int | None) -> str:
        """Return why a framework refuses these numbers of steps, "" if it does not."""
        return counts_refused(framework, device, steps, warmup)

    def claimed(self, cell: Cell) -> tuple[Request | None, Decided]:
        """Refuse a claim: which of its conditions a node meets is not known here."""
        return None, Decided(
            refusal=f"the conditions of claim {cell.claim} cannot be checked on Slurm",
            hint="run `benchdock reproduce` on a node",
        )


def _refuse_names(gpus: Iterable[object]) -> None:
    """Refuse GPUs that are named by UUID: Slurm chooses them. Raises RequestError."""
    for gpu in gpus:
        if not isinstance(gpu, int):
            raise RequestError(
                f"Slurm chooses the GPUs, so {gpu} cannot be named", hint="use devices: N"
            )
