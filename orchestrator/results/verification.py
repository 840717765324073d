"""Checks a bundle from its contents only, on any machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import RequestError
from orchestrator.machine import inventory
from orchestrator.metric import INTERVAL
from orchestrator.parsers import parser_for as _parser_for
from orchestrator.parsers.collected import CollectedLog
from orchestrator.parsers.contract import LogParser
from orchestrator.paths import PROJECT
from orchestrator.plan import Plan
from orchestrator.record_files import read_record
from orchestrator.request import Request
from orchestrator.result import Measurement, Metric, Result
from orchestrator.results import agreement
from orchestrator.results.bundle import LAUNCHER, LOG, MONITOR, PLAN, REQUEST, Bundle
from orchestrator.run.hints import hints_of
from orchestrator.units import counted, quantity
from orchestrator.version import VERSION

_BLOCK = 2**20


@dataclass(frozen=True, kw_only=True)
class Check:
    """Something that was checked and is right."""

    name: str
    detail: str


def verify(path: Path) -> tuple[Result, tuple[Check, ...]]:
    """Check a whole bundle. Raises RequestError at the first mistake."""
    with Bundle.open(path) as bundle:
        bundle.check_hashes()
        result = bundle.result()
        checks = [
            Check(name="hashes", detail=f"{len(bundle.manifest.files)} files are unchanged"),
            _check_request(bundle, result),
        ]
        if result.plan is not None:
            checks.append(_check_plan(bundle, result, result.plan))
            checks.append(_check_agreement(bundle, result, result.plan))
            if LOG in bundle.names:
                checks.append(_check_log(bundle, result, result.plan))
        if result.status == "ok" and (result.plan is None or LOG not in bundle.names):
            raise _differs(path, "the result has a measurement, but the log or plan is missing")
    return result, tuple(checks)


def _check_request(bundle: Bundle, result: Result) -> Check:
    asked = read_record(Request, bundle.read(REQUEST), f"{REQUEST} of {bundle.path}")
    if asked != result.request:
        raise _differs(bundle.path, f"{REQUEST} is not the request of the result")
    return Check(name="request", detail=f"{REQUEST} is the result's")


def _check_plan(bundle: Bundle, result: Result, plan: Plan) -> Check:
    if PLAN not in bundle.names:
        raise _differs(bundle.path, f"the result has a plan, but {PLAN} is missing")
    if read_record(Plan, bundle.read(PLAN), f"{PLAN} of {bundle.path}") != plan:
        raise _differs(bundle.path, f"{PLAN} is not the plan of the result")
    if LAUNCHER in bundle.names and bundle.read(LAUNCHER) != plan.script.encode():
        raise _differs(bundle.path, f"{LAUNCHER} is not the script of the plan")
    if LAUNCHER not in bundle.names and result.status == "ok":
        raise _differs(bundle.path, f"{LAUNCHER} is missing")
    return Check(name="script", detail=f"{LAUNCHER} is the plan's, {PLAN} is the result's")


def _check_agreement(bundle: Bundle, result: Result, plan: Plan) -> Check:
    assert result.request is not None  # `_check_request` found the one of the file in it
    if MONITOR not in bundle.names and result.monitor:
        raise _differs(
            bundle.path, f"the result has figures of the monitor, but {MONITOR} is missing"
        )
    for found in agreement.of_plan(result, result.request, plan):
        raise _differs(bundle.path, str(found))
    detail = f"{REQUEST}, {PLAN} and {LAUNCHER} describe one run"
    if not agreement.is_by_this_version(result):
        detail += f"; only explicit statements were compared ({_versions(result)})"
    return Check(name="plan", detail=detail)


def _check_log(bundle: Bundle, result: Result, plan: Plan) -> Check:
    """Parse the log again: it must be of the planned run, and give the numbers of the result."""
    found = _parsed(bundle, result, plan)
    for disagreement in agreement.of_log(result, plan, found):
        raise _differs(bundle.path, str(disagreement))
    if result.status == "ok" and found.failure is not None:
        raise _differs(bundle.path, f"{LOG} is not of such a run: {found.failure.message}")
    for text in _contradictions(found, result):
        raise _differs(bundle.path, f"{text} ({_versions(result)})")
    if found.steps != result.steps:
        raise _differs(bundle.path, "the log has other step times than the result")
    if (found.fingerprint or plan.fingerprint) != result.fingerprint:
        raise _differs(bundle.path, "the log is of a different network than the result")
    told = result.metrics.get("throughput")
    detail = _written(told) if told else "no throughput, as the result says"
    if learnt := _learnt(found, result):
        detail += (
            f"; compared {counted(len(_comparable(result.metrics)), 'metric')}, and the log also "
            f"gives {', '.join(learnt)}, which this older result does not have"
        )
    if prefixes := found.begin.prefixes:
        detail += f", without the prefixes of {', '.join(prefixes)}"
    if _ends(found.metrics) != _ends(result.metrics):
        detail += f", with another interval than in the result ({_versions(result)})"
    return Check(name="log", detail=f"parsing it again gives {detail}")


def _comparable(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    """Return all but the interval: versions of benchdock derive it in different ways."""
    return {name: metric for name, metric in metrics.items() if name not in INTERVAL}


def _contradictions(found: Measurement, result: Result) -> list[str]:
    """Say which of the result's metrics the log no longer gives, or with another value.

    A metric that only the log gives contradicts a result of this version, but not an older one:
    parsers learn.
    """
    log, told = _comparable(found.metrics), _comparable(result.metrics)
    names = [name for name in told if log.get(name) != told[name]]
    if agreement.is_by_this_version(result):
        names += [name for name in log if name not in told]
    return [
        f"the log and the result disagree on {name} (log {_written(log.get(name))}, "
        f"result {_written(told.get(name))})"
        for name in names
    ]


def _learnt(found: Measurement, result: Result) -> list[str]:
    return [name for name in _comparable(found.metrics) if name not in result.metrics]


def _ends(metrics: Mapping[str, Metric]) -> list[Metric | None]:
    return [metrics.get(name) for name in INTERVAL]


def _parsed(bundle: Bundle, result: Result, plan: Plan) -> Measurement:
    """Read the log as the run did; if that gives another result, as `benchdock parse` does.

    A log that a collector wrote has the collector's prefixes.
    """
    found = _read(bundle, result, _parser_for(plan.program, hints_of(plan)))
    if not _contradictions(found, result):
        return found
    bare = _read(bundle, result, CollectedLog(lambda: _parser_for(plan.program, hints_of(plan))))
    return bare if bare.begin.prefixes is not None else found


def _read(bundle: Bundle, result: Result, parser: LogParser | CollectedLog) -> Measurement:
    with bundle.stream(LOG) as stream:
        while block := stream.read(_BLOCK):
            parser.feed(block)
    return parser.finish(result.exit_code)


def _written(metric: Metric | None) -> str:
    return quantity(metric.value, metric.unit) if metric else "nothing"


def _versions(result: Result) -> str:
    by, here = result.environment.commit, inventory.commit(PROJECT)
    written = " ".join((result.benchdock, str(by or "")[:12])).strip()
    read = " ".join((VERSION, (here or "")[:12])).strip()
    return f"result by benchdock {written}, read by {read}"


def _differs(path: Path, why: str) -> RequestError:
    line = " ".join(why.split())
    return RequestError(f"{path} contradicts itself: {line if line.isprintable() else ascii(line)}")
