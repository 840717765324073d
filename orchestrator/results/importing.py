"""Copies runs of other machines to this home, where they are listed like its own.

They stay apart from its own runs, because a stranger may have made them: `replay` still asks for
--trust. Nothing but the known files of a run is copied.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from orchestrator import compressed, paths
from orchestrator.errors import MachineError, RequestError, quoted
from orchestrator.parsers import parse
from orchestrator.paths import RunFolder
from orchestrator.record_files import LARGEST_NOTE, may_exist, read_file
from orchestrator.result import Result
from orchestrator.results.bundle import LARGEST, MANIFEST, PLAN, Bundle, is_bundle
from orchestrator.results.lookup import all_runs
from orchestrator.results.parsed import as_result
from orchestrator.run.filing import to_json

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}", re.ASCII)
_BLOCK = 2**20


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What became of one run; `why` says why it was not imported."""

    run: str
    source: str
    did: Literal["imported", "already here", "refused"]
    why: str = ""


def from_path(path: Path) -> Iterator[Imported]:
    """Import a bundle, a run folder, or every run of a folder of runs or of a home.

    Raises RequestError if the path is none of these, MachineError if nothing can be written.
    """
    if path.is_dir():
        yield from _from_folder(path)
    elif may_exist(path) and is_bundle(path):
        yield _from_bundle(path)
    else:
        raise RequestError(
            f"{path} is not a bundle or a folder of runs",
            hint="use --dlbs for a log of DLBS, or `benchdock bundle RUN` to make a bundle",
        )


def _from_folder(path: Path) -> Iterator[Imported]:
    if may_exist(RunFolder(path).result):
        yield _from_run(RunFolder(path))
        return
    root = path / "runs" if (path / "runs").is_dir() else path
    if root.resolve() in (paths.runs().resolve(), paths.imported().resolve()):
        raise RequestError(
            f"{root} belongs to this home", hint="`benchdock results` lists its runs"
        )
    runs = [run for run in map(RunFolder, all_runs(root)) if may_exist(run.result)]
    if not runs:
        raise RequestError(f"the folder {path} contains no run with a result")
    for run in runs:
        try:
            yield _from_run(run)
        except RequestError as error:
            yield Imported(run=run.run_id, source=str(run.root), did="refused", why=str(error))


def _from_run(source: RunFolder) -> Imported:
    """Import a run folder. Raises RequestError if its result cannot be read."""
    read_file(Result, source.result)
    name = _checked(source.root.resolve().name, source.root)
    with _new(name, source.root) as folder:
        if folder is not None:
            for file in (*LARGEST, source.session.name, source.tags.name):
                if file not in (PLAN, MANIFEST):
                    _copy(source.root / file, folder / file, LARGEST.get(file, LARGEST_NOTE))
    return _done(name, source.root, folder)


def _from_bundle(path: Path) -> Imported:
    """Import a bundle. Raises RequestError if it is broken or its result cannot be read."""
    with Bundle.open(path) as bundle:
        bundle.check_hashes()
        bundle.result()
        name = _checked(bundle.manifest.run, path)
        with _new(name, path) as folder:
            if folder is not None:
                for member in bundle.names:
                    if member not in (PLAN, MANIFEST):
                        _unpack(bundle, member, folder / member)
    return _done(name, path, folder)


def from_dlbs(path: Path) -> Imported:
    """Import the log of a DLBS experiment as a run that was never planned.

    Its name has the log's time and a digest, so that a log is imported once. Raises RequestError.
    """
    result = as_result(parse("dlbs", path))
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()[:6]
        made = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror or error}") from None
    told = result.program.stated()
    words = (told.get("framework"), told.get("model"))
    subject = "-".join(re.sub(r"[^A-Za-z0-9._+]", "_", str(word or "unknown")) for word in words)
    name = _checked(f"{made:%Y%m%dT%H%M%S}-{subject[:100]}-{digest}", path)
    with _new(name, path) as folder:
        if folder is not None:
            run = RunFolder(folder)
            _copy(path, run.log, LARGEST[run.log.name])
            named = result.model_copy(update={"run": name})
            run.result.write_text(to_json(named), encoding="utf-8")
    return _done(name, path, folder)


def _checked(name: str, source: Path) -> str:
    if not _NAME.fullmatch(name):
        raise RequestError(
            f"the run of {source} has the name {quoted(name)}, which cannot be that of a run",
            hint="rename its folder with letters, digits, and . _ + -",
        )
    return name


def _done(name: str, source: Path, folder: Path | None) -> Imported:
    did: Literal["imported", "already here"] = "already here" if folder is None else "imported"
    return Imported(run=name, source=str(source), did=did)


@contextmanager
def _new(name: str, source: Path) -> Iterator[Path | None]:
    """Yield a folder to fill, which then becomes that of the run; None if the run is here already.

    Raises MachineError if it cannot be written; nothing is left behind then.
    """
    final = paths.imported() / name
    if may_exist(paths.runs() / name) or may_exist(final):
        yield None
        return
    aside = final.with_name(f".{name}.{secrets.token_hex(4)}")
    try:
        aside.parent.mkdir(parents=True, exist_ok=True)
        aside.mkdir(mode=0o700)
        yield aside
        aside.rename(final)
    except OSError as error:
        raise MachineError(
            f"cannot import {source} to {final.parent}: {error.strerror or error}",
            hint="free some space or set BENCHDOCK_HOME",
        ) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _copy(source: Path, target: Path, largest: int) -> None:
    """Copy a regular file or what was compressed of it, if there is one; no link is followed."""
    if compressed.here(source) is None:
        return
    try:
        with compressed.opened(source) as stream:
            if compressed.size(stream, largest) > largest:
                size = f"{largest // 2**20} MiB"
                raise RequestError(f"cannot import {source}: it is larger than {size}")
            with target.open("wb") as out:
                shutil.copyfileobj(stream, out, _BLOCK)
    except compressed.UnreadableError as error:
        raise RequestError(f"cannot import {source}: {error.strerror}") from None


def _unpack(bundle: Bundle, member: str, target: Path) -> None:
    with bundle.stream(member) as stream, target.open("wb") as out:
        while block := stream.read(_BLOCK):
            out.write(block)
