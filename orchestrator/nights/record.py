"""What is kept of a night: one JSON file, from which reports, mails and the next night are made.

Throughputs are in samples per second, changes and shares of 1, times in seconds since 1970.
"""

from datetime import date
from typing import Literal

from pydantic import ConfigDict, Field

from orchestrator.nights.judgement import Verdict
from orchestrator.request import LenientRecord

# What made a series slower or faster; None if unknown. Everything that is neither the machine nor
# its driver counts as the framework.
Cause = Literal["framework", "machine", "driver"]
NOT_ITS_OWN: tuple[Cause, ...] = ("machine", "driver")
# The label of the GPUs' driver among the facts of a night.
DRIVER: Literal["driver"] = "driver"


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


class NightDecision(LenientRecord):
    """What somebody decided on a series, in the morning after the night of this `number`.

    accept: that night is the first one of a new level. mute: it is not reported until a day.
    auto: an improvement that held is the new level; nobody had to decide it.
    """

    kind: Literal["accept", "mute", "auto"]
    series: str
    night: int
    who: str
    why: str
    at: float
    until: date | None = None


class NightAttribution(LenientRecord):
    """What old and new image do in turns on the machine as it is now; shares of 1.

    change: by how much the new image differs from the old one.
    explained: this is at least half of the change that was found.
    old: by how much the old image differs from what it did when the baseline was measured.
    """

    before: str
    after: str
    pairs: int
    change: float
    explained: bool
    old: float | None = None


class NightSeries(LenientRecord):
    """A series in one night.

    key: identifies the series on this machine, also on the command line.
    request: the digest of what the suite requests; what, place: as in the database.
    facts: what may change it, such as `image` (its digest) and `framework` (its version).
    uncounted: why no later night is compared with this one; None if they are.
    muted: why nobody wants to hear of it tonight.
    accepted: tonight is the first night of a new level.
    decisions: those since the night before, and those that are still in force.
    """

    key: str
    title: str
    request: str = ""
    what: str = ""
    place: str = ""
    group: str = ""
    model: str = ""
    framework: str = ""
    phase: str = ""
    control: bool = False
    planned: int = 0
    runs: tuple[NightRun, ...] = ()
    judgement: NightJudgement
    cause: Cause | None = None
    changed: tuple[NightChange, ...] = ()
    attribution: NightAttribution | None = None
    facts: dict[str, str] = Field(default_factory=dict)
    uncounted: str | None = None
    muted: str | None = None
    accepted: bool = False
    decisions: tuple[NightDecision, ...] = ()


class NightAdvice(LenientRecord):
    """A slow change that several weeks show, of a series or a group of them."""

    subject: str
    since: date
    step: float
    t: float


class Night(LenientRecord):
    """A night of one suite on one machine; `night` is the local date on which it started.

    number: counts the nights of the suite from 1 and orders them, because clocks change.
    uncounted: why no later night is compared with this one; None if they are.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    number: int = 0
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
    uncounted: str | None = None
