"""Whether finished runs reproduce a claim."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.errors import ExitStatus
from orchestrator.published.collection import Claim
from orchestrator.reproduction.setup import Condition, Setup, other_version, ranked
from orchestrator.result import Result
from orchestrator.run.series import Measured, summarize
from orchestrator.units import share

FEWEST_RUNS = 3
LARGEST_SPREAD = 0.05

Word = Literal["reproduced", "not reproduced", "not comparable"]


@dataclass(frozen=True, kw_only=True)
class ClaimVerdict:
    """Whether a claim is reproduced; `ratio` is measured / published."""

    verdict: Word
    measured: Measured
    ratio: float
    tolerance: float
    unmet: tuple[Condition, ...]
    doubts: tuple[str, ...]

    @property
    def exit_status(self) -> ExitStatus:
        """Return 0 only if the claim was reproduced."""
        return ExitStatus.OK if self.verdict == "reproduced" else ExitStatus.GATE_MISSED

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "verdict": self.verdict,
            "measured": self.measured.as_json(),
            "ratio": self.ratio,
            "tolerance": self.tolerance,
            "conditions": [condition.as_json() for condition in self.unmet],
            "doubts": list(self.doubts),
        }


def verdict_on(claim: Claim, setup: Setup, results: Sequence[Result]) -> ClaimVerdict:
    """Compare finished runs with a claim. Raises ValueError if there are fewer than two."""
    measured = summarize([result.metrics["throughput"].value for result in results])
    unmet = ranked([*setup.unmet, *_found_out(claim, setup, results)])
    judged = Setup(planned=setup.planned, why_not="", unmet=unmet)
    ratio = measured.throughput / claim.throughput
    verdict: Word = "not comparable"
    if judged.comparable:
        near = abs(ratio - 1) <= judged.tolerance
        verdict = "reproduced" if near else "not reproduced"
    return ClaimVerdict(
        verdict=verdict,
        measured=measured,
        ratio=ratio,
        tolerance=judged.tolerance,
        unmet=unmet,
        doubts=(*_doubts(claim, measured, judged), *_said(results)),
    )


def _found_out(claim: Claim, setup: Setup, results: Sequence[Result]) -> Iterator[Condition]:
    """Yield what only the runs themselves show."""
    told = next((version for r in results if (version := r.framework_version)), "")
    known = {condition.name for condition in setup.unmet}
    wanted = claim.version if claim.container is None else None
    if not wanted or not told or "framework version" in known:
        return
    if told.partition("+")[0] != wanted.partition("+")[0]:
        yield other_version("framework version", wanted, told)


def _doubts(claim: Claim, measured: Measured, setup: Setup) -> Iterator[str]:
    yield from (f"the claim: {doubt}" for doubt in claim.doubts())
    spread = max(measured.runs) / min(measured.runs) - 1
    if spread > LARGEST_SPREAD:
        yield f"the runs differ from each other by up to {share(spread)}"
    edges = ((1 - setup.tolerance), (1 + setup.tolerance))
    low = measured.low / claim.throughput
    high = math.inf if measured.high is None else measured.high / claim.throughput
    if setup.comparable and any(low < edge < high for edge in edges):
        yield "the interval extends beyond the tolerance: use more --runs to be more certain"


def _said(results: Sequence[Result]) -> Iterator[str]:
    warnings = itertools.chain.from_iterable(result.warnings for result in results)
    yield from dict.fromkeys(warnings)
