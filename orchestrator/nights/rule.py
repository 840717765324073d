"""The numbers of the rule. docs/nights.md explains each of them and shows how often it errs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When a night counts as slower or faster; shares of 1.

    floor: changes below this are never reported, however sure they are.
    suspect: a night that is off by less is not looked at again.
    limit: a change must exceed this many standard errors.
    stages: how many more runs a suspect night gets, one stage after the other.
    run_noise, night_noise: what is assumed of the noise of runs and of nights before there are
        enough of them to tell.
    """

    floor: float = 0.02
    suspect: float = 0.01
    limit: float = 4.5
    stages: tuple[int, ...] = (5, 10)
    run_noise: float = 0.01
    night_noise: float = 0.004


SERIES = Rule()
# For control series, which tell the machine from the framework: their image never changes, so they
# are steadier, and smaller changes of them mean something.
CONTROL = Rule(floor=0.01, suspect=0.007, run_noise=0.004, night_noise=0.002)
