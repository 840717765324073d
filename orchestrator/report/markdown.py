"""A night in Markdown, for a pull request or a chat."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator import table
from orchestrator.nights.record import Night
from orchestrator.nights.telling import failed
from orchestrator.report import findings
from orchestrator.report.status import STATUSES, kind
from orchestrator.ui.text import clean
from orchestrator.units import DIMENSIONLESS, quantity

_SPECIAL = re.compile(r"([\\`*_\[\]|~<>$&])")
# What starts a list, a heading or a number of a list.
_START = re.compile(r"^([-+#](?=\s|#)|\d+(?=[.)](?:\s|$)))")
_TICKS = re.compile(r"`+")


def text(told: str) -> str:
    """Return text that Markdown shows as it is, in which nobody is mentioned and nothing linked."""
    # An invisible mark after @ and before :// keeps a site from making a mention or a link.
    safe = clean(told).replace("@", "@\u2060").replace("://", ":\u2060//")
    return _START.sub(_escaped_start, _SPECIAL.sub(r"\\\1", safe))


def _escaped_start(found: re.Match[str]) -> str:
    return f"{found[0]}\u2060" if found[0].isdigit() else f"\\{found[0]}"


def code(told: str) -> str:
    """Return text as code, also if it contains backticks."""
    safe = clean(told).replace("|", "\u2223")
    fence = "`" * (1 + max((len(found) for found in _TICKS.findall(safe)), default=0))
    pad = " " if safe.startswith("`") or safe.endswith("`") else ""
    return f"{fence}{pad}{safe}{pad}{fence}" if safe else ""


def markdown(night: Night, *, every: bool) -> str:
    """Return the night; `every` adds a row per series."""
    return "\n".join(_lines(night, every=every)) + "\n"


def _lines(night: Night, *, every: bool) -> Iterator[str]:
    yield f"### {text(night.suite)}, night of {text(str(night.night))}"
    yield ""
    yield f"**{text(findings.headline(night))}.**"
    for note in night.problems:
        yield f"\n> {text(note)}"
    if found := findings.notable(night):
        yield ""
        yield from _table(found)
        yield from _details(found)
    for one in findings.partly_failed(night):
        yield f"- {text(failed(one))}"
    if machine := findings.by_machine(night):
        yield f"\nSlower with the machine: {', '.join(text(one.title) for one in machine)}."
    if night.advice:
        yield "\nOver weeks:\n"
        yield from (f"- {text(f'{one.subject}: {one.said}')}" for one in findings.advice(night))
    if every:
        yield from _every(night)


def _table(found: list[findings.Finding]) -> Iterator[str]:
    rows = [
        [
            f"{one.status.symbol} {one.status.word}",
            text(one.series.title),
            text(f"{one.before} → {one.after}" if one.change else ""),
            f"**{text(one.change)}**" if one.change else "",
            text(one.interval),
        ]
        for one in found
    ]
    titles = ("", "series", "before → after", "change", "95 % interval")
    yield table.markdown(titles, rows, right=(2, 3, 4)).rstrip("\n").replace("\\\\|", "\\|")


def _details(found: list[findings.Finding]) -> Iterator[str]:
    yield ""
    for one in found:
        parts = [one.confirmed, one.explanation]
        if one.changed:
            parts.append(f"changed: {', '.join(one.changed)}")
        told = "; ".join(filter(None, parts))
        accept = f"; accept it with {code(one.accept)}" if one.accept else ""
        yield f"- {text(one.series.title)}: {text(told)}{accept}"


def _every(night: Night) -> Iterator[str]:
    yield "\n<details><summary>All series</summary>\n"
    rows = [
        [
            text(one.title),
            "" if one.judgement.value is None else quantity(one.judgement.value, DIMENSIONLESS),
            text(findings.signed(one.judgement.change)),
            f"{STATUSES[kind(one)].symbol} {STATUSES[kind(one)].word}",
        ]
        for one in night.series
    ]
    titles = ("series", "samples/s", "change", "verdict")
    yield table.markdown(titles, rows, right=(1, 2)).rstrip("\n").replace("\\\\|", "\\|")
    yield "\n</details>"
