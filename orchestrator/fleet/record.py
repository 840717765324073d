"""The records of a check: one of each node, and one of who started it."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from orchestrator.request import LenientRecord
from orchestrator.units import SECONDS

# Anything else is damaged, and would make differences that no number holds.
LEAST, MOST = 1e-15, 1e24
Value = Annotated[float, Field(gt=LEAST, lt=MOST)]
Source = Literal["probe", "control", "nccl_tests", "nvbandwidth", "iperf3"]


class Figure(LenientRecord):
    """What a node did, once per pass, in SI base units; of seconds fewer are better."""

    name: str
    unit: str
    source: Source
    values: tuple[Value, ...]

    @property
    def is_time(self) -> bool:
        """Whether less is better."""
        return self.unit == SECONDS


class Clock(LenientRecord):
    """What the kernel knows of the system's clock; None if it does not say.

    `error` is the largest error in seconds that the clock's source promises.
    """

    synchronised: bool | None = None
    error: float | None = None


class NodeRecord(LenientRecord):
    """What one check found on a node. Times are of its own clock.

    `hardware` is what nodes must have in common to be compared. `problems` are parts of the check
    that failed, `notes` doubts about its figures.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    node: str
    machine: str | None = None
    benchdock: str
    commit: str | None = None
    started: AwareDatetime
    finished: AwareDatetime
    clock: Clock = Clock()
    hardware: str
    driver: str | None = None
    passes: int
    figures: tuple[Figure, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Seen(LenientRecord):
    """When the one who started a check saw that a node began and ended, by the clock here."""

    began: AwareDatetime | None = None
    ended: AwareDatetime | None = None


class Launch(LenientRecord):
    """Which nodes were asked, by name, and what was seen of each.

    `absent` says why nodes of the partition were not asked.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    benchdock: str
    host: str
    partition: str
    started: AwareDatetime
    asked: tuple[str, ...]
    absent: dict[str, str] = Field(default_factory=dict)
    seen: dict[str, Seen] = Field(default_factory=dict)
    said: str = ""
