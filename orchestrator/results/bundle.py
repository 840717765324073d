"""One file that holds a whole run: written reproducibly, read with suspicion.

A bundle is a ZIP archive of the run folder's files, the plan and a manifest with the SHA-256 of
each. Its members have fixed names and limited sizes, so a stranger's bundle can neither choose a
path nor fill the memory; nothing is ever unpacked to disk.
"""

import hashlib
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Literal, Self

from pydantic import Field

from orchestrator import compressed
from orchestrator.errors import MachineError, RequestError
from orchestrator.paths import RunFolder
from orchestrator.record_files import read_record, refuse_stream
from orchestrator.request import LenientRecord
from orchestrator.result import Result
from orchestrator.run.filing import to_json

MANIFEST = "manifest.json"
REQUEST = "request.json"
PLAN = "plan.json"
LAUNCHER = "launcher.sh"
LOG = "log.txt"
ENGINE_LOG = "engine.log"
MONITOR = "monitor.jsonl"
RESULT = "result.json"

_MIB = 2**20
# In the order of writing, with the maximum size in bytes. A log of 4 GiB is what a program prints
# in an hour at a megabyte per second.
LARGEST = {
    REQUEST: _MIB,
    PLAN: 16 * _MIB,
    LAUNCHER: 16 * _MIB,
    LOG: 4096 * _MIB,
    ENGINE_LOG: 16 * _MIB,
    MONITOR: 512 * _MIB,
    RESULT: 128 * _MIB,
    MANIFEST: _MIB,
}
ALWAYS = (REQUEST, RESULT, MANIFEST)
OF_SUCCESS = (PLAN, LAUNCHER, LOG)

_BLOCK = _MIB
_BEGINS = (b"PK\x03\x04", b"PK\x05\x06")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first time that a ZIP archive can store
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What `zipfile` raises on archives that are damaged or made to do harm.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)


class Entry(LenientRecord):
    """What the manifest says about a member."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]


class Manifest(LenientRecord):
    """What a bundle contains. It has no date, so the same run makes the same bytes."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    kind: Literal["benchdock run"] = "benchdock run"
    benchdock: str
    run: str
    files: dict[str, Entry]


class Member:
    """A member that is being read; errors become a RequestError."""

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        self._path = path
        self._stream = stream

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, none at the end."""
        with _told(self._path):
            return self._stream.read(size)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn an error of `zipfile` into one line."""
    try:
        yield
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror or error}") from None
    except _DAMAGE as error:
        raise _broken(path, str(error) or type(error).__name__) from None


