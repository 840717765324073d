"""One stored run as a row of a list: what was measured, or why it is unknown."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from orchestrator.errors import RequestError
from orchestrator.frameworks import catalogue
from orchestrator.paths import RunFolder
from orchestrator.plan import Plan
from orchestrator.record_files import may_exist, read_file
from orchestrator.request import Device, Request
from orchestrator.result import Failure, Metric, Result, Status
from orchestrator.run import unfinished
from orchestrator.trust.verdict import Trust

# The monitor of a run writes once a second; a driver that hangs can delay it.
_FRESH_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A run in short; None is unknown.

    `why` says why its result cannot be read; such a run, and one without a result, is described by
    its request.
    """

    run: str
    folder: str
    status: Status | Literal["running", "no_result", "unreadable"]
    started: datetime | None
    model: str | None = None
    framework: str | None = None
    phase: str | None = None
    dtype: str | None = None
    batch: int | None = None
    device: Device | None = None
    devices: int | None = None
    throughput: Metric | None = None
    failure: Failure | None = None
    trust: Trust | None = None
    warnings: tuple[str, ...] = ()
    why: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        failure = self.failure
        return asdict(self) | {
            "started": self.started.isoformat() if self.started else None,
            "throughput": self.throughput.plain() if self.throughput else None,
            "failure": {"kind": failure.kind, "message": failure.message} if failure else None,
        }


def summarize(folder: RunFolder) -> Summary:
    """Read a run's result, or whatever is there instead."""
    try:
        result = read_file(Result, folder.result)
    except RequestError as error:
        return _without_result(folder, str(error))
    return Summary(
        run=folder.run_id,
        folder=str(folder.root),
        status=result.status,
        started=folder.made or result.started,
        **(_planned(result.plan) if result.plan else _asked(result.request)),
        throughput=result.metrics.get("throughput"),
        failure=result.failure,
        trust=result.verdict.trust if result.verdict else None,
        warnings=result.warnings,
    )


def _without_result(folder: RunFolder, why: str) -> Summary:
    there = may_exist(folder.result)
    try:
        request = read_file(Request, folder.request)
    except RequestError:
        request = None
    return Summary(
        run=folder.run_id,
        folder=str(folder.root),
        status="unreadable" if there else "running" if _is_running(folder) else "no_result",
        started=folder.made,
        **_asked(request),
        why=why if there else None,
    )


def _planned(plan: Plan) -> dict[str, Any]:
    return {
        "model": plan.model,
        "framework": plan.framework,
        "phase": plan.phase,
        "dtype": plan.dtype,
        "batch": plan.batch,
        "device": plan.device,
        "devices": plan.device_count,
    }


def _asked(request: Request | None) -> dict[str, Any]:
    """Return what the request says without a plan; which GPUs "all" means is decided later."""
    if request is None:
        return {}
    device, devices = None, None
    if request.is_for_cpu:
        device, devices = "cpu", request.ranks or 1
    elif isinstance(request.gpus, tuple) and request.gpus:
        device, devices = "gpu", len(request.gpus)
    elif request.devices is not None:
        device, devices = "gpu", request.devices
    return {
        "model": request.model,
        "framework": catalogue.without_alias(request.framework),
        "phase": request.phase,
        "dtype": request.dtype,
        "batch": request.batch,
        "device": device,
        "devices": devices,
    }


def _is_running(folder: RunFolder) -> bool:
    """Whether the benchdock of a run is alive.

    A note gives its process; one on another machine that shares this home cannot be seen from here.
    """
    lives = unfinished.lives(folder.run_id)
    if lives is not None:
        return lives
    try:
        return abs(time.time() - folder.monitor.stat().st_mtime) < _FRESH_SECONDS
    except OSError:
        return False
