"""Samples of the host from /proc: load, memory, and what takes its CPUs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.machine import meminfo

STALE_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class HostSample:
    """One sample of the host; shares of all CPUs since the last sample."""

    load: float
    cpu: float
    steal: float
    memory_available: int


class HostSource:
    """Reads the host's state from /proc through files that stay open. Raises OSError."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._files = {
            name: os.open(proc / name, os.O_RDONLY | os.O_CLOEXEC)
            for name in ("stat", "loadavg", "meminfo")
        }
        self._ticks = self._read_ticks()
        self._since = time.monotonic()
        self._own = _own_cpu()

    def before(self, window: float) -> HostSample:
        """Sample what other processes do, since this was made; wait until that is `window` seconds.

        Our own CPU time is subtracted. If too much time has passed (an image was built meanwhile),
        that says nothing about now: then the window begins here.
        """
        if time.monotonic() - self._since > STALE_SECONDS:
            self.sample()
            self._since, self._own = time.monotonic(), _own_cpu()
        time.sleep(max(0.0, self._since + window - time.monotonic()))
        passed = (time.monotonic() - self._since) * (os.cpu_count() or 1)
        sample = self.sample()
        own = (_own_cpu() - self._own) / passed if passed else 0.0
        return replace(sample, cpu=max(0.0, sample.cpu - own))

    def close(self) -> None:
        """Close the files."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files = {}

    def sample(self) -> HostSample:
        """Take one sample; shares are since the last one."""
        before, self._ticks = self._ticks, self._read_ticks()
        # max: the kernel's iowait may run backwards.
        passed = [max(0, now - then) for now, then in zip(self._ticks, before, strict=True)]
        total = max(sum(passed), 1)
        idle, steal = passed[3] + passed[4], passed[7]
        return HostSample(
            load=float(self._text("loadavg").split()[0]),
            cpu=(sum(passed) - idle - steal) / total,
            steal=steal / total,
            memory_available=meminfo.parse(self._text("meminfo")).get("MemAvailable", 0),
        )

    def _read_ticks(self) -> list[int]:
        # user nice system idle iowait irq softirq steal; guest time is part of user time
        words = self._text("stat").split(maxsplit=9)[1:9]
        return [int(word) for word in words]

    def _text(self, name: str) -> str:
        return os.pread(self._files[name], 2048, 0).decode("ascii", "replace")


@contextmanager
def watched_host() -> Iterator[Callable[[], HostSource]]:
    """Start watching the host now, for the `host_source` of a Monitor that starts later.

    So the time until then, which passes anyway, shows what others do before the run.
    """
    try:
        source = HostSource()
    except OSError:
        yield HostSource  # which raises again in the monitor, which reports it
        return
    try:
        yield lambda: source
    finally:
        source.close()


def _own_cpu() -> float:
    """Return the CPU seconds of this process and its ended children."""
    return sum(os.times()[:4])
