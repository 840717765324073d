"""The verdict on a result, as it is filed."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Literal

from orchestrator.request import LenientRecord

Trust = Literal["valid", "suspect", "invalid"]
Level = Literal["note", "suspect", "invalid"]

# From best to worst.
TRUSTS: tuple[Trust, ...] = ("valid", "suspect", "invalid")
_LEVELS: tuple[Level, ...] = ("note", "suspect", "invalid")


class Code(StrEnum):
    """What a reason is about: the codes that this version of benchdock gives."""

    DRIFT = "drift"
    TWO_SPEEDS = "two_speeds"
    FEW_STEPS = "few_steps"
    THROTTLED = "throttled"
    LOW_CLOCK = "low_clock"
    FOREIGN_PROCESS = "foreign_process"
    GPU_SILENT = "gpu_silent"
    GPU_IDLE = "gpu_idle"
    POWER_LIMIT = "power_limit"
    XID = "xid"
    MEMORY_ERRORS = "memory_errors"
    BOARD_STATE = "board_state"
    PCIE_LINK = "pcie_link"
    BUSY_HOST = "busy_host"
    CPU_STOLEN = "cpu_stolen"
    SLOW_INPUT = "slow_input"
    MEMORY_FULL = "memory_full"
    LIMIT_MISSED = "limit_missed"
    ISOLATION = "isolation"


class Reason(LenientRecord):
    """One reason of a verdict, with a sentence.

    `code` is one of `Code`, or of a later version. A note does not make a result suspect.
    """

    code: str
    level: Level
    text: str

    @property
    def words(self) -> str:
        """Return the code as words."""
        return self.code.replace("_", " ")


class Verdict(LenientRecord):
    """How far to trust a result, with all reasons, worst first."""

    trust: Trust
    reasons: tuple[Reason, ...] = ()

    @classmethod
    def of(cls, reasons: Collection[Reason]) -> Verdict:
        """Return the verdict that these reasons lead to: the worst of them decides."""
        ordered = sorted(reasons, key=lambda one: -_LEVELS.index(one.level))
        worst = _LEVELS.index(ordered[0].level) if ordered else 0
        return cls(trust=TRUSTS[worst], reasons=tuple(ordered))

    def reaches(self, required: Trust) -> bool:
        """Whether it is at least as good as required."""
        return TRUSTS.index(self.trust) <= TRUSTS.index(required)

    def in_words(self, said: Collection[str] = ()) -> str:
        """Return the verdict and its reasons in one line.

        A reason whose sentence was `said` elsewhere is only named.
        """
        parts: dict[bool, list[str]] = {True: [], False: []}
        for one in self.reasons:
            text = one.words if one.text in said else one.text
            parts[one.level == "note"].append(text)
        decisive, notes = ("; ".join(dict.fromkeys(parts[note])) for note in (False, True))
        found = f"{self.trust}: {decisive}" if decisive else self.trust
        return f"{found} (note: {notes})" if notes else found
