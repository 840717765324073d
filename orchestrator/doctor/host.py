"""Checks of the host: benchdock itself, Python, memory, CPU, dead runs."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

from orchestrator import installation
from orchestrator.doctor.disk import GIB
from orchestrator.doctor.finding import Finding
from orchestrator.errors import BenchdockError
from orchestrator.machine import inventory
from orchestrator.runtimes.host import host_pip, processes, running
from orchestrator.units import quantity
from orchestrator.version import VERSION

MEMORY_WANTED = 4 * GIB


def installation_finding() -> Finding:
    """Check for missing files of benchdock itself."""
    lost = installation.missing()
    if not lost:
        detail = f"benchdock {VERSION} in {installation.PACKAGE}"
        return Finding(name="installation", state="ok", detail=detail, role="need")
    return Finding(
        name="installation",
        state="missing",
        detail=f"the benchdock installation has no {lost[0]}" + _and_others(len(lost) - 1),
        remedy=installation.repair(lost),
        role="need",
    )


def _and_others(count: int) -> str:
    return f" and {count} other files" if count else ""


def host_findings() -> Iterator[Finding]:
    """Check whether the host runtime works: bash, and a Python that can make environments."""
    lacking = []
    if shutil.which("bash") is None:
        lacking.append(("bash is not on PATH", "sudo apt-get install bash"))
    if find_spec("venv") is None:
        lacking.append(("this Python has no venv module", "sudo apt-get install python3-venv"))
    try:
        host_pip.command()
    except BenchdockError as error:
        lacking.append((error.what, error.hint))
    if not lacking:
        detail = f"bash, Python {platform.python_version()} with venv and pip"
        yield Finding(name="host runtime", state="ok", detail=detail, role="place")
    for detail, remedy in lacking:
        yield Finding(
            name="host runtime", state="missing", detail=detail, remedy=remedy, role="place"
        )


def memory_finding(meminfo: dict[str, int]) -> Finding:
    """Check whether there is enough memory for the larger networks."""
    available, total = meminfo.get("MemAvailable", 0), meminfo.get("MemTotal", 0)
    detail = f"{quantity(available, 'bytes')} of {quantity(total, 'bytes')} available"
    if available >= MEMORY_WANTED:
        return Finding(name="memory", state="ok", detail=detail)
    detail += ": large networks or batches will not fit"
    return Finding(
        name="memory", state="warning", detail=detail, remedy="ps aux --sort=-rss | head"
    )


def governor_findings(governors: Sequence[str]) -> Iterator[Finding]:
    """Report CPU frequency governors that keep the clock low."""
    slow = [name for name in governors if name in inventory.SLOW_GOVERNORS]
    if slow:
        yield Finding(
            name="CPU governor",
            state="warning",
            detail=f"{', '.join(slow)}: CPU measurements vary with the clock",
            remedy="sudo cpupower frequency-set -g performance",
        )
    elif governors:
        yield Finding(name="CPU governor", state="ok", detail=", ".join(governors))


def leftover_findings() -> Iterator[Finding]:
    """Look for processes of dead runs."""
    left = [one.run_id for one in running.leftovers() if processes.members(one.token)]
    if left:
        yield Finding(
            name="leftovers",
            state="warning",
            detail=f"processes of dead runs: {', '.join(left)}; the next run ends them",
            remedy="benchdock run alexnet -f pytorch --runtime host --steps 1",
        )
