"""Results that no run gave, for tests of what is done with results."""

import math

from orchestrator.result import Metric, Result, StepSamples
from tests.fakes import plan
from tests.support import stand_in


def result(seconds=(0.5, 0.5, 0.5, 0.5), samples=2, *, request=None, **changes):
    """Return a result of these step times, with a plan that fits its request."""
    asked = stand_in.request(**(request or {}))
    usual = {
        "benchdock": "0.1.0",
        "run": "r",
        "status": "ok",
        "request": asked,
        "plan": plan(
            model=asked.model,
            batch=asked.batch,
            dtype=asked.dtype,
            phase=asked.phase,
            steps=asked.steps,
            options=asked.options,
        ),
        "fingerprint": "feed",
        "metrics": {
            "throughput": Metric(
                value=samples * len(seconds) / math.fsum(seconds), unit="samples/s"
            )
        },
        "steps": (StepSamples(first=0, seconds=tuple(seconds), samples=samples),),
        "environment": {"hostname": "here", "cpu": {"model": "A"}},
    }
    return Result(**usual | changes)
