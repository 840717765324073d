"""The result of a run."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field

from orchestrator.facts import KNOWN, Fact
from orchestrator.machine.facts import MachineFacts
from orchestrator.metric import Metric as Metric  # noqa: PLC0414 - what results are made of
from orchestrator.plan import Count, Plan
from orchestrator.program_facts import ProgramFacts
from orchestrator.request import LenientRecord, Request
from orchestrator.trust.verdict import Verdict
from orchestrator.units import BYTES, quantity
from orchestrator.vendor_images.banner import Banner

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


class Environment(MachineFacts):
    """The machine of a run, and what its image says about itself."""

    container: Annotated[Banner | None, KNOWN, Fact("the image's banner, absent without one")] = (
        None
    )

    @classmethod
    def of(cls, machine: MachineFacts, banner: Banner | None = None) -> Self:
        """Put the facts of a machine and an image together."""
        said = {"container": banner} if banner and banner.model_fields_set else {}
        return cls.made_of({**machine.stated(), **said})


class PageCache(LenientRecord):
    """The state of the page cache that was prepared just before the program started.

    Of `bytes` of data `resident` were in memory, None if that is not known; `unverified` says why.
    """

    state: Literal["cold", "warm"]
    bytes: Count
    resident: Count | None = None
    unverified: str = ""

    def __str__(self) -> str:
        """Return it as text for the user."""
        if self.resident is None:
            return f"{self.state}, not verified: {self.unverified}"
        return f"{self.state}, verified: {self._inside()} in memory"

    def doubts(self) -> Iterator[str]:
        """Yield a warning if the cache is known to be in another state."""
        if self.state == "cold" and self.resident:
            yield f"{self._inside()} stayed in the page cache: a process has mapped the files"
        if self.state == "warm" and self.resident is not None and self.resident < self.bytes:
            yield f"only {self._inside()} are in the page cache: there is too little free memory"

    def _inside(self) -> str:
        resident, total = (quantity(size, BYTES) for size in (self.resident or 0, self.bytes))
        return f"{resident} of the {total} of data"


class Measurement(LenientRecord):
    """What a program's log says, derived only from the log by `orchestrator.parsers`.

    `failure` is set if the log itself shows that the run did not succeed. `warnings` are reasons to
    doubt the numbers, `notes` say what sound numbers do not cover.
    """

    program: str
    begin: ProgramFacts = ProgramFacts.made_of({})
    fingerprint: str | None = None
    metrics: dict[str, Metric] = Field(default_factory=dict)
    steps: tuple[StepSamples, ...] = ()
    warmup: dict[str, float] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    failure: Failure | None = None
    notes: tuple[str, ...] = ()


class Result(LenientRecord):
    """The file `result.json` and what `--json` prints.

    `derived` are figures that need more than the log: the network's operations, this machine's
    ceiling, the energy. There is no `verdict` on a run that measured nothing, and none in results
    of older versions.
    """

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
    derived: dict[str, Metric] = Field(default_factory=dict, exclude_if=lambda found: not found)
    steps: tuple[StepSamples, ...] = ()
    program: ProgramFacts = ProgramFacts.made_of({})
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    verdict: Verdict | None = Field(default=None, exclude_if=lambda found: found is None)
    environment: Environment = Environment.made_of({})
    timings: dict[str, float] = Field(default_factory=dict)
    monitor: dict[str, Metric] = Field(default_factory=dict)
    page_cache: PageCache | None = Field(default=None, exclude_if=lambda found: found is None)
    exit_code: int | None = None
    started: datetime | None = None
    finished: datetime | None = None

    @property
    def framework_version(self) -> str | None:
        """Return the version that the program reports, else that of its image's banner."""
        banner = self.environment.container
        return self.program.framework_version or (banner and banner.framework_version) or None
