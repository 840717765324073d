"""The demo in a home of its own, and its report."""

from __future__ import annotations

from pathlib import Path

from orchestrator.cli import main

SERIES, NIGHTS = 9, 70


def make(folder: Path) -> Path:
    """Make the demo; return the folder that has `home` and `report` in it."""
    words = ["demo", "nights", "--series", str(SERIES), "--nights", str(NIGHTS)]
    assert main([*words, "-o", str(folder)]) == 0
    return folder
