"""What would run for a claim here, and which of its conditions that leaves unmet, as records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.machine.gpu_facts import GpuReport
from orchestrator.published.claim_rules import Effect
from orchestrator.request import Request, RuntimeChoice
from orchestrator.units import share

# Other laboratories came within 2 % with the same container on the same GPU, and within 7 % with
# containers some months apart (OneFlow's DLPerf against NVIDIA's numbers, V100).
EQUAL_SETTINGS = 0.05
ACROSS_SYSTEMS = 0.10

# What usually matters most comes first.
RANKING = (
    "network", "program", "GPU", "GPU count", "CPU", "precision", "flag", "batch", "container",
    "framework version", "data", "system",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class World:
    """What this machine has; `no_engine` says why no container engine answers, or is empty."""

    gpus: GpuReport
    cpu: str
    no_engine: str = ""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the user adds to a claim, and what a claim of their own says beyond a published one."""

    data: Path | None = None
    steps: int | None = None
    warmup: int | None = None
    runtime: RuntimeChoice = RuntimeChoice.AUTO
    timeout: float | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    source: Path | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition of a claim that is not met here, and what that does to the verdict."""

    name: str
    claimed: str
    here: str
    effect: Effect
    why: str

    @property
    def consequence(self) -> str:
        """Say it in words."""
        if self.effect == "none":
            return "not comparable"
        return f"{share(ACROSS_SYSTEMS)} tolerated instead of {share(EQUAL_SETTINGS)}"

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**vars(self), "consequence": self.consequence}


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What would run: None with the reason where nothing can; conditions unmet, by importance."""

    request: Request | None
    why_not: str
    unmet: tuple[Condition, ...]

    @property
    def comparable(self) -> bool:
        """Whether a measurement could reproduce the claim at all."""
        return all(condition.effect != "none" for condition in self.unmet)

    @property
    def tolerance(self) -> float:
        """The share by which the throughputs may differ."""
        return ACROSS_SYSTEMS if self.unmet else EQUAL_SETTINGS

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        request = self.request
        return {
            "request": request.model_dump(mode="json", by_alias=True) if request else None,
            "why_not": self.why_not or None,
            "comparable": self.comparable,
            "tolerance": self.tolerance,
            "conditions": [condition.as_json() for condition in self.unmet],
        }


def ranked(unmet: Sequence[Condition]) -> tuple[Condition, ...]:
    """Return the conditions in the order of `RANKING`."""
    return tuple(sorted(unmet, key=lambda condition: RANKING.index(condition.name)))


def incomparable(name: str, claimed: str, here: str, why: str) -> Condition:
    """Return a condition without which there is nothing to compare."""
    return Condition(name=name, claimed=claimed, here=here, effect="none", why=why)


def other_version(name: str, claimed: str, here: str) -> Condition:
    """Return the condition of a framework or image that is some releases away."""
    why = "other versions of a framework are some percent faster or slower"
    return Condition(name=name, claimed=claimed, here=here, effect="looser", why=why)
