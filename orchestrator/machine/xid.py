"""Xids: the numbered errors of NVIDIA's driver, and where they are read.

NVML delivers most of them as events, but not 79, 119 and 120; the kernel's log has all of them.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

Fault = Literal["program", "hardware", "note", "unknown"]

# After NVIDIA's catalogue and what its plugin for Kubernetes ignores. A program's fault leaves the
# GPU as it was; after a hardware fault somebody has to look at it.
_PROGRAM = frozenset({8, 13, 31, 32, 43, 45, 68, 69, 94, 109})
_HARDWARE = frozenset(
    {
        *(46, 48, 62, 64, 74, 79, 95, 110, 119, 120, 136, 140, 143),
        *range(144, 151),  # NVLink 5
        *(155, 156, 158, 171, 172),
    }
)
_NOTES = frozenset({63, 92, 93, 121, 154, 162, 163, 164, 165})
_WORDS = {
    13: "a program's exception",
    31: "a program's invalid address",
    43: "a program stopped",
    45: "a program was ended",
    48: "a memory error that could not be corrected",
    62: "the microcontroller halted",
    63: "a row of memory will be replaced",
    64: "a row of memory could not be replaced",
    74: "an NVLink error",
    79: "the GPU has fallen off the bus",
    92: "many corrected memory errors",
    94: "a contained memory error",
    95: "an uncontained memory error",
    119: "the GPU's system processor does not answer",
    120: "the GPU's system processor failed",
    154: "the recommended recovery changed",
}
_LINE = re.compile(r"NVRM: Xid \(PCI:([0-9a-fA-F:.]+)\): (\d+)", re.ASCII)
_LONGEST_RECORD = 8192
_MOST_RECORDS = 2000  # of a look: a flood of messages must not hold up the monitor
KERNEL_LOG = Path("/dev/kmsg")


def fault(xid: int) -> Fault:
    """Return whose fault an Xid is."""
    if xid in _PROGRAM:
        return "program"
    if xid in _HARDWARE:
        return "hardware"
    return "note" if xid in _NOTES else "unknown"


def describe(xid: int) -> str:
    """Return an Xid as text, with its meaning if it is a common one."""
    meaning = _WORDS.get(xid)
    return f"Xid {xid} ({meaning})" if meaning else f"Xid {xid}"


def parse(record: str) -> tuple[str, int] | None:
    """Return the PCI address (0000:4f:00) and the Xid of a record of the kernel's log."""
    found = _LINE.search(record)
    if found is None or len(found[2]) > 6:
        return None
    return found[1].lower().partition(".")[0], int(found[2])


def why_unreadable(path: Path = KERNEL_LOG) -> str:
    """Return why this user cannot read the kernel's log; "" if that works."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return error.strerror or str(error)
    return ""


class KernelLog:
    """What the kernel logs from now on. Unreadable logs are empty."""

    def __init__(self, path: Path = KERNEL_LOG) -> None:
        self._descriptor: int | None = None
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._descriptor, 0, os.SEEK_END)
        except OSError:
            self.close()

    def xids(self, names: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
        """Return the new Xids of GPUs, whose `names` are by PCI address. Does not wait."""
        found = (parse(record) for record in self._new())
        return tuple((names[one[0]], one[1]) for one in found if one and one[0] in names)

    def close(self) -> None:
        """Close it; harmless if called twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _new(self) -> Iterator[str]:
        for _ in range(_MOST_RECORDS):
            if self._descriptor is None:
                return
            try:
                record = os.read(self._descriptor, _LONGEST_RECORD)
            except OSError as error:
                if error.errno == errno.EPIPE:  # older records were overwritten: go on
                    continue
                if error.errno != errno.EAGAIN:
                    self.close()
                return
            if not record:
                return
            yield record.decode("utf-8", "replace")


class Xids:
    """Counts Xids from both sources; the same one from both counts once."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], list[int]] = {}

    def add(self, source: Literal[0, 1], found: tuple[tuple[str, int], ...]) -> None:
        """Count what one source says."""
        for one in found:
            self._counts.setdefault(one, [0, 0])[source] += 1

    def found(self) -> tuple[tuple[str, int, int], ...]:
        """Return GPU, Xid and how often, in the order of the GPUs."""
        return tuple(
            (name, number, max(counts)) for (name, number), counts in sorted(self._counts.items())
        )
