"""Writes pages and other files about nights."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import MachineError, RequestError
from orchestrator.paths import write_aside
from orchestrator.report.window import Window, of_suite

if TYPE_CHECKING:
    from orchestrator.report import site
    from orchestrator.store.taking_in import Tell


def site_of_newest(suite: str, folder: Path, tell: Tell) -> Path:
    """Write the site of a suite's newest night; return its first page.

    Raises RequestError, MachineError.
    """
    return write_site(of_suite(suite), folder, tell)


def write_site(found: Window, folder: Path, tell: Tell, *, every: bool = False) -> Path:
    """Write a folder of pages; return the first. Raises RequestError, MachineError."""
    from orchestrator.report import site

    told = _told(found, tell, every=every)
    if folder.is_file():
        raise RequestError(f"{folder} is a file", hint="use -o FOLDER, or add --single-file")
    try:
        if not site.is_report(folder):
            raise RequestError(
                f"{folder}/index.html is not a report", hint="use -o with another folder"
            )
        site.write_site(told, folder)
    except OSError as error:
        raise MachineError(f"cannot write {folder}: {error.strerror or error}") from None
    _tell_of_charts(tell)
    return folder / "index.html"


def write_single_file(found: Window, path: Path, tell: Tell, *, every: bool) -> Path:
    """Write one page with everything in it; return it. Raises RequestError, MachineError."""
    from orchestrator.report import site

    write_text(path, site.single_file(_told(found, tell, every=every)))
    _tell_of_charts(tell)
    return path


def write_text(path: Path, text: str) -> Path:
    """Write a file; return it. Raises RequestError, MachineError."""
    if path.is_dir():
        raise RequestError(f"{path} is a folder", hint="use -o FILE")
    try:
        write_aside(path, text)
    except OSError as error:
        raise MachineError(f"cannot write {path}: {error.strerror or error}") from None
    return path


def _told(found: Window, tell: Tell, *, every: bool) -> site.Told:
    from orchestrator.report import run_folders, site, stored

    return site.Told(
        window=found,
        stored=stored.gather(found.tonight, tell),
        runs=tuple(run_folders.paged(found.tonight, every=every)),
        made=datetime.now(),
    )


def _tell_of_charts(tell: Tell) -> None:
    from orchestrator.report import site

    if site.plotly() is None:
        tell(f"charts do not zoom: run `{site.INSTALL}` and make the report again")
