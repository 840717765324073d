"""What one night says of a series, in one word and one symbol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orchestrator.nights.past import is_good
from orchestrator.nights.record import NightSeries

Kind = Literal[
    "regressed",
    "failed",
    "invalid",
    "missing",
    "ambiguous",
    "improved",
    "machine",
    "no data",
    "ok",
]


@dataclass(frozen=True, kw_only=True)
class Status:
    """A word and a symbol that can be told apart without colours; `style` names the colour."""

    symbol: str
    word: str
    style: str


# In the order of a report: what needs somebody comes first.
STATUSES: dict[Kind, Status] = {
    "regressed": Status(symbol="▼", word="regressed", style="worse"),
    "failed": Status(symbol="✗", word="failed", style="broken"),
    "invalid": Status(symbol="⊘", word="invalid", style="broken"),
    "missing": Status(symbol="○", word="not run", style="broken"),
    "ambiguous": Status(symbol="◆", word="ambiguous", style="open"),
    "improved": Status(symbol="▲", word="improved", style="better"),
    "machine": Status(symbol="▽", word="machine slower", style="open"),
    "no data": Status(symbol="·", word="no data", style="faint"),
    "ok": Status(symbol="✓", word="ok", style="fine"),
}
# Those that are told with all their details.
NOTABLE: tuple[Kind, ...] = (
    *("regressed", "failed", "invalid", "missing"),
    *("ambiguous", "improved"),
)


def kind(series: NightSeries) -> Kind:
    """Return what a night says of a series."""
    verdict = series.judgement.verdict
    if series.cause == "machine" and verdict == "regressed":
        return "machine"
    if verdict != "no data":
        return verdict
    if not series.runs or all(run.status == "skipped" for run in series.runs):
        return "missing"
    if not any(run.status == "completed" for run in series.runs):
        return "failed"
    return "no data" if any(map(is_good, series.runs)) else "invalid"
