"""Watches the machine during a benchmark: the host once a second, GPUs ten times (`gpu_watch`).

Samples go to `monitor.jsonl`; the summary is kept as running minima, means and maxima (`tally`). No
error here ends a run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from orchestrator.machine import disturbances
from orchestrator.machine.disturbances import Seen
from orchestrator.machine.host_samples import HostSample, HostSource
from orchestrator.machine.own_work import OwnWork
from orchestrator.machine.sample_log import SampleLog, rounded
from orchestrator.machine.tally import UNITS, Tally
from orchestrator.machine.window import Pending, Window
from orchestrator.metric import Metric

if TYPE_CHECKING:
    from orchestrator.machine.gpu_watch import GpuSource, GpuWatch

# A broken GPU driver may never answer; the run does not wait for it.
JOIN_SECONDS = 3.0
GPU_INTERVAL = 0.1
TIMING = "timing"


def _nvml() -> GpuSource:
    from orchestrator.machine.gpu_sampler import GpuSampler

    return GpuSampler()


class Monitor:
    """Takes samples in threads until the `with` block ends.

    `gpus` are UUIDs, `neighbours` those of GPUs that the run does not use, `interval` and
    `gpu_interval` seconds; tests replace `gpu_source` and `host_source`.
    """

    def __init__(
        self,
        path: Path,
        *,
        gpus: Sequence[str] = (),
        neighbours: Sequence[str] = (),
        interval: float = 1.0,
        gpu_interval: float = GPU_INTERVAL,
        baseline: float = 0.1,
        gpu_source: Callable[[], GpuSource] = _nvml,
        host_source: Callable[[], HostSource] = HostSource,
    ) -> None:
        self._interval = interval
        self._baseline = baseline
        self._make_host_source = host_source
        self._host: HostSource | None = None
        self._warnings: list[str] = []
        self._log = SampleLog(path, self._warn)
        self._gpus: GpuWatch | None = None
        if gpus:
            from orchestrator.machine.gpu_watch import GpuWatch

            self._gpus = GpuWatch(
                gpus,
                self._log,
                interval=gpu_interval,
                make_source=gpu_source,
                warn=self._warn,
                neighbours=neighbours,
            )
        self._busy_before = ""
        self._whole = Tally()
        self._timed = Tally()
        self._pending: Pending[HostSample] = Pending()
        self._stage = "starting"
        self._window: Window | None = None
        self._work: OwnWork | None = None
        self._cpu = 0.0
        self._ended = threading.Event()
        self._began = self._looked = time.monotonic()
        self._seconds = 0.0
        self._thread = threading.Thread(target=self._watch, name="monitor", daemon=True)

    def __enter__(self) -> Self:
        self._open()
        self._before()
        if self._gpus is not None:
            self._gpus.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop sampling; may be called twice."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._seconds = time.monotonic() - self._began
        if self._gpus is not None:
            self._gpus.stop(JOIN_SECONDS)
        if self._thread.is_alive():
            self._thread.join(JOIN_SECONDS)
        self._log.close()

    def stage(self, name: str, window: tuple[float, float] | None = None) -> None:
        """Note the stage of the run; the summary covers the stage "timing" if there was one.

        `window` are the begin of its first and the end of its last step so far, on the system's
        monotonic clock, if the program prints them.
        """
        now = time.monotonic()
        if window is not None and self._began <= window[0] < window[1] <= now:
            self._window = Window(*window)
        elif TIMING in (name, self._stage):
            # As exact as the log is read: within a quarter of a second.
            self._window = Window(self._window.begin if self._window else now, now)
        self._stage = name
        if self._gpus is not None:
            self._gpus.stage(name, self._window)

    def started(self, root: int | None) -> None:
        """Note the first process of the program on this machine, if it is known."""
        if root is None:
            return
        self._work = OwnWork(root)
        if self._gpus is not None:
            self._gpus.watch(self._work)

    def summary(self) -> dict[str, Metric]:
        """Return minima, means and maxima with units: of the timed stage, else of the whole run."""
        found = self._decisive().metrics()
        cpu, gap = self._cpu, 0.0
        if self._gpus is not None:
            found |= self._gpus.summary()
            more, gap = self._gpus.cost()
            cpu += more
            found["monitor.gap"] = Metric(value=gap, unit="s")
        if self._window is not None:
            found["window"] = Metric(value=self._window.seconds, unit="s")
        if self._seconds > 0:
            found["monitor.cpu"] = Metric(value=100 * cpu / self._seconds, unit="% of a core")
        return found

    def warnings(self) -> tuple[str, ...]:
        """Return sentences about what makes the measurement, or the monitor itself, doubtful."""
        gpus = disturbances.of_gpus(self.seen())
        return (*self._warnings, *gpus, *disturbances.of_host(self._decisive()))

    def seen(self) -> Seen:
        """Return what the verdict on the result needs."""
        tally = self._decisive()
        return replace(
            self._gpus.seen() if self._gpus is not None else Seen(),
            busy_before=self._busy_before,
            busy_during=disturbances.busy_during(tally),
            stolen=disturbances.stolen(tally),
        )

    def _decisive(self) -> Tally:
        return self._timed if self._timed.spreads else self._whole

    def _open(self) -> None:
        try:
            self._host = self._make_host_source()
        except OSError as error:
            self._warn(f"the host was not monitored: {error}")
        self._log.open(UNITS)

    def _before(self) -> None:
        """Record the host's state just before the run."""
        if self._host is None:
            return
        sample = self._look_at_host(lambda host: host.before(self._baseline))
        self._busy_before = disturbances.busy_before(sample) if sample is not None else ""
        if self._busy_before:
            self._warn(self._busy_before)

    def _look_at_host(
        self, look: Callable[[HostSource], HostSample] = lambda host: host.sample()
    ) -> HostSample | None:
        if self._host is None:
            return None
        try:
            return look(self._host)
        except (OSError, ValueError, IndexError) as error:
            self._warn(f"the host was no longer monitored: {error}")
            self._host.close()
            self._host = None
            return None

    def _watch(self) -> None:
        due = time.monotonic() + self._interval
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            self._look()
            due = max(due + self._interval, time.monotonic())
        self._look()
        if self._host is not None:
            self._host.close()

    def _look(self) -> None:
        now = time.monotonic()
        if self._work is not None and self._host is not None:
            self._host.watch(self._work)
            self._work = None
        sample = self._look_at_host()
        if sample is not None:
            self._whole.host(sample)
            # It covers the time since the last one.
            self._pending.add((self._looked + now) / 2, sample)
            self._looked = now
            self._log.line(self._stage, now, rounded(asdict(sample)))
        if self._window is not None:
            for one in self._pending.take(self._window):
                self._timed.host(one)
        self._cpu = time.thread_time()

    def _warn(self, text: str) -> None:
        self._warnings.append(text)
