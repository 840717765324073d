"""Finds results on disk: by run id, folder, file or bundle."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator import paths
from orchestrator.errors import RequestError, nearest, quoted
from orchestrator.paths import RunFolder
from orchestrator.record_files import read_file, refuse_stream
from orchestrator.result import Result
from orchestrator.results.bundle import Bundle, is_bundle


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A result and where it is; `name` is its name for the user."""

    name: str
    path: Path
    kind: Literal["folder", "file", "bundle"]
    result: Result

    @property
    def is_own(self) -> bool:
        """Whether benchdock filed it here, as the result of a run in its folder of runs.

        Anything else may belong to somebody else, even a file that a program left beside a result.
        """
        if self.kind == "bundle":
            return False
        folder = RunFolder(self.path if self.kind == "folder" else self.path.parent)
        filed = self.kind == "folder" or self.path.name == folder.result.name
        return filed and folder.root.resolve().parent == paths.runs().resolve()


def load(word: str) -> Stored:
    """Read a run's result: `word` is a run id or a prefix of one, a run folder, a result or a
    bundle.

    A bundle's hashes are checked. Raises RequestError.
    """
    path = locate(word)
    if path.is_dir():
        if not _exists(RunFolder(path).result):
            raise RequestError(
                f"the folder {path} is not a run: it has no {RunFolder(path).result.name}",
                hint=f"look for runs in {paths.runs()}",
            )
        result = read_file(Result, RunFolder(path).result)
        return Stored(name=path.name, path=path, kind="folder", result=result)
    refuse_stream(path)
    try:
        bundled = is_bundle(path)
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror or error}") from None
    if not bundled:
        result = read_file(Result, path)
        return Stored(name=result.run or path.name, path=path, kind="file", result=result)
    with Bundle.open(path) as bundle:
        bundle.check_hashes()
        return Stored(name=path.name, path=path, kind="bundle", result=bundle.result())


def locate(word: str) -> Path:
    """Return the run folder or file that `word` names. Raises RequestError with the nearest id."""
    exact = [root / word for root in _roots()]
    folders = [*exact, *_beginning(word)] if _is_name(word) else []
    for folder in folders:
        if _exists(RunFolder(folder).result):
            return folder
    path = Path(word)
    if _exists(path):
        return path
    for folder in folders:
        if _exists(folder):
            raise RequestError(
                f"the run {folder.name} has no result",
                hint="it is still running, was killed, or is a parity run: see "
                f"{RunFolder(folder).log}",
            )
    known = [folder.name for folder in _known_runs()]
    near = nearest(word, known)
    hint = f"did you mean {near!r}?" if near else "`benchdock results` lists the runs"
    raise RequestError(f"no run or file is called {quoted(word)}", hint=hint)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, a folder that may not be searched
        return False


def _is_name(word: str) -> bool:
    return bool(word) and Path(word).name == word and word not in (".", "..")


def _beginning(word: str) -> Iterator[Path]:
    """Yield the one run whose id starts with `word`. Raises RequestError if there are several."""
    found = [folder for folder in _known_runs() if folder.name.startswith(word)]
    if len(found) > 1:
        raise RequestError(
            f"{len(found)} runs start with {quoted(word)}", hint=f"the latest is {found[-1].name}"
        )
    yield from found


def _roots() -> tuple[Path, ...]:
    return paths.runs(), paths.imported()


def _known_runs() -> list[Path]:
    found: list[Path] = []
    for root in _roots():
        with suppress(OSError):
            found += all_runs(root)
    return sorted(found, key=lambda folder: folder.name)


def all_runs(root: Path | None = None) -> list[Path]:
    """Return every folder in a folder of runs, sorted by name, which for our runs is by time.

    The folder is this home's by default. Raises OSError if it cannot be listed.
    """
    root = root or paths.runs()
    try:
        with os.scandir(root) as entries:
            names = [entry.name for entry in entries if _is_folder(entry)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [root / name for name in sorted(names)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or to a folder without permission
        return False
