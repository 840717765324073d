"""The three clocks of a run: first output, silence, total."""

from __future__ import annotations

from orchestrator.plan import Timeouts
from orchestrator.result import Failure


def expired(
    timeouts: Timeouts, *, now: float, started: float, last_output: float | None
) -> Failure | None:
    """Return the failure of the first clock that ran out; times are from one monotonic clock."""
    running = now - started
    if timeouts.total is not None and running >= timeouts.total:
        return Failure(
            kind="timeout",
            message=f"not finished after {timeouts.total:g} s; raise --timeout or lower --steps",
        )
    if last_output is None:
        if timeouts.first_output is not None and running >= timeouts.first_output:
            return Failure(
                kind="no_output",
                message=f"the program printed nothing for {timeouts.first_output:g} s; "
                "raise --first-output if it needs longer to start",
            )
        return None
    if timeouts.silence is not None and now - last_output >= timeouts.silence:
        return Failure(
            kind="timeout",
            message=f"the program printed nothing for {timeouts.silence:g} s; raise --silence if "
            "its steps take longer",
        )
    return None