class Bundle:
    """An open bundle whose structure is valid; `check_hashes` reads all of it."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._archive = archive
        self.names = _checked_names(path, archive)
        self.manifest = read_record(Manifest, self.read(MANIFEST), f"{MANIFEST} of {path}")
        listed, there = set(self.manifest.files), set(self.names) - {MANIFEST}
        for name in sorted(listed ^ there):
            lacks = "lacks" if name in listed else "holds beside its manifest"
            raise _broken(path, f"it {lacks} {name!a}")

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Self]:
        """Open a bundle. Raises RequestError if it is broken, now or while it is read."""
        refuse_stream(path)
        try:
            stream = path.open("rb")
        except OSError as error:
            raise RequestError(f"cannot read {path}: {error.strerror or error}") from None
        with stream:
            with _told(path):
                if stream.read(4) not in _BEGINS:
                    raise _broken(path, "it is not a ZIP archive")
                if not zipfile.is_zipfile(stream):
                    raise _broken(path, "its end is missing")
                archive = zipfile.ZipFile(stream)
            with archive:
                yield cls(path, archive)

    def read(self, name: str) -> bytes:
        """Read a small member; the size is limited by the maximum for its name."""
        with self.stream(name) as stream:
            return stream.read(LARGEST[name] + 1)

    @contextmanager
    def stream(self, name: str) -> Iterator["Member"]:
        """Open a member to be read once, from the start."""
        with _told(self.path):
            stream = self._archive.open(name)
        with stream:
            yield Member(self.path, stream)

    def result(self) -> Result:
        """Return the result. Raises RequestError if it is invalid."""
        return read_record(Result, self.read(RESULT), f"{RESULT} of {self.path}")

    def check_hashes(self) -> None:
        """Read every member. Raises RequestError at the first one that has changed."""
        for name, entry in sorted(self.manifest.files.items()):
            with self.stream(name) as stream:
                digest, size = _copy(stream, lambda _: None)
            if (digest, size) != (entry.sha256, entry.bytes):
                raise _broken(
                    self.path, f"{name} is not the file that was bundled: its SHA-256 is {digest}"
                )


def is_bundle(path: Path) -> bool:
    """Whether a file looks like a ZIP archive. Raises OSError."""
    with path.open("rb") as stream:
        return stream.read(4) in _BEGINS


def write(folder: RunFolder, result: Result, destination: Path) -> Manifest:
    """Write a run's bundle, replacing `destination`.

    Raises RequestError for a run folder that is incomplete or too large, MachineError if the file
    cannot be written.
    """
    files: dict[str, Entry] = {}
    try:
        with zipfile.ZipFile(destination, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for name in LARGEST:
                if name == PLAN and result.plan is not None:
                    files[name] = _add_text(archive, name, to_json(result.plan))
                elif name not in (PLAN, MANIFEST):
                    entry = _add_file(archive, name, folder.root / name)
                    files |= {name: entry} if entry else {}
            _check_whole(folder, result, files)
            run = result.run or folder.run_id
            manifest = Manifest(benchdock=result.benchdock, run=run, files=files)
            _add_text(archive, MANIFEST, to_json(manifest))
    except OSError as error:
        raise MachineError(f"cannot write {destination}: {error.strerror or error}") from None
    return manifest


def _check_whole(folder: RunFolder, result: Result, files: dict[str, Entry]) -> None:
    needed = (REQUEST, RESULT, *(OF_SUCCESS if result.status == "ok" else ()))
    for name in needed:
        if name not in files:
            raise RequestError(f"the run folder {folder.root} is incomplete: it has no {name}")


def _add_file(archive: zipfile.ZipFile, name: str, path: Path) -> Entry | None:
    """Add a regular file, or what was compressed of it; None if there is none.

    The program could write to the run folder: a link that it left there must not be followed.
    """
    if compressed.here(path) is None:
        return None
    try:
        with compressed.opened(path) as source:
            size = compressed.size(source, LARGEST[name])
            if size > LARGEST[name]:
                raise RequestError(f"cannot bundle {path}: it is larger than {_mib(LARGEST[name])}")
            return _add(archive, name, source, size)
    except compressed.UnreadableError as error:
        raise RequestError(f"cannot bundle {path}: {error.strerror}") from None


def _add_text(archive: zipfile.ZipFile, name: str, text: str) -> Entry:
    data = text.encode()
    with archive.open(_member(name, len(data)), "w") as target:
        target.write(data)
    return Entry(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))


def _add(archive: zipfile.ZipFile, name: str, source: IO[bytes], size: int) -> Entry:
    with archive.open(_member(name, size), "w") as target:
        digest, copied = _copy(source, target.write)
    return Entry(sha256=digest, bytes=copied)


def _member(name: str, size: int) -> zipfile.ZipInfo:
    """Describe a member so that clock, user and system do not change the bytes."""
    about = zipfile.ZipInfo(name, date_time=_EPOCH)
    about.create_system = 3
    about.external_attr = (stat.S_IFREG | 0o644) << 16
    about.compress_type = zipfile.ZIP_DEFLATED
    about.file_size = size
    return about


def _copy(source: "IO[bytes] | Member", take: Callable[[bytes], object]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while block := source.read(_BLOCK):
        digest.update(block)
        size += len(block)
        take(block)
    return digest.hexdigest(), size


def _checked_names(path: Path, archive: zipfile.ZipFile) -> tuple[str, ...]:
    """Return the members' names. Raises RequestError for a file that does not belong there."""
    names: list[str] = []
    for about in archive.infolist():
        name = about.filename
        if name not in LARGEST:
            raise _broken(path, f"unexpected file {name[:80]!a}")
        if name in names:
            raise _broken(path, f"it contains {name} twice")
        if about.flag_bits & _ENCRYPTED or about.compress_type not in _METHODS:
            raise _broken(path, f"{name} is encrypted or packed in an unknown way")
        if about.file_size > LARGEST[name]:
            raise _broken(path, f"{name} is larger than {_mib(LARGEST[name])}")
        names.append(name)
    for name in ALWAYS:
        if name not in names:
            raise _broken(path, f"it has no {name}")
    return tuple(names)


def _mib(size: int) -> str:
    return f"{size // _MIB} MiB"


def _broken(path: Path, why: str) -> RequestError:
    line = " ".join(why.split())
    shown = line if line.isprintable() else ascii(line)
    return RequestError(f"{path} is not a valid bundle: {shown[:300]}")
