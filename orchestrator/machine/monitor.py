"""Watches the machine during a benchmark: load, memory, CPU and GPUs, once a second.

Samples go to `monitor.jsonl`; the summary is kept as running minima, means and maxima (`tally`). No
error here ends a run.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from io import TextIOBase
from pathlib import Path
from typing import Protocol, Self

from orchestrator.machine import disturbances
from orchestrator.machine.disturbances import Seen
from orchestrator.machine.gpu_facts import GpuGoneError, GpuProcess, GpuSample
from orchestrator.machine.host_samples import HostSample, HostSource
from orchestrator.machine.tally import UNITS, Tally
from orchestrator.metric import Metric

SCHEMA = 1
# A broken GPU driver may never answer; the run does not wait for it.
JOIN_SECONDS = 3.0


class GpuSource(Protocol):
    """The part of `gpu.GpuSampler` that the monitor needs, so that tests can simulate faults."""

    def index(self, uuid: str) -> int:
        """Return NVML's index."""

    def sample(self, uuid: str) -> GpuSample:
        """Take one sample. Raises GpuGoneError."""

    def processes(self, uuid: str) -> tuple[GpuProcess, ...]:
        """Return the processes that compute on it. Raises GpuGoneError."""

    def close(self) -> None:
        """Close it."""


def _nvml() -> GpuSource:
    from orchestrator.machine.gpu import GpuSampler

    return GpuSampler()


class Monitor:
    """Takes samples in a thread until the `with` block ends.

    `gpus` are UUIDs; tests replace `gpu_source` and `host_source`.
    """

    def __init__(
        self,
        path: Path,
        *,
        gpus: Sequence[str] = (),
        interval: float = 1.0,
        baseline: float = 0.1,
        gpu_source: Callable[[], GpuSource] = _nvml,
        host_source: Callable[[], HostSource] = HostSource,
    ) -> None:
        self._path = path
        self._interval = interval
        self._baseline = baseline
        self._gpus: dict[str, str] = {uuid: uuid for uuid in gpus}
        self._make_gpu_source = gpu_source
        self._make_host_source = host_source
        self._host: HostSource | None = None
        self._nvml: GpuSource | None = None
        self._file: TextIOBase | None = None
        self._warnings: list[str] = []
        self._busy_before = ""
        self._in_use: list[str] = []
        self._silent: list[str] = []
        self._whole = Tally()
        self._timed = Tally()
        self._stage = "starting"
        self._ended = threading.Event()
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._watch, name="monitor", daemon=True)

    def __enter__(self) -> Self:
        self._open()
        self._before()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop sampling; may be called twice."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_SECONDS)
        if self._thread.is_alive():
            self._miss("the GPU driver did not answer the monitor at the end of the run")

    def stage(self, name: str) -> None:
        """Note the new stage of the run; the summary covers the stage "timing" if there was one."""
        self._stage = name

    def summary(self) -> dict[str, Metric]:
        """Return minima, means and maxima with units: of the timed stage, else of the whole run."""
        return self._decisive().metrics()

    def warnings(self) -> tuple[str, ...]:
        """Return sentences about what makes the measurement, or the monitor itself, doubtful."""
        return (*self._warnings, *disturbances.disturbances(self._decisive()))

    def seen(self) -> Seen:
        """Return what the verdict on the result needs; its sentences are among the warnings."""
        tally = self._decisive()
        return Seen(
            throttling=tuple(disturbances.throttling(tally)),
            busy_before=self._busy_before,
            stolen=disturbances.stolen(tally),
            in_use=tuple(self._in_use),
            silent=tuple(self._silent),
        )

    def _decisive(self) -> Tally:
        return self._timed if self._timed.spreads else self._whole

    def _open(self) -> None:
        try:
            self._host = self._make_host_source()
        except OSError as error:
            self._warn(f"the host was not monitored: {error}")
        try:
            self._file = self._path.open("a", encoding="ascii", buffering=1)
        except OSError as error:
            self._stop_writing(error)
        self._write({"schema": SCHEMA, "started": time.time(), "units": UNITS})
        if self._gpus:
            self._open_gpus()

    def _open_gpus(self) -> None:
        try:
            self._nvml = self._make_gpu_source()
        except GpuGoneError as error:
            self._miss(f"the GPUs were not monitored: {error}")
            self._gpus.clear()
        for uuid in list(self._gpus):
            self._try_gpu(uuid, self._meet)

    def _meet(self, nvml: GpuSource, uuid: str) -> None:
        """Find a GPU's index, and the processes that used it before the run."""
        self._gpus[uuid] = name = f"gpu{nvml.index(uuid)}"
        used = disturbances.in_use(name, nvml.processes(uuid))
        if used:
            self._in_use.append(used)
            self._warn(used)

    def _try_gpu(self, uuid: str, action: Callable[[GpuSource, str], None]) -> None:
        """Sample a GPU; one that no longer answers is not asked again."""
        if self._nvml is None:
            return
        try:
            action(self._nvml, uuid)
        except GpuGoneError as error:
            name = self._gpus.pop(uuid)
            self._miss(f"{disturbances.title(name)} stopped answering the monitor: {error}")

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
            # Continue from now if a slow driver delayed us, without a burst to catch up.
            due = max(due + self._interval, time.monotonic())
        self._look()
        self._close()

    def _look(self) -> None:
        stage = self._stage
        tallies = (self._whole, self._timed) if stage == "timing" else (self._whole,)
        line: dict[str, object] = {
            "t": round(time.monotonic() - self._started, 3),
            "stage": stage,
        }
        host = self._look_at_host()
        if host is not None:
            for tally in tallies:
                tally.host(host)
            line |= _rounded(asdict(host))
        for uuid in list(self._gpus):
            self._try_gpu(uuid, lambda nvml, uuid: self._count(nvml, uuid, tallies, line))
        self._write(line)

    def _count(
        self, nvml: GpuSource, uuid: str, tallies: Sequence[Tally], line: dict[str, object]
    ) -> None:
        name, sample = self._gpus[uuid], nvml.sample(uuid)
        for tally in tallies:
            tally.gpu(name, sample)
        line[name] = _rounded(asdict(sample))

    def _write(self, line: Mapping[str, object]) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
        except OSError as error:
            self._stop_writing(error)

    def _stop_writing(self, error: OSError) -> None:
        self._warn(f"{self._path.name} is incomplete: {error.strerror or error}")
        file, self._file = self._file, None
        _close_quietly(file)

    def _close(self) -> None:
        if self._host is not None:
            self._host.close()
        file, self._file = self._file, None
        _close_quietly(file)
        if self._nvml is not None:
            try:
                self._nvml.close()
            except GpuGoneError as error:
                self._warn(f"the GPU driver failed at the end of the run: {error}")

    def _miss(self, text: str) -> None:
        """Warn that a GPU was not watched to the end."""
        self._silent.append(text)
        self._warn(text)

    def _warn(self, text: str) -> None:
        self._warnings.append(text)


def _close_quietly(file: TextIOBase | None) -> None:
    """Close a file whose loss has been reported already: closing flushes, and fails once more."""
    if file is None:
        return
    try:
        file.close()
    except OSError:
        return


def _rounded(values: Mapping[str, object]) -> dict[str, object]:
    """Leave out unknown values; four digits are enough for a share."""
    return {
        key: round(value, 4) if isinstance(value, float) else value
        for key, value in values.items()
        if value is not None and value != ()
    }
