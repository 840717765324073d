"""Reads the user's files and folders that a request names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestrator.plan import ProgramFolder
from orchestrator.request import Request
from orchestrator.run import own_network, program_folder


@dataclass(frozen=True, kw_only=True)
class OwnFiles:
    """The fingerprint and the files of a network, and the contents of a program's folder."""

    fingerprint: str | None = None
    model_files: tuple[Path, ...] = ()
    source: ProgramFolder | None = None


def look(request: Request) -> OwnFiles:
    """Read the files that a request names. Raises DataError."""
    own, source = request.model_file, request.source
    return OwnFiles(
        fingerprint=own_network.fingerprint(own) if own else None,
        model_files=tuple(own_network.files(own)) if own else (),
        # It may exist only on the machine that the run is planned for.
        source=program_folder.examine(source) if source is not None and source.exists() else None,
    )
