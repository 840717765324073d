"""Power of the CPUs and of the whole machine, if the system lets this user read it.

RAPL (powercap) counts the energy of CPU packages and their memory; since Linux 5.10 only root may
read it. ACPI's power meter, which BMCs provide, is the power of the whole machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SYS = Path("/sys")
_MICRO = 1e6


@dataclass
class _Counter:
    """An energy counter that starts again at its range; in microjoules."""

    path: Path
    range: int
    last: int


class Rapl:
    """Energy counters of CPU packages and their memory."""

    def __init__(self, root: Path = _SYS) -> None:
        self._counters = list(_counters(root / "class/powercap"))

    def joules(self) -> float | None:
        """Return the energy since the last call; None if nothing can be read."""
        total, read = 0, False
        for one in self._counters:
            now = _number(one.path)
            if now is not None:
                total += now - one.last + (one.range if now < one.last else 0)
                one.last, read = now, True
        return total / _MICRO if read else None


def _counters(folder: Path) -> Iterator[_Counter]:
    for domain in sorted(folder.glob("intel-rapl:*")):  # AMD's have the same name
        name = _text(domain / "name")
        # Not "psys", which contains the packages, and not "core" and "uncore", their parts.
        if not name.startswith(("package", "dram")):
            continue
        path, most = domain / "energy_uj", _number(domain / "max_energy_range_uj")
        now = _number(path)
        if now is not None:
            yield _Counter(path, most or 0, now)


def machine_power(root: Path = _SYS) -> float | None:
    """Return the power of the whole machine in watts; None without a readable meter."""
    for meter in sorted((root / "class/hwmon").glob("hwmon*")):
        if _text(meter / "name") == "power_meter":
            microwatts = _number(meter / "power1_average")
            if microwatts is not None:
                return microwatts / _MICRO
    return None


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isascii() and text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
