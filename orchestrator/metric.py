"""A number with its unit, as results, parsers and the monitor record it."""

import math
from typing import Any

from orchestrator.request import LenientRecord

# The ends of the throughput's 95 % interval, within this run.
INTERVAL = ("throughput_ci95_low", "throughput_ci95_high")


class Metric(LenientRecord):
    """A number with its unit."""

    value: float
    unit: str

    def plain(self) -> dict[str, Any]:
        """Return it for JSON, which has no NaN and no infinity, but somebody's file may."""
        return {"value": self.value if math.isfinite(self.value) else None, "unit": self.unit}
