"""Whether the folder of `--source` holds the source code that a claim was measured with."""

from __future__ import annotations

import subprocess
from pathlib import Path

from orchestrator.machine import inventory
from orchestrator.published.collection import Claim
from orchestrator.published.setup import Condition

_PATIENCE = 10.0  # seconds
_SHORTEST = 7  # digits of a commit


def compare(claim: Claim, source: Path | None) -> Condition | None:
    """Return how the code differs from the claim's, None if it is the same or comes in the image.

    Code that nobody can identify counts as different, and the condition says so.
    """
    claimed = claim.code.revision if claim.code else None
    if source is None or claim.code is None:
        return None if source is None else _differs("not stated", _here(source))
    if claimed is None:
        return _differs(str(claim.code), _here(source))
    clone = _clone(source)
    if clone is None:
        return _differs(claimed, f"not verified: {source} is not of a git clone")
    head = inventory.commit(clone)
    if head is None:
        return _differs(claimed, f"not verified: {clone} has no commit checked out")
    if inventory.dirty(clone, source):
        return _differs(claimed, f"{head[:12]}, with changes that are not committed")
    same = _is_commit(claimed, head) or _same_files(clone, source, claimed)
    return None if same else _differs(claimed[:12], head[:12])


def date_of(source: Path) -> str:
    """Return the day of the commit that is checked out in a folder, "" if git cannot tell."""
    clone = _clone(source)
    return _git(clone, "log", "-1", "--format=%cs") if clone else ""


def _differs(claimed: str, here: str) -> Condition:
    why = "another state of a program may have other defaults, and be some percent faster or slower"
    return Condition(name="code", claimed=claimed, here=here, effect="looser", why=why)


def _here(source: Path) -> str:
    clone = _clone(source)
    head = inventory.commit(clone) if clone else None
    return head[:12] if head else f"not verified: {source} is not of a git clone"


def _clone(source: Path) -> Path | None:
    real = source.resolve()
    return next((one for one in (real, *real.parents) if (one / ".git").exists()), None)


def _is_commit(claimed: str, head: str) -> bool:
    return len(claimed) >= _SHORTEST and head.startswith(claimed)


def _same_files(clone: Path, source: Path, claimed: str) -> bool:
    """Whether the folder is, file by file, what it was at the claim's commit or tag."""
    inside = source.resolve().relative_to(clone)
    path = "" if inside == Path() else f"{inside}"
    there = _git(clone, "rev-parse", "--verify", "--quiet", f"{claimed}:{path}")
    return bool(there) and there == _git(clone, "rev-parse", "--verify", "--quiet", f"HEAD:{path}")


def _git(clone: Path, *words: str) -> str:
    # A clone may name a program of its own to watch files with: none is started.
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(clone), *words]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
