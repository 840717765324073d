"""What is kept of a night: one JSON file, from which reports, mails and the next night are made.

Throughputs are in samples per second, changes and shares of 1, times in seconds since 1970.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from orchestrator.nights.judgement import Verdict
from orchestrator.request import LenientRecord

# Whether a slower series means a slower framework or a slower machine; None if it is unknown.
Cause = Literal["framework", "machine"]


class NightRun(LenientRecord):
    """A run of a series. `result` is the name of its folder; `trust` is the verdict on the result.

    `extra` marks a run that was made to confirm a suspicion. `throughput` is None if it failed.
    """

    result: str
    status: Literal["completed", "failed", "skipped"]
    throughput: float | None = None
    trust: Literal["valid", "suspect", "invalid"] | None = None
    extra: bool = False
    started: float = 0.0
    seconds: float = 0.0
    message: str = ""


class NightChange(LenientRecord):
    """Something that is not as it was when the baseline was measured, such as the driver."""

    label: str
    before: str
    after: str


class NightJudgement(LenientRecord):
    """`judgement.Judgement`, as it is stored."""

    verdict: Verdict
    sentence: str = ""
    value: float | None = None
    baseline: float | None = None
    change: float | None = None
    limit: float | None = None
    resolution: float | None = None
    run_noise: float | None = None
    night_noise: float | None = None
    nights: int = 0
    extra: tuple[float, ...] = ()


class NightSeries(LenientRecord):
    """A series in one night.

    key: identifies the series on this machine, also on the command line.
    muted: why nobody wants to hear of it tonight.
    accepted: tonight is the first night of a new level.
    """

    key: str
    title: str
    group: str = ""
    model: str = ""
    framework: str = ""
    phase: str = ""
    control: bool = False
    runs: tuple[NightRun, ...] = ()
    judgement: NightJudgement
    cause: Cause | None = None
    changed: tuple[NightChange, ...] = ()
    muted: str | None = None
    accepted: bool = False


class NightAdvice(LenientRecord):
    """A slow change that several weeks show, of a series or a group of them."""

    subject: str
    since: date
    step: float
    t: float


class Night(LenientRecord):
    """A night of one suite on one machine; `night` is the local date on which it started."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    night: date
    suite: str
    session: str
    machine: str
    started: float
    finished: float
    facts: dict[str, str] = Field(default_factory=dict)
    series: tuple[NightSeries, ...] = ()
    advice: tuple[NightAdvice, ...] = ()
    problems: tuple[str, ...] = ()
