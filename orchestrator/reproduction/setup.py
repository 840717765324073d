"""Records of what would run for a claim here, and which of its conditions stay unmet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.published.claim_rules import Consequence, Effect
from orchestrator.request import Request, RuntimeChoice
from orchestrator.units import share

# Other labs came within 2 % with the same container on the same GPU, and within 7 % with containers
# some months apart (OneFlow's DLPerf against NVIDIA's numbers, V100).
EQUAL_SETTINGS = 0.05
ACROSS_SYSTEMS = 0.10

# Most important first; those from "data" on are the aspects of `reproduce.toml`.
RANKING = (
    "network", "program", "GPU", "GPU count", "CPU", "machines", "precision", "batch", "image size",
    "layout", "XLA", "variables", "parameter device", "weight update", "sparsity", "flag",
    "container", "framework version", "code", "data", "input pipeline", "all-reduce", "AMP",
    "optimizer", "optimizer batch", "mixup", "loss", "loss scale", "dropout", "system",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the user adds to a claim, and what a claim from a file says beyond a published one.

    `batch` is for a claim that states none. `claimed` are the options of a claim from a file,
    `options` those of the command line.
    """

    data: Path | None = None
    batch: int | None = None
    image: str | None = None
    steps: int | None = None
    warmup: int | None = None
    runtime: RuntimeChoice = RuntimeChoice.AUTO
    timeout: float | None = None
    claimed: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    source: Path | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition of a claim that is not met here, and its effect on the verdict.

    `tolerance` is the share by which throughputs may differ if it is looser.
    """

    name: str
    claimed: str
    here: str
    effect: Effect
    why: str
    tolerance: float = ACROSS_SYSTEMS

    @property
    def consequence(self) -> str:
        """Return the effect in words."""
        if self.effect == "none":
            return "not comparable"
        return f"{share(self.tolerance)} tolerated instead of {share(EQUAL_SETTINGS)}"

    def as_json(self) -> dict[str, Any]:
        """Return plain values; `tolerance` is None if nothing can be compared."""
        tolerance = None if self.effect == "none" else self.tolerance
        return {**vars(self), "tolerance": tolerance, "consequence": self.consequence}


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What would run, and the claim's unmet conditions, most important first.

    `planned` is that request, None if nothing here runs the claim on any machine. `why_not` says
    why it cannot run on this machine, or is empty; with `lacks_option` the user can change that by
    an option of the command.
    """

    planned: Request | None
    why_not: str
    unmet: tuple[Condition, ...]
    lacks_option: bool = False

    @property
    def request(self) -> Request | None:
        """The request that can run on this machine."""
        return None if self.why_not else self.planned

    @property
    def comparable(self) -> bool:
        """Whether a measurement could reproduce the claim at all."""
        return all(condition.effect != "none" for condition in self.unmet)

    @property
    def tolerance(self) -> float:
        """The share by which the throughputs may differ."""
        return max((condition.tolerance for condition in self.unmet), default=EQUAL_SETTINGS)

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "request": _plain(self.request),
            "planned": _plain(self.planned),
            "why_not": self.why_not or None,
            "comparable": self.comparable,
            "tolerance": self.tolerance,
            "conditions": [condition.as_json() for condition in self.unmet],
        }


def _plain(request: Request | None) -> dict[str, Any] | None:
    return request.model_dump(mode="json", by_alias=True) if request else None


def ranked(conditions: Sequence[Condition]) -> tuple[Condition, ...]:
    """Return the conditions in the order of `RANKING`."""
    return tuple(sorted(conditions, key=lambda condition: RANKING.index(condition.name)))


def incomparable(name: str, claimed: str, here: str, why: str) -> Condition:
    """Return a condition that leaves nothing to compare if it is not met."""
    return Condition(name=name, claimed=claimed, here=here, effect="none", why=why)


def unmet(name: str, claimed: str, here: str, consequence: Consequence) -> Condition:
    """Return an unmet condition with its effect from the table of rules."""
    return Condition(
        name=name,
        claimed=claimed,
        here=here,
        effect=consequence.effect,
        why=consequence.why,
        tolerance=consequence.tolerance or ACROSS_SYSTEMS,
    )


def other_version(name: str, claimed: str, here: str) -> Condition:
    """Return the condition of a framework or image that is some releases away."""
    why = "other versions of a framework are some percent faster or slower"
    return Condition(name=name, claimed=claimed, here=here, effect="looser", why=why)
