"""What the database keeps of a run, as plain values."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestrator.frameworks import catalogue
from orchestrator.paths import RunFolder
from orchestrator.record_files import LARGEST_NOTE, read_json
from orchestrator.request import Request
from orchestrator.result import Metric, Result
from orchestrator.store import identity

# The first of these metrics that a result has.
_NUMBERS = {
    "throughput": ("throughput",),
    "p50": ("latency_median", "step_time_median"),
    "p99": ("latency_p99", "step_time_p99"),
    "energy": ("energy_per_sample",),
    "memory": ("peak_memory",),
}
Values = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A run as rows of the tables of these names; `run` has no keys of other tables.

    `machine` and `session` are the keys of theirs; `session` is empty outside of any session.
    """

    machine: Values
    series: Values
    session: Values
    run: Values
    tags: tuple[str, ...]

    @property
    def series_key(self) -> tuple[str, str]:
        """Return what identifies its series."""
        return self.series["what"], self.series["place"]


def of(folder: RunFolder, result: Result, *, imported: bool) -> Row:
    """Return what the database keeps of a run that has a result."""
    told = session(folder)
    machine = _machine(result, told.pop("node", None))
    return Row(
        machine=machine,
        series=_series(result, machine["key"]),
        session=told,
        run={
            "name": folder.run_id,
            "imported": imported,
            "pass": _whole(told.pop("pass", None)),
            **_times(folder, result),
            **_outcome(result),
            **_versions(result),
        },
        tags=tags(folder),
    )


def tags(folder: RunFolder) -> tuple[str, ...]:
    """Return the tags that the user gave a run, sorted."""
    told = read_json(folder.tags, LARGEST_NOTE)
    return tuple(sorted({str(plain(str(one))) for one in told})) if isinstance(told, list) else ()


def as_text(told: Any) -> str:
    """Return plain values as JSON for a database."""
    return json.dumps(plain(told), ensure_ascii=True, separators=(",", ":"))


def plain(told: Any) -> Any:
    """Return a value as JSON has it, without what databases refuse: NUL, NaN and infinity."""
    if isinstance(told, str):
        return _text(told)
    if isinstance(told, float):
        return told if math.isfinite(told) else None
    if isinstance(told, Mapping):
        return {str(_text(str(key))): plain(value) for key, value in told.items()}
    if isinstance(told, list | tuple):
        return [plain(value) for value in told]
    return told


def _text(told: str | None) -> str | None:
    """Return text without NUL and half characters."""
    if told is None:
        return None
    return told.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _whole(told: object) -> int | None:
    return told if isinstance(told, int) and 0 <= told < 2**31 else None


def session(folder: RunFolder) -> Values:
    """Return the session that started a run, with the run's number of `pass`; {} if none did."""
    told = read_json(folder.session, LARGEST_NOTE)
    if not isinstance(told, dict) or not isinstance(told.get("name"), str):
        return {}
    texts = {key: told.get(key) for key in ("name", "suite", "digest", "night")}
    kept = {key: _text(text) if isinstance(text, str) else None for key, text in texts.items()}
    return {**kept, "pass": told.get("pass"), **_node(told.get("slurm"))}


def _node(where: Any) -> Values:
    """Return the node of a cluster on which a session's run was made; nothing on one machine."""
    node = where.get("node") if isinstance(where, dict) else None
    return {"node": _text(node)} if isinstance(node, str) and node else {}


def _machine(result: Result, node: str | None) -> Values:
    """Describe the machine. Nodes of a cluster may share an image and its id: their names count."""
    told = result.environment.model_dump(mode="json")
    facts = {
        key: told.get(key)
        for key in ("hostname", "os", "architecture", "memory_total", "cpu", "gpu")
    }
    key = told.get("machine") or f"host {facts['hostname'] or 'unknown'}"
    key = f"{key} {node}" if node else key
    return {"key": _text(str(key)), "facts": facts}


