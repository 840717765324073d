"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FindingState = Literal["ok", "warning", "missing"]
# "place": a run needs one of these; "need": every run needs it.
Role = Literal["place", "need", ""]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was checked; `remedy` is a command to type."""

    name: str
    state: FindingState
    detail: str
    remedy: str = ""
    role: Role = ""
