"""A night as JUnit XML, which Jenkins, GitLab and others show as tests: one per series.

The format has no standard. This is what the schema of Jenkins' xUnit plugin allows: numbers are in
`system-out`, because `properties` of a test case are outside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from orchestrator.nights import telling
from orchestrator.nights.record import Night, NightSeries
from orchestrator.units import SAMPLES_PER_SECOND, quantity

_KINDS = ("failure", "error", "skipped")


def text(night: Night) -> str:
    """Return the document."""
    kinds = [_kind(one) for one in night.series]
    suite = Element("testsuite", _attributes(night, kinds))
    for one, (kind, why) in zip(night.series, kinds, strict=True):
        _case(suite, one, kind, why)
    if night.problems:
        SubElement(suite, "system-err").text = _plain("\n".join(night.problems))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _attributes(night: Night, kinds: list[tuple[str, str]]) -> dict[str, str]:
    counts = [sum(kind == one for kind, _ in kinds) for one in _KINDS]
    return {
        "name": night.suite,
        "timestamp": f"{datetime.fromtimestamp(night.started, UTC):%Y-%m-%dT%H:%M:%S}",
        "hostname": _plain(night.facts.get("host", "unknown")),
        "tests": str(len(kinds)),
        "failures": str(counts[0]),
        "errors": str(counts[1]),
        "skipped": str(counts[2]),
        "time": f"{max(0.0, night.finished - night.started):.3f}",
    }


def _case(suite: Element, one: NightSeries, kind: str, why: str) -> None:
    seconds = sum(run.seconds for run in one.runs)
    told = {
        "classname": f"{suite.get('name')}.{one.group or 'series'}",
        "name": _plain(f"{one.title} [{one.key}]"),
        "time": f"{seconds:.3f}",
    }
    case = SubElement(suite, "testcase", told)
    if kind:
        SubElement(case, kind, {"message": _plain(why)})
    SubElement(case, "system-out").text = _plain("\n".join(_numbers(one)))


def _kind(one: NightSeries) -> tuple[str, str]:
    """Return the element that says what is wrong, with its message; "" if nothing is."""
    sentence = one.judgement.sentence
    if one.muted is not None:
        return ("skipped", f"muted: {one.muted}") if _is_wrong(one) else ("", "")
    if telling.missing(one):
        return "error", telling.failed(one)
    match one.judgement.verdict:
        case "regressed":
            return "failure", f"{'the machine: ' if one.cause == 'machine' else ''}{sentence}"
        case "no data":
            return "skipped", sentence
        case _:
            return "", ""


def _is_wrong(one: NightSeries) -> bool:
    return bool(telling.missing(one)) or one.judgement.verdict in ("regressed", "no data")


def _numbers(one: NightSeries) -> Iterator[str]:
    judged = one.judgement
    yield f"{judged.verdict}: {judged.sentence}"
    for name, value in (("tonight", judged.value), ("baseline", judged.baseline)):
        if value is not None:
            yield f"{name}: {quantity(value, SAMPLES_PER_SECOND)}"
    if judged.resolution is not None:
        yield f"one night can show {judged.resolution * 100:.1f} %"
    for run in one.runs:
        figure = f"{run.throughput!r} samples/s" if run.throughput else run.message or run.status
        yield f"run {run.result or '-'}: {figure}{' (to be sure)' if run.extra else ''}"
    for change in one.changed:
        yield f"changed: {change.label} from {change.before} to {change.after}"


def _plain(told: str) -> str:
    """Return text without the characters that XML 1.0 does not allow."""
    return "".join(
        letter if letter in "\t\n" or " " <= letter <= "\ud7ff" or "\ue000" <= letter <= "\ufffd"
        or letter > "\uffff" else "\ufffd"
        for letter in told
    )  # fmt: skip