def _series(result: Result, machine: str) -> Values:
    plan, request = result.plan, result.request
    if plan is None or request is None:
        return _undecided(result, machine)
    cpu = result.environment.cpu
    told = identity.decided(request, plan)
    return {
        "what": identity.what(request, plan),
        "place": identity.place(
            machine,
            gpus=plan.gpus,
            cpu=_known(cpu.model) if cpu else None,
            cpus=_known(cpu.affinity) if cpu else None,
        ),
        "decided": True,
        **_names(told),
        "request": told,
    }


def _undecided(result: Result, machine: str) -> Values:
    """Describe a run without a plan: by its request, or by what its log says."""
    if result.request is not None:
        told = result.request.model_dump(mode="json", exclude_defaults=True)
        told = identity.without_values({"env": {}, **told})
        told |= {"framework": catalogue.without_alias(result.request.framework)}
        told |= {"phase": result.request.phase, "dtype": result.request.dtype}
        told |= _requested_devices(result.request)
    else:
        stated = result.program.stated()
        told = {key: stated[key] for key in _TOLD_BY_LOG if key in stated}
    return {
        "what": identity.undecided(plain(told)),
        "place": identity.place(machine),
        "decided": False,
        **_names(told),
        "request": told,
    }


_TOLD_BY_LOG = ("model", "framework", "phase", "dtype", "batch", "device", "devices")


def _requested_devices(request: Request) -> Values:
    """Return what the request says without a plan; which GPUs "all" means is decided later."""
    if request.is_for_cpu:
        return {"device": "cpu", "devices": request.ranks or 1}
    gpus = request.gpus
    return {"device": "gpu", "devices": len(gpus)} if isinstance(gpus, tuple) and gpus else {}


def _names(told: Mapping[str, Any]) -> Values:
    words = {key: told.get(key) for key in ("model", "framework", "phase", "dtype", "device")}
    counts = {key: told.get(key) for key in ("batch", "devices")}
    return {
        **{key: _text(word) if isinstance(word, str) else None for key, word in words.items()},
        **{
            key: count if isinstance(count, int) and 0 <= count <= 2**53 else None
            for key, count in counts.items()
        },
    }


def _times(folder: RunFolder, result: Result) -> Values:
    return {
        "started": _seconds(folder.made or result.started),
        "finished": _seconds(result.finished),
    }


def _seconds(told: datetime | None) -> float:
    """Return seconds since 1970, 0 if unknown."""
    try:
        return told.timestamp() if told is not None else 0.0
    except (OverflowError, ValueError, OSError):  # year 1 or 9999
        return 0.0


def moment(seconds: float) -> datetime | None:
    """Return a time of the database, None if unknown."""
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds else None
    except (OverflowError, ValueError, OSError):  # year 0 or 10000
        return None


def _outcome(result: Result) -> Values:
    known = {**result.derived, **result.metrics}
    numbers = {name: _first(known, metrics) for name, metrics in _NUMBERS.items()}
    throughput = result.metrics.get("throughput")
    failure = result.failure
    said: Values = {"warnings": list(result.warnings)}
    if failure is not None:
        said["failure"] = {"kind": failure.kind, "message": failure.message}
    return {
        "status": result.status,
        "failure": failure.kind if failure else None,
        "trust": result.verdict.trust if result.verdict else None,
        **numbers,
        "unit": _text(throughput.unit) if throughput else None,
        "warnings": len(result.warnings),
        "metrics": as_text({name: [one.value, one.unit] for name, one in known.items()}),
        "said": as_text(said),
    }


def _first(metrics: Mapping[str, Metric], names: tuple[str, ...]) -> float | None:
    for name in names:
        if name in metrics:
            return metrics[name].value if math.isfinite(metrics[name].value) else None
    return None


def _versions(result: Result) -> Values:
    gpu = result.environment.gpu
    return {
        "image_digest": _text(result.plan.image_digest) if result.plan else None,
        "driver": _known(gpu.driver) if gpu else None,
        "framework_version": _text(result.framework_version),
        "benchdock": _text(result.benchdock),
    }


def _known(told: Any) -> str | None:
    return _text(str(told)) if told else None
