"""Suites for tests, written as text."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import RequestError
from orchestrator.suites import expansion, loading
from orchestrator.suites.cells import Expansion
from orchestrator.suites.loading import Loaded

HEAD = "schema: 1\nname: nightly\n"


def loaded(folder: Path, text: str, name: str = "suite.yaml") -> Loaded:
    """Write a suite file and load it."""
    path = folder / name
    path.write_text(text, "utf-8")
    return loading.load(path)


def expanded(folder: Path, text: str, *, most: int = expansion.MOST_RUNS) -> Expansion:
    """Write a suite file and expand it."""
    return expansion.expand(loaded(folder, text), most=most)


def refused(folder: Path, text: str) -> str:
    """Return the one line by which a suite file is refused, with the file's bare name."""
    try:
        expanded(folder, text)
    except RequestError as error:
        told = str(error)
        assert told.isprintable()
        return told.replace(f"{folder}/", "")
    raise AssertionError("it was accepted")
