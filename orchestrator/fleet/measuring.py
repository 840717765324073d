"""Measures the node that this process runs on."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.ceilings import Ceiling, DeviceCeilings
from orchestrator.errors import BenchdockError, ExitStatus, Interrupted, RequestError
from orchestrator.fleet import clock, programs
from orchestrator.fleet.record import LEAST, MOST, Figure, NodeRecord, Source
from orchestrator.machine import inventory
from orchestrator.machine.gpu_facts import GpuReport, gpus_in_words
from orchestrator.metric import Metric
from orchestrator.parsers.contract import Progress
from orchestrator.paths import keep_text
from orchestrator.probing.measuring import Wanted, probe
from orchestrator.request import Request
from orchestrator.result import Result
from orchestrator.run import benchmark
from orchestrator.trust.verdict import TRUSTS, Verdict
from orchestrator.units import SAMPLES_PER_SECOND, counted
from orchestrator.version import VERSION
from orchestrator.view import View

_DOING = {"multiply": "multiplying", "copy": "copying", "transfer": "copying from the host"}


@dataclass(frozen=True, kw_only=True)
class Check:
    """What to measure: so many passes of the probe, of the control series and of programs.

    `logs` are reports that somebody made on this node, `iperf3` the host of a server.
    """

    passes: int
    probe: Wanted
    control: Request
    logs: tuple[Path, ...] = ()
    iperf3: str | None = None


class _WithoutResults:
    """Passes on what a run shows, but not its result: a check has many."""

    def __init__(self, view: View) -> None:
        self._view = view
        self.stage, self.note, self.output = view.stage, view.note, view.output

    def progress(self, progress: Progress) -> None:
        """Pass the progress on."""
        self._view.progress(progress)

    def result(self, result: Result) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Do nothing: the view belongs to the caller."""


