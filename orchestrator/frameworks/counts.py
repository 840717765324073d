"""Batch, steps and warm-up steps: what a request leaves open, and what a program supports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.frameworks.record import Framework
    from orchestrator.request import Device, Request


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What benchdock chooses if the request does not say. Warm-up ends by steps and by seconds."""

    batch: int
    steps: int
    warmup: int
    warmup_seconds: float


DEFAULTS: Mapping[Device, Defaults] = {
    "cpu": Defaults(batch=8, steps=20, warmup=3, warmup_seconds=0.0),
    "gpu": Defaults(batch=32, steps=100, warmup=20, warmup_seconds=2.0),
}


def settle(framework: Framework, request: Request, device: Device) -> tuple[int, int, int]:
    """Return (batch, steps, warm-up steps), with defaults for what the request leaves open.

    Raises RequestError if the warm-up would use up all steps, and for counts that a program does
    not support.
    """
    chosen = DEFAULTS[device]
    steps, warmup = framework.step_rules.settle(
        framework.name,
        steps=request.steps,
        warmup=request.warmup,
        usual=(chosen.steps, chosen.warmup),
    )
    return request.batch or chosen.batch, steps, warmup
