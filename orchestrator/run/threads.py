"""How many threads a program uses, and a warning if there are too many."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.frameworks.record import Framework
from orchestrator.request import Request
from orchestrator.run import demands


def per_process(framework: Framework, request: Request, devices: int, cpus: int) -> int:
    """Return the threads per process: what was requested, else its share of the CPUs."""
    return request.threads or max(1, cpus // _processes(framework, request, devices))


def notes(framework: Framework, request: Request, devices: int, cpus: int) -> Iterator[str]:
    """Warn if there are more threads than CPUs."""
    if request.threads is None:
        return
    processes = _processes(framework, request, devices)
    if request.threads * processes > cpus:
        who = f"{processes} processes of {request.threads}" if processes > 1 else request.threads
        yield f"{who} threads share {cpus} CPUs: they wait for each other"


def _processes(framework: Framework, request: Request, devices: int) -> int:
    return devices if framework.starts_processes(demands.options_of(framework, request)) else 1
