"""Watches the GPUs of a run: one thread for all of them, ten times a second.

Clocks, reasons and power are read in each round, the rest of each GPU in every tenth. A round has a
deadline: GPUs that it does not reach are the first of the next one. Between rounds the benchmark
takes the caches, so a round only asks; answers are sorted out and written every five seconds.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import NamedTuple, Protocol

from orchestrator.machine import disturbances
from orchestrator.machine.disturbances import GpuSeen, Seen
from orchestrator.machine.gpu_facts import GpuGoneError, GpuHealth, GpuPulse, GpuSample
from orchestrator.machine.neighbours import Neighbours
from orchestrator.machine.own_work import OwnWork
from orchestrator.machine.sample_log import SampleLog, rounded
from orchestrator.machine.watched_gpu import WatchedGpu
from orchestrator.machine.window import Window
from orchestrator.machine.xid import KernelLog, Xids
from orchestrator.metric import Metric

SLOW = 10  # rounds between two slow samples of a GPU
SORTED = 50  # rounds that are sorted out at once
DEADLINE = 0.8  # of the interval
SILENT_SECONDS = 3.0
# After ten minutes every tenth round is written: a run of a day has 40 MB per GPU otherwise.
MOST_LINES = 6000


class GpuSource(Protocol):
    """The part of `gpu_sampler.GpuSampler` that is needed, so that tests can simulate faults.

    All methods raise GpuGoneError.
    """

    def name(self, uuid: str) -> str:
        """Return `gpu` and NVML's index."""

    def pulse(self, uuid: str) -> Callable[[], GpuPulse]:
        """Read what changes fast; the values are sorted out when the answer is called."""

    def sample(self, uuid: str) -> GpuSample:
        """Read what changes slowly."""

    def health(self, uuid: str) -> GpuHealth:
        """Read counts of errors, limits and states."""

    def errors(self, uuid: str) -> Mapping[str, tuple[str, int]]:
        """Return the last error of each metric that failed for a moment."""

    def latencies(self, uuid: str) -> dict[int, int]:
        """Return what each fast field costs the driver, in microseconds."""

    def bus_id(self, uuid: str) -> str:
        """Return the PCI address as in the kernel's log."""

    def register(self, uuids: tuple[str, ...]) -> None:
        """Ask for Xid events."""

    def events(self) -> tuple[tuple[str, int], ...]:
        """Return the new Xids."""

    def close(self) -> None:
        """Close it."""


class _Answer(NamedTuple):
    """What a GPU answered from `begin` to `end`, of the monotonic clock, in a stage of the run."""

    uuid: str
    begin: float
    end: float
    pulse: Callable[[], GpuPulse]
    sample: GpuSample | None


@dataclass(frozen=True)
class _Round:
    """The answers of a round that began at a moment of the monotonic clock."""

    began: float
    stage: str
    is_written: bool
    answers: list[_Answer]


