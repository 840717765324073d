"""Checks that the folder of `--source` contains the source code that a claim was measured with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePath

from orchestrator.machine import git, inventory
from orchestrator.published.collection import Claim
from orchestrator.reproduction.setup import Condition
from orchestrator.units import counted

_PATIENCE = 10.0  # seconds
_SHORTEST = 7  # digits of a commit
# Documentation of a program, which has no effect.
_ABOUT = frozenset({".md", ".rst", ".png", ".jpg", ".svg"})


def compare(claim: Claim, source: Path | None) -> Iterator[Condition]:
    """Yield how the code differs from the claim's; without a folder the image's copy runs.

    Unidentified code counts as different, and the condition says so.
    """
    code = claim.code
    if source is None:
        if code is not None:
            yield _differs(str(code), "the copy in the image")
    elif code is None or code.revision is None:
        yield _differs(str(code or "not stated"), _here(source))
    elif other := _otherwise(source, code.revision):
        yield _differs(code.revision[:12], other)


def _otherwise(source: Path, claimed: str) -> str:
    """Say what a folder contains instead of the claimed revision, or ""."""
    clone = _clone(source)
    head = inventory.commit(clone) if clone else None
    if clone is None or head is None:
        return _here(source)
    if inventory.dirty(clone, source):
        return f"{head[:12]}, with uncommitted changes"
    changed = 0 if _is_commit(claimed, head) else _changed(clone, source, claimed)
    if changed is None:
        return head[:12]
    return f"{head[:12]} ({counted(changed, 'file')} changed in between)" if changed else ""


def date_of(source: Path) -> str:
    """Return the day of a folder's commit, "" if git does not know."""
    clone = _clone(source)
    return (git.ask(clone, "log", "-1", "--format=%cs", patience=_PATIENCE) or "") if clone else ""


def _differs(claimed: str, here: str) -> Condition:
    why = (
        "another revision of a program may have other defaults, and be some percent faster or "
        "slower"
    )
    return Condition(name="code", claimed=claimed, here=here, effect="looser", why=why)


def _here(source: Path) -> str:
    clone = _clone(source)
    head = inventory.commit(clone) if clone else None
    return head[:12] if head else f"not verified: {source} is not in a git clone"


def _clone(source: Path) -> Path | None:
    real = source.resolve()
    return next((one for one in (real, *real.parents) if (one / ".git").exists()), None)


def _is_commit(claimed: str, head: str) -> bool:
    return len(claimed) >= _SHORTEST and head.startswith(claimed)


def _changed(clone: Path, source: Path, claimed: str) -> int | None:
    """Count the files of the program that changed since the claim's commit, except documentation.

    None if the clone does not have that commit.
    """
    words = ("diff", "--no-ext-diff", "--no-textconv", "--name-only", claimed, "HEAD", "--")
    names = git.ask(clone, *words, str(source.resolve().relative_to(clone)), patience=_PATIENCE)
    if names is None:
        return None
    return sum(PurePath(name).suffix not in _ABOUT for name in names.splitlines())
