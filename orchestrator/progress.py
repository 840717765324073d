"""The progress of a program, as parsers report it and views show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orchestrator.units import SAMPLES_PER_SECOND

Stage = Literal["starting", "warmup", "timing", "comparing", "probing", "done"]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of a program.

    Steps are those of the stage: warm-up steps in `warmup`, timed ones after it, networks and
    levels in `comparing`. `throughput` is of the latest block, over all devices, in `unit`, which
    is not samples/s if the batch or the number of devices is unknown. `window` is the begin of the
    first timed step and the end of the last one so far, in seconds of the system's monotonic clock;
    None if the program does not print it. `last_lines` are at most ten
    lines of the log, of at most 300 characters each, safe to show on a terminal.
    """

    stage: Stage = "starting"
    steps_done: int = 0
    steps_total: int | None = None
    throughput: float | None = None
    unit: str = SAMPLES_PER_SECOND
    window: tuple[float, float] | None = None
    last_lines: tuple[str, ...] = ()
