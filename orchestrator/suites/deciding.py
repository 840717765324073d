"""Decides the requests of a suite: the only module of suites that knows how that is done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from orchestrator.errors import BenchdockError, RequestError
from orchestrator.frameworks import catalogue, record
from orchestrator.images import image_table, store
from orchestrator.request import Device, Request
from orchestrator.run.decision import Decision, decide
from orchestrator.run.facts import DecisionFacts, OtherMachine, ThisMachine
from orchestrator.suites.cells import Cell
from orchestrator.suites.decisions import Decided, Need
from orchestrator.suites.history import History
from orchestrator.units import parse_size

if TYPE_CHECKING:
    from orchestrator.images.image_table import Image
    from orchestrator.machine.description import Machine
    from orchestrator.machine.gpu_facts import GpuReport
    from orchestrator.published.collection import Claim
    from orchestrator.reproduction.setup import Setup
    from orchestrator.runtimes.docker.client import Engine


class MachineDecider:
    """Decides for this machine, which is looked at once, or for one that is described.

    Relative paths in the settings of a claim start from `folder`.
    """

    def __init__(self, machine: Machine | None = None, *, folder: Path | None = None) -> None:
        self._facts: DecisionFacts = OtherMachine(machine) if machine else ThisMachine()
        self._folder = folder or Path()
        self._needs: dict[str, Need] = {}
        self._history = History()

    def decision(self, request: Request) -> Decision:
        """Return the decision that a run starts from. Raises BenchdockError."""
        return decide(request, self._facts)

    @property
    def gpus(self) -> GpuReport:
        """Return the GPUs of the machine."""
        return self._facts.gpu

    def decide(self, request: Request) -> Decided:
        """Return what would run; what is refused is not raised."""
        try:
            decision = self.decision(request).accepted()
        except BenchdockError as error:
            return Decided(refusal=error.what, hint=error.hint)
        return Decided(
            device=decision.target.device,
            devices=decision.target.count,
            gpus=decision.target.gpus,
            need=self._need(decision),
            seconds=self._history.seconds(decision),
            seconds_of=self._history.by_counts(decision),
            warnings=decision.warnings(),
        )

    def _need(self, decision: Decision) -> Need | None:
        if decision.engine is None:
            return None
        image = decision.image
        named = decision.request.image or (image.id if image else "")
        if named not in self._needs:
            table = image_table.load()
            known = image or table.image_of_tag(named)
            name = store.name_of(known, table) if known else named
            engine = None if decision.elsewhere else cast("Engine", decision.engine)
            self._needs[named] = _looked_up(known, name, engine)
        return self._needs[named]

    def counts(self, framework: str, device: Device, steps: int | None, warmup: int | None) -> str:
        """Return why a framework refuses these numbers of steps, "" if it does not."""
        return counts_refused(framework, device, steps, warmup)

    def set_up(self, cell: Cell) -> tuple[Claim, Setup]:
        """Return a cell's claim, and what would run for it. Raises BenchdockError."""
        from orchestrator.published import collection
        from orchestrator.reproduction import preparation
        from orchestrator.reproduction.setup import Wishes

        assert cell.claim is not None
        claim = collection.claim(cell.claim)
        return claim, preparation.prepare(claim, self._facts, Wishes(**self._wishes(cell)))

    def claimed(self, cell: Cell) -> tuple[Request | None, Decided]:
        """Return what would run for a published claim."""
        try:
            _, setup = self.set_up(cell)
        except BenchdockError as error:
            return None, Decided(refusal=error.what, hint=error.hint)
        if setup.why_not or setup.planned is None:
            return setup.planned, Decided(refusal=setup.why_not)
        decided = self.decide(setup.planned)
        unmet = tuple(f"not met: {one.name}: {one.consequence}" for one in setup.unmet)
        return setup.planned, Decided(**{**vars(decided), "warnings": (*decided.warnings, *unmet)})

    def _wishes(self, cell: Cell) -> dict[str, Any]:
        told = dict(cell.settings)
        for key in ("data", "source"):
            if key in told:
                told[key] = self._folder / Path(told[key]).expanduser()
        return told


def counts_refused(framework: str, device: Device, steps: int | None, warmup: int | None) -> str:
    """Return why a framework refuses these numbers of steps, "" if it does not."""
    request = Request(model="any", framework=framework, steps=steps, warmup=warmup)
    try:
        record.settle_counts(catalogue.framework(framework), request, device)
    except RequestError as error:
        return str(error)
    return ""


def _looked_up(image: Image | None, name: str, engine: Engine | None) -> Need:
    found = engine.image(name) if engine is not None else None
    size = parse_size(image.size) if image is not None and image.size else None
    return Need(
        image=image.id if image else name,
        reference=name,
        built=image is not None and image.source == "build",
        here=found is not None,
        size=found.size if found else size,
    )
