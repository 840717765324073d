"""The search: the default, each other value of one option, then what helped, together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from orchestrator.errors import BenchdockError
from orchestrator.tuning import outcome
from orchestrator.tuning.outcome import By, Outcome
from orchestrator.tuning.space import DEFAULT, Change, Space

# The stages, which are names of groups in the suites that carry them out.
SINGLES, ALL, TOGETHER = "singles", "all", "together"


class Measure(Protocol):
    """Runs changes of a request in passes, and returns what each of them gave.

    What an earlier call of the same stage measured is not measured again.
    """

    def __call__(self, stage: str, changes: Sequence[Change], passes: int) -> Outcome:
        """Raise BenchdockError if the machine cannot go on."""


class DefaultFailedError(BenchdockError):
    """The request itself has no result, so there is nothing to compare with."""


def search(
    space: Space, measure: Measure, *, passes: int, by: By, everything: bool
) -> tuple[Outcome, ...]:
    """Return the outcomes of all stages; the search ends early if one is not complete.

    With `everything`, all combinations are tried in one stage. Raises DefaultFailedError if the
    default gives no result.
    """
    stage = ALL if everything else SINGLES
    first = measure(stage, (DEFAULT,), 1)
    if not first.default.speeds:
        if not first.complete:
            return (first,)
        raise DefaultFailedError(f"the default settings fail: {first.default.failure}")
    left = space.without(first.used)
    changes: Iterable[Change] = left.combinations() if everything else left.singles()
    found = _in_passes(measure, stage, (DEFAULT, *changes), passes)
    if everything or not found.complete:
        return (found,)
    more = outcome.together(found, by)
    if not more:
        return (found,)
    return found, measure(TOGETHER, (DEFAULT, found.best(by).change, *more), passes)


def _in_passes(measure: Measure, stage: str, changes: Sequence[Change], passes: int) -> Outcome:
    """Measure changes in passes, but those that fail in the first one only once."""
    first = measure(stage, changes, 1)
    failed = tuple(one for one in first.tries[1:] if not one.speeds)
    able = [one.change for one in first.tries if one not in failed]
    if not first.complete or passes == 1:
        return first
    found = measure(stage, able, passes)
    return replace(found, tries=(*found.tries, *failed))