@dataclass
class _Draft:
    """What was found so far. A part that failed is not tried again in later passes."""

    values: dict[tuple[Source, str, str], list[float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    doubted: list[Verdict] = field(default_factory=list)

    def add(self, source: Source, name: str, metric: Metric) -> None:
        if LEAST < metric.value < MOST:
            self.values.setdefault((source, name, metric.unit), []).append(metric.value)

    def figures(self) -> tuple[Figure, ...]:
        return tuple(
            Figure(name=name, unit=unit, source=source, values=tuple(values))
            for (source, name, unit), values in self.values.items()
        )


def measure(check: Check, node: str, folder: Path, view: View) -> NodeRecord:
    """Measure this node; parts that fail become problems of the record.

    Reports of programs stay in `folder`. Raises RequestError for a log that is of no such program
    or an impossible request, MachineError if nothing can be kept, Interrupted.
    """
    from orchestrator.machine import gpu  # asks the driver

    started, report = datetime.now(UTC), gpu.report()
    draft = _Draft()
    usable, cpus = inventory.usable_cpus(), os.cpu_count() or 1
    if usable < cpus:
        draft.notes.append(f"benchdock may use {usable} of {cpus} CPUs (affinity)")
    for log in check.logs:
        _take(draft, programs.read(log))
    shown = _WithoutResults(view)
    for number in range(1, check.passes + 1):
        view.stage(f"pass {number} of {check.passes}")
        _control(draft, check.control, shown)  # refuses an impossible request at once
        _probe(draft, check.probe, shown)
        for program in programs.here(len(report.gpus), check.iperf3):
            if program.source not in draft.failed:
                view.stage(f"running {program.source}")
                log = folder / f"{node}-{program.source}-{number}.txt"
                keep_text(log, "")
                _take(draft, programs.run(program, log))
    return NodeRecord(
        node=node,
        machine=inventory.machine_key(),
        benchdock=VERSION,
        commit=inventory.own_commit(),
        started=started,
        finished=datetime.now(UTC),
        clock=clock.here(),
        hardware=hardware(report),
        driver=report.driver,
        passes=check.passes,
        figures=draft.figures(),
        problems=tuple(draft.failed.values()),
        notes=(*draft.notes, *_doubts(draft.doubted, check.passes)),
    )


def hardware(report: GpuReport) -> str:
    """Return what nodes must have in common to be compared."""
    # All CPUs, not those that this process may use: with fewer of them a node is slow.
    cpus = f"{counted(os.cpu_count() or 1, 'CPU')} {inventory.cpu_model()}"
    return f"{gpus_in_words(report.gpus)}, {cpus}" if report.gpus else cpus


def node_name() -> str:
    """Return Slurm's name of this node, outside of its jobs the host's."""
    return inventory.slurm_node() or platform.node().partition(".")[0] or "unknown"


def _take(draft: _Draft, reading: programs.Reading) -> None:
    if reading.problem:
        draft.failed[reading.source] = reading.problem
    for name, metric in reading.figures.items():
        draft.add(reading.source, f"{reading.source} {name.replace('_', ' ')}", metric)


def _probe(draft: _Draft, wanted: Wanted, view: View) -> None:
    if "probe" in draft.failed:
        return
    try:
        found = probe(wanted, view)
    except BenchdockError as error:
        _fail(draft, "probe", error)
        return
    if found.signal_number is not None:
        raise Interrupted(found.signal_number)
    if found.failure is not None:
        draft.failed["probe"] = f"probe: {found.failure.message}; see {found.log}"
    for name, metric in _ceilings(found.devices):
        draft.add("probe", name, metric)


def _ceilings(devices: Sequence[DeviceCeilings]) -> Iterator[tuple[str, Metric]]:
    """Yield the figures of a probe with their names.

    Of a CPU those by the clock on the wall: what else takes its time makes the node slow, too.
    """
    for device in devices:
        for one in device.ceilings:
            value = one.wall if one.wall is not None else one.median
            yield _name(device, one), Metric(value=value, unit=one.unit)


def _name(device: DeviceCeilings, one: Ceiling) -> str:
    what = "CPU" if one.device == "cpu" else device.name.partition(",")[0]
    kind = " ".join(filter(None, (one.dtype, one.how if one.device == "cpu" else "")))
    together = f", {one.devices} at once" if one.devices > 1 else ""
    return f"{what} {_DOING[one.what]}{f' {kind}' if kind else ''}{together}"


def _control(draft: _Draft, request: Request, view: View) -> None:
    """Make a run of the control series."""
    if "control" in draft.failed:
        return
    try:
        result, status = benchmark.run(request, view)
    except BenchdockError as error:
        _fail(draft, "control", error)
        return
    if status > ExitStatus.BUG:
        raise Interrupted(int(status) - 128)
    throughput = result.metrics.get("throughput")
    if result.failure is not None or throughput is None or throughput.unit != SAMPLES_PER_SECOND:
        why = result.failure.message if result.failure else "it has no throughput"
        draft.failed["control"] = f"control series: {why} (run {result.run})"
        return
    name = f"control {request.model} {request.phase}, {request.framework}, {request.dtype}"
    draft.add("control", name, throughput)
    if result.verdict is not None and result.verdict.trust != "valid":
        draft.doubted.append(result.verdict)


def _doubts(doubted: Sequence[Verdict], passes: int) -> Iterator[str]:
    """Say which runs of the control series are doubtful, and why."""
    for trust in TRUSTS[1:]:
        of_it = [one for one in doubted if one.trust == trust]
        if of_it:
            reasons = (why for one in of_it for why in one.reasons if why.level != "note")
            told = ", ".join(dict.fromkeys(why.words for why in reasons))
            verb = "is" if len(of_it) == 1 else "are"
            yield f"{len(of_it)} of {counted(passes, 'control run')} {verb} {trust}: {told}"


def _fail(draft: _Draft, part: str, error: BenchdockError) -> None:
    """Remember why this machine cannot measure a part; anything else ends the check."""
    if isinstance(error, Interrupted | RequestError):
        raise error
    words = {"probe": "probe", "control": "control series"}
    draft.failed[part] = f"{words[part]}: {error}"
