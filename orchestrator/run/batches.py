"""Looks for a batch size: one that fits in memory, or the one with the highest throughput."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator import stats
from orchestrator.errors import ExitStatus
from orchestrator.request import Request
from orchestrator.result import Result
from orchestrator.run import benchmark
from orchestrator.run.decision import decide
from orchestrator.run.facts import ThisMachine
from orchestrator.run.series import RunOnce
from orchestrator.run.sharing import EXCLUSIVE, Sharing
from orchestrator.units import SAMPLES_PER_SECOND
from orchestrator.view import View

PASSES = 3
# The search ends after so many doublings in a row that gain less than this share.
_MOST_IDLE = 2
_LEAST_GAIN = 0.02
# Throughputs this near count as the same: a smaller batch with it is as good.
NEAR = 0.01


def ran_out(result: Result) -> bool:
    """Whether a run failed because its memory was too small."""
    return result.failure is not None and result.failure.kind == "out_of_memory"


class Fit:
    """Runs a request, with half of the batch as long as it runs out of memory."""

    def __init__(self, new_view: Callable[[], View], share: Sharing = EXCLUSIVE) -> None:
        self._new_view = new_view
        self._share = share
        self._asked = 0
        self._batch: int | None = None

    def run(self, request: Request, title: str) -> tuple[Result, ExitStatus]:
        """Run until the batch fits; later calls start with the batch that did.

        The result names both batches in its notes. Raises what `benchmark.run` raises.
        """
        while True:
            result, status = self._try(request, title)
            batch = result.plan.batch if result.plan else None
            if not ran_out(result) or batch is None or batch == 1:
                return result, status
            self._asked = self._asked or batch
            self._batch = batch // 2

    def _try(self, request: Request, title: str) -> tuple[Result, ExitStatus]:
        if self._batch is None:
            return benchmark.run_in_view(request, self._new_view, title=title, share=self._share)
        request = request.model_copy(update={"batch": self._batch})
        decision = decide(request, ThisMachine())
        note = f"the batch is {self._batch} because {self._asked} ran out of memory (--fit-batch)"
        decided = replace(decision, notes=(*decision.notes, note))
        return benchmark.run_in_view(
            request, self._new_view, title=title, decided=decided, share=self._share
        )


@dataclass
class Tried:
    """The runs with one batch, in order; the last one may have failed."""

    batch: int
    results: list[Result] = field(default_factory=list)

    @property
    def throughputs(self) -> list[float]:
        """Return what was measured, in samples/s."""
        return [one.metrics["throughput"].value for one in self.results if one.failure is None]

    @property
    def median(self) -> float | None:
        """Return the median throughput in samples/s, None if no run worked."""
        return stats.median(self.throughputs) if self.throughputs else None

    @property
    def spread(self) -> float | None:
        """Return the coefficient of variation, None for fewer than two runs."""
        return stats.relative_spread(self.throughputs) if len(self.throughputs) > 1 else None

    @property
    def failure(self) -> str:
        """Return why a run failed, "" if none did."""
        return next((one.failure.message for one in self.results if one.failure is not None), "")

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "batch": self.batch,
            "throughput_median": self.median,
            "cv": self.spread,
            "unit": SAMPLES_PER_SECOND,
            "failure": self.failure or None,
            "runs": [one.run for one in self.results],
        }


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search for the fastest batch gave, by batch.

    `status` is not OK if a run ended it, `failure` says why the last batch or that run failed.
    """

    tried: tuple[Tried, ...]
    status: ExitStatus
    failure: str

    @property
    def best(self) -> Tried | None:
        """Return the batch with the highest median, None if nothing was measured."""
        return max(self._measured(), key=lambda one: one.median or 0.0, default=None)

    @property
    def enough(self) -> Tried | None:
        """Return the smallest batch that is as fast as the best one, within `NEAR`."""
        best = self.best
        least = (1 - NEAR) * (best.median or 0.0) if best else 0.0
        return next((one for one in self._measured() if (one.median or 0.0) >= least), None)

    def _measured(self) -> Iterator[Tried]:
        return (one for one in self.tried if one.median is not None)

    def as_json(self) -> dict[str, Any]:
        """Return plain values; each run's full result is in its folder."""
        best, enough = self.best, self.enough
        return {
            "schema": 1,
            "status": "ok" if self.status is ExitStatus.OK else "failed",
            "best": best.batch if best else None,
            "enough": enough.batch if enough else None,
            "batches": [one.as_json() for one in self.tried],
        }


def find(request: Request, passes: int, run: RunOnce) -> Found:
    """Double the batch until that gains nothing or runs out of memory, then repeat in passes.

    It starts with the batch of the request, or with 1. One pass after the other, so that a
    disturbance does not hit all runs of a batch. Raises what `benchmark.run` raises if not even
    the first batch gave a result.
    """
    tried: list[Tried] = []
    status = _double(request, passes, run, tried)
    last = tried[-1]
    for number in range(2, passes + 1):
        for one in tried:
            if status is ExitStatus.OK and not one.failure:
                status = _run(request, one, f"pass {number} of {passes}", run)
                last = one if one.failure else last
    return Found(tried=tuple(tried), status=status, failure=last.failure)


def _double(request: Request, passes: int, run: RunOnce, tried: list[Tried]) -> ExitStatus:
    """Make the first pass, which decides on the batches; append them to `tried`."""
    batch, best, idle = request.batch or 1, 0.0, 0
    while idle < _MOST_IDLE:
        tried.append(Tried(batch))
        status = _run(request, tried[-1], f"pass 1 of {passes}", run)
        if status is not ExitStatus.OK or tried[-1].failure:
            return status
        median = tried[-1].median or 0.0
        idle = 0 if median > (1 + _LEAST_GAIN) * best else idle + 1
        best = max(best, median)
        batch *= 2
    return ExitStatus.OK


def _run(request: Request, one: Tried, which: str, run: RunOnce) -> ExitStatus:
    """Run once; return OK also if the memory was too small, which only ends the doubling."""
    asked = request.model_copy(update={"batch": one.batch})
    result, status = run(asked, f"{which}: batch {one.batch}")
    one.results.append(result)
    return ExitStatus.OK if ran_out(result) else status
