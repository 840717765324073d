"""Whether a session reproduced the published numbers that its suite claims."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import BenchdockError, RequestError
from orchestrator.paths import RunFolder, runs
from orchestrator.published.collection import Claim
from orchestrator.record_files import read_file
from orchestrator.reproduction.claim_verdict import ClaimVerdict, verdict_on
from orchestrator.reproduction.setup import Setup
from orchestrator.result import Result
from orchestrator.suites.cells import Cell
from orchestrator.suites.summary import SeriesSummary
from orchestrator.units import SAMPLES_PER_SECOND, counted, quantity, share

# Fewer runs do not show how much they differ.
FEWEST = 2
SetUp = Callable[[Cell], tuple[Claim, Setup]]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The verdict on a claim, or why there is none."""

    claim: str
    published: float | None = None
    verdict: ClaimVerdict | None = None
    why_not: str = ""

    def __str__(self) -> str:
        if self.verdict is None or self.published is None:
            return f"claim {self.claim}: no verdict: {self.why_not}"
        told = self.verdict
        measured = quantity(told.measured.throughput, SAMPLES_PER_SECOND)
        words = [
            f"claim {self.claim}: {told.verdict}: {measured} measured",
            f"{quantity(self.published, SAMPLES_PER_SECOND)} published",
            f"{share(told.ratio)} of it, tolerance {share(told.tolerance)}",
        ]
        words += [f"not met: {one.name}" for one in told.unmet]
        return "; ".join(words)

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        told = self.verdict.as_json() if self.verdict else {"verdict": None, "why": self.why_not}
        return {"claim": self.claim, "published": self.published, **told}


def answer(series: SeriesSummary, set_up: SetUp) -> Answer:
    """Judge the runs of a claim; `set_up` returns it, and its setup on this machine."""
    name = series.cell.claim
    assert name is not None
    good = [end.run for end in series.ends if end.status == "ok" and end.run is not None]
    if len(good) < FEWEST:
        why = f"{counted(len(good), 'good run')}, which is too few; use repeat: 3"
        return Answer(claim=name, why_not=why)
    try:
        claim, setup = set_up(series.cell)
        results = [read_file(Result, RunFolder(runs() / run).result) for run in good]
        verdict = verdict_on(claim, setup, _measured(results))
    except BenchdockError as error:
        return Answer(claim=name, why_not=str(error))
    return Answer(claim=name, published=claim.throughput, verdict=verdict)


def _measured(results: list[Result]) -> list[Result]:
    """Return the results with a throughput. Raises RequestError if somebody removed it."""
    found = [result for result in results if "throughput" in result.metrics]
    if len(found) < FEWEST:
        raise RequestError("the results have no throughput any more")
    return found
