"""Checks of free space and of the folder for results."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict
from pathlib import Path

from orchestrator.doctor.finding import Finding, FindingState
from orchestrator.units import quantity

GIB = 2**30
ROOM_WANTED = 10 * GIB  # a GPU image and the leftovers of its build
ROOM_NEEDED = 1 * GIB


def home_finding(home: Path) -> Finding:
    """Check for a writable home with room for results and environments."""
    existing = home
    # os.path: a folder that may not be searched is not a separate error.
    while not os.path.exists(existing):
        existing = existing.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Finding(
            name="home",
            state="missing",
            detail=f"{home} cannot be written",
            remedy="export BENCHDOCK_HOME=/a/folder/of/yours",
            role="need",
        )
    remedy = "export BENCHDOCK_HOME=/a/folder/on/a/larger/disk"
    found = room_finding("home", existing, remedy=remedy)
    return Finding(**{**asdict(found), "detail": f"{home}: {found.detail}", "role": "need"})


def room_finding(name: str, folder: Path, *, remedy: str) -> Finding:
    """Report the free space on the disk of a folder."""
    free = shutil.disk_usage(folder).free
    detail = f"{quantity(free, 'bytes')} free"
    if free >= ROOM_WANTED:
        return Finding(name=name, state="ok", detail=detail)
    state: FindingState = "warning" if free >= ROOM_NEEDED else "missing"
    detail += f"; {quantity(ROOM_WANTED, 'bytes')} recommended for images and results"
    return Finding(name=name, state=state, detail=detail, remedy=remedy)