class GpuWatch:
    """Takes samples of GPUs, given by UUID, in a thread from `start` to `stop`."""

    def __init__(
        self,
        uuids: Sequence[str],
        log: SampleLog,
        *,
        interval: float,
        make_source: Callable[[], GpuSource],
        warn: Callable[[str], None],
        neighbours: Sequence[str] = (),
    ) -> None:
        self._log = log
        self._neighbours = Neighbours(neighbours)
        self._interval = interval
        self._make_source = make_source
        self._warn = warn
        self._uuids = tuple(uuids)
        self._source: GpuSource | None = None
        self._gpus: dict[str, WatchedGpu] = {}
        self._turns: deque[str] = deque()
        self._silent: list[str] = []
        self._in_use: list[str] = []
        self._xids = Xids()
        self._kernel: KernelLog | None = None
        self._addresses: dict[str, str] = {}
        self._work: OwnWork | None = None
        self._stage = "starting"
        self._window: Window | None = None
        self._rounds = 0
        self._waiting: list[_Round] = []
        self._answers: list[_Answer] = []  # of the round that is being made
        self._sorting = threading.Lock()
        self._gap = 0.0
        self._cpu = 0.0
        self._began = time.monotonic()
        # Locked until the end. A lock wakes up with a third of the instructions of an Event.
        self._running = threading.Lock()
        self._running.acquire()
        self._thread = threading.Thread(target=self._watch, name="GPU monitor", daemon=True)

    def start(self) -> None:
        """Look at the GPUs as they are before the run, then start sampling."""
        try:
            self._source = self._make_source()
        except GpuGoneError as error:
            self._miss(f"the GPUs were not monitored: {error}")
            return
        self._kernel = KernelLog()
        for uuid in self._uuids:
            self._try(uuid, self._meet)
        self._register()
        self._thread.start()

    def stop(self, patience: float) -> None:
        """Stop sampling, waiting `patience` seconds at most for a driver that hangs."""
        self._running.release()
        if self._thread.ident is None:
            return
        self._thread.join(patience)
        if self._thread.is_alive():
            self._miss("the GPU driver did not answer the monitor at the end of the run")
            self._sort_out()  # what it answered before
            self._settle()

    def stage(self, name: str, window: Window | None) -> None:
        """Note the stage of the run, and its timed window so far."""
        self._stage, self._window = name, window

    def watch(self, work: OwnWork) -> None:
        """Tell the processes of the run from all others, from now on."""
        self._work = work

    def summary(self) -> dict[str, Metric]:
        """Return minima, means and maxima within the window, energy, and shares of reasons."""
        found = {name: metric for one in self._gpus.values() for name, metric in one.metrics()}
        return found | dict(self._neighbours.metrics(self._window))

    def cost(self) -> tuple[float, float]:
        """Return the CPU seconds of the thread and the longest pause between two rounds."""
        return self._cpu, self._gap

    def seen(self) -> Seen:
        """Return what makes a measurement doubtful."""
        return Seen(
            throttling=tuple(t for one in self._gpus.values() for t in one.throttling()),
            in_use=tuple(self._in_use),
            joined=tuple(filter(None, map(disturbances.joined, self._gpus.values()))),
            silent=tuple(self._silent),
            xids=self._xids.found(),
            gpus={one.name: self._seen(one) for one in self._gpus.values()},
        )

    def _seen(self, one: WatchedGpu) -> GpuSeen:
        spreads = one.decisive.spreads
        best = {
            name: spreads[f"{one.name}.{name}"].most if f"{one.name}.{name}" in spreads else None
            for name in ("pcie_generation", "pcie_width")
        }
        return GpuSeen(before=one.before, after=one.after, **best)

    def _meet(self, source: GpuSource, uuid: str) -> None:
        """Find a GPU's name, its health, and the processes that use it before the run."""
        one = WatchedGpu(uuid=uuid, name=source.name(uuid), number=len(self._gpus))
        self._gpus[uuid] = one
        self._turns.append(uuid)
        one.before = one.after = source.health(uuid)
        one.answered = time.monotonic()
        self._addresses[source.bus_id(uuid)] = one.name.partition(":")[0]
        self._log.write({one.name: {"uuid": uuid, **rounded(asdict(one.before))}})
        self._log.write({"field_latency_us": source.latencies(uuid)})
        used = disturbances.in_use(one.name, source.sample(uuid).processes or ())
        if used:
            self._in_use.append(used)
            self._warn(used)

    def _register(self) -> None:
        if self._source is None:
            return
        try:
            self._source.register(tuple(self._gpus))
        except GpuGoneError:
            return  # the next round says which GPU it is

    def _try(self, uuid: str, action: Callable[[GpuSource, str], None]) -> None:
        """Ask a GPU; one that fell off the bus is not asked again."""
        if self._source is None:
            return
        try:
            action(self._source, uuid)
        except GpuGoneError as error:
            name = self._gpus[uuid].name if uuid in self._gpus else uuid
            if uuid in self._turns:
                self._turns.remove(uuid)
            self._miss(f"{disturbances.title(name)} stopped answering the monitor: {error}")

    def _watch(self) -> None:
        due = last = time.monotonic()
        while not self._running.acquire(timeout=max(0.0, due - time.monotonic())):
            now = time.monotonic()
            self._gap, last = max(self._gap, now - last), now
            self._round()
            # Continue from now if a slow driver delayed us, without a burst to catch up.
            due = max(due + self._interval, time.monotonic())
        self._round(last=True)
        self._finish()
        self._cpu = time.thread_time()

    def _round(self, *, last: bool = False) -> None:
        began = time.monotonic()
        written = self._rounds < MOST_LINES or self._rounds % SLOW == 0
        self._answers = []
        self._waiting.append(_Round(began, self._stage, written, self._answers))
        for place, uuid in enumerate(tuple(self._turns)):
            if place and not last and time.monotonic() - began > DEADLINE * self._interval:
                self._turns.rotate(-place)
                break
            whole = last or (self._rounds + self._gpus[uuid].number) % SLOW == 0
            self._try(uuid, self._look_well if whole else self._look)
        if self._rounds % SLOW == 0 and self._source is not None:
            self._neighbours.look(self._source.sample, began)
        self._rounds += 1
        if last or self._rounds % SORTED == 0:
            self._sort_out()
            self._look_for_xids()
            self._settle()
            self._cpu = time.thread_time()

    def _look(self, source: GpuSource, uuid: str) -> None:
        """Read what changes fast."""
        begin = time.monotonic()
        pulse = source.pulse(uuid)
        self._answers.append(_Answer(uuid, begin, time.monotonic(), pulse, None))

    def _look_well(self, source: GpuSource, uuid: str) -> None:
        """Read everything."""
        self._look(source, uuid)
        sample = source.sample(uuid)
        self._answers[-1] = self._answers[-1]._replace(sample=sample)
        self._look_for_others(self._gpus[uuid], sample)  # now, because processes end

    def _sort_out(self) -> None:
        """Take what was read since the last time, and write it."""
        with self._sorting:
            waiting, self._waiting = self._waiting, []
        for one in waiting:
            line: dict[str, object] = {}
            for answer in one.answers:
                self._try(answer.uuid, partial(self._take, one.stage, answer, line))
            if line and one.is_written:
                self._log.line(one.stage, one.began, line, flush=False)  # the host's next line does

    def _take(self, stage: str, answer: _Answer, line: dict[str, object], *_: object) -> None:
        one, pulse, sample = self._gpus[answer.uuid], answer.pulse(), answer.sample
        one.pulse((answer.begin + answer.end) / 2, pulse)
        if pulse != GpuPulse():
            one.answered = answer.end
        if stage != "starting":
            one.begin_use()
        line[one.name] = told = rounded(vars(pulse))
        if sample is not None:
            one.sample(answer.end, sample)
            told |= rounded(asdict(sample))

    def _look_for_others(self, one: WatchedGpu, sample: GpuSample) -> None:
        if self._work is not None:
            for process in sample.processes or ():
                if self._work.owns(process.pid) is False:
                    one.joined[process.pid] = process

    def _look_for_xids(self) -> None:
        if self._kernel is not None:
            self._xids.add(1, self._kernel.xids(self._addresses))
        if self._source is None:
            return
        try:
            self._xids.add(0, self._source.events())
        except GpuGoneError:
            return

    def _settle(self) -> None:
        if self._window is not None:
            for one in self._gpus.values():
                one.settle(self._window)

    def _finish(self) -> None:
        """Look at the GPUs as they are after the run."""
        window = self._window or Window(self._began, time.monotonic())
        for one in self._gpus.values():
            one.settle(window)
        for uuid in tuple(self._turns):
            self._try(uuid, self._part)
        if self._kernel is not None:
            self._kernel.close()
        if self._source is not None:
            try:
                self._source.close()
            except GpuGoneError as error:
                self._warn(f"the GPU driver failed at the end of the run: {error}")

    def _part(self, source: GpuSource, uuid: str) -> None:
        one = self._gpus[uuid]
        one.after = source.health(uuid)
        failed = source.errors(uuid)
        if failed:
            self._log.write({one.name: {"errors": failed}})
        if time.monotonic() - one.answered > SILENT_SECONDS:
            why = next((text for text, _ in failed.values()), "no metric is available")
            self._miss(f"{disturbances.title(one.name)} stopped answering the monitor: {why}")

    def _miss(self, text: str) -> None:
        """Warn that a GPU was not watched to the end."""
        self._silent.append(text)
        self._warn(text)
