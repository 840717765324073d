"""The result of a run."""

import math
from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from orchestrator.plan import Plan
from orchestrator.request import LenientRecord, Request

Status = Literal["ok", "failed", "planned"]
FailureKind = Literal[
    "out_of_memory",
    "timeout",
    "no_output",
    "crashed",
    "no_result",
    "contradiction",
    "unsupported",
    "image",
    "data",
    "engine",
    "interrupted",
]

# The ends of the throughput's 95 % interval, within this run.
INTERVAL = ("throughput_ci95_low", "throughput_ci95_high")


class Metric(LenientRecord):
    """A number with its unit."""

    value: float
    unit: str

    def plain(self) -> dict[str, Any]:
        """Return it for JSON, which has no NaN and no infinity, but somebody's file may."""
        return {"value": self.value if math.isfinite(self.value) else None, "unit": self.unit}


class Failure(LenientRecord):
    """Why there is no result: the kind, one line for the user, and the log line that shows it."""

    kind: FailureKind
    message: str
    evidence: str = ""


class StepSamples(LenientRecord):
    """Raw samples: seconds of each timed step, from step number `first`, samples per step."""

    first: int
    seconds: tuple[float, ...]
    samples: int


class Measurement(LenientRecord):
    """What a program's log says, derived only from the log by `orchestrator.parsers`.

    `failure` is set if the log itself shows that the run did not succeed. `warnings` are reasons to
    doubt the numbers, `notes` say what sound numbers do not cover.
    """

    program: str
    begin: dict[str, Any] = Field(default_factory=dict)
    fingerprint: str | None = None
    metrics: dict[str, Metric] = Field(default_factory=dict)
    steps: tuple[StepSamples, ...] = ()
    warmup: dict[str, float] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    failure: Failure | None = None
    notes: tuple[str, ...] = ()


class Result(LenientRecord):
    """The file `result.json` and what `--json` prints."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    benchdock: str
    run: str | None = None
    status: Status
    failure: Failure | None = None
    request: Request | None = None
    plan: Plan | None = None
    fingerprint: str | None = None
    metrics: dict[str, Metric] = Field(default_factory=dict)
    steps: tuple[StepSamples, ...] = ()
    program: dict[str, Any] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    environment: dict[str, Any] = Field(default_factory=dict)
    timings: dict[str, float] = Field(default_factory=dict)
    monitor: dict[str, Metric] = Field(default_factory=dict)
    exit_code: int | None = None
    started: datetime | None = None
    finished: datetime | None = None

    @property
    def framework_version(self) -> str | None:
        """Return the version that the program reports, else that of its image's banner."""
        container = self.environment.get("container")
        banner = container if isinstance(container, dict) else {}
        told = self.program.get("framework_version") or banner.get("framework_version")
        return str(told) if told else None
