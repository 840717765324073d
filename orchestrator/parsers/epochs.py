"""Common parts of PyTorch's and torchvision's training programs, which count epochs."""

from __future__ import annotations

from orchestrator.parsers import doubts
from orchestrator.parsers.log import Log
from orchestrator.parsers.numbers import Found
from orchestrator.parsers.run import Run
from orchestrator.parsers.windows import Added

# Facts that are only kept until the run's end.
_STEPS, _LAST = "epoch_steps", "last_step"


def note_step(log: Log, found: Found, added: Added) -> None:
    """Keep the step of a line and the number of steps of its epoch."""
    log.last_of(_STEPS, found.count("steps"), added, found.line)
    if added != "again":
        log.run.facts[_LAST] = found.count("step")
        log.run.notes.pop("tested", None)


def end(log: Log, found: Found) -> None:
    """Take a line after an epoch's last step."""
    del found
    log.run.notes["tested"] = 1


def doubt_end(run: Run) -> None:
    """Warn that the log ends within an epoch."""
    steps, last = run.facts.pop(_STEPS, 0), run.facts.pop(_LAST, 0)
    rest = steps - last - max(1, run.windows.usual_distance)
    if rest > 0 and not run.notes.get("tested"):
        doubts.end(run, f"the log ends at step {last} of {steps} of an epoch")


def count_devices(run: Run) -> None:
    """Count one device per printing rank, unless the number is known."""
    if run.devices is not None or run.ranks == 1:
        return
    if run.ranks_differ:
        run.fact("devices", run.ranks)
        run.warn(f"{run.ranks} ranks print, one device each: use --devices if there were more")
    else:
        run.warn(f"{run.ranks} ranks print the same, the figure is of one: use --devices")
