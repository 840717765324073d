"""Where benchdock keeps its files on this machine. Only this module knows their names."""

from __future__ import annotations

import os
import pwd
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from orchestrator import SHIPPED
from orchestrator.errors import MachineError, quoted

# The folder of backends/, dockerfiles/ and launchers/. The host runtime puts it on PYTHONPATH, so
# in an installation it is not site-packages, whose modules would hide those of the framework.
PROJECT = Path(SHIPPED).resolve() if os.path.isdir(SHIPPED) else Path(__file__).resolve().parents[1]
DOCKERFILES = PROJECT / "dockerfiles"
LAUNCHERS = PROJECT / "launchers"
BACKENDS = PROJECT / "backends"
_FILES = {
    "request": "request.json",
    "launcher": "launcher.sh",
    "log": "log.txt",
    "outputs": "out",
    "engine_log": "engine.log",
    "result": "result.json",
    "monitor": "monitor.jsonl",
    "session": "session.json",
    "tags": "tags.json",
}
_STAMP = re.compile(r"\d{8}T\d{6}(?=-)", re.ASCII)
_STRANGE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 100


def slug(name: str) -> str:
    """Return a name that is safe in a file's name and in an address; others keep theirs."""
    safe = _STRANGE.sub("_", name).strip(".")[:_LONGEST]
    if safe and safe == name:
        return name
    from hashlib import sha256  # only then: it loads OpenSSL

    return f"{safe}-{sha256(name.encode('utf-8', 'replace')).hexdigest()[:8]}"


def home() -> Path:
    """Return the folder of all our files: $BENCHDOCK_HOME, else the user's data folder.

    Raises MachineError if neither a variable nor a password entry names a usable folder.
    """
    if chosen := os.environ.get("BENCHDOCK_HOME"):
        return _checked(_expanded(chosen).absolute())
    # The XDG specification says to ignore relative paths.
    data = Path(os.environ.get("XDG_DATA_HOME") or "")
    if not data.is_absolute():
        data = _own_home() / ".local" / "share"
    return _checked(data / "benchdock")


def _expanded(chosen: str) -> Path:
    try:
        return Path(chosen).expanduser()
    except RuntimeError:  # ~somebody who has no home here
        raise _no_home(f"BENCHDOCK_HOME is {quoted(chosen)}, but no user has that home") from None


def _own_home() -> Path:
    told = os.environ.get("HOME")
    if not told:
        try:
            told = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            raise _no_home(
                f"HOME is not set, and user id {os.getuid()} has no password entry"
            ) from None
    # "/" is what containers and services give to a user without a home.
    if not told.startswith("/") or not told.strip("/"):
        raise _no_home(f"your home folder is {quoted(told)}, where no results can be kept")
    return Path(told)


def check_environment() -> None:
    """Raise MachineError if the environment was lost, as under cron: `home()` is then another one.

    Only for commands that would find nothing there: a first run makes its folders.
    """
    if os.environ.get("BENCHDOCK_HOME") or os.path.exists(home()):
        return
    told = os.environ.get("HOME", "")
    try:
        account = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        account = ""
    usual = Path(account) / ".local" / "share" / "benchdock"
    if usual != home() and os.path.isdir(usual):
        raise MachineError(
            f"there are no results in {home()}, but there are some in {usual}",
            hint=f"set BENCHDOCK_HOME={usual}",
        )
    if told and not os.path.isdir(told):
        raise _no_home(f"HOME is {quoted(told)}, which does not exist")


def _checked(folder: Path) -> Path:
    """Refuse a name that cannot be written to a script or a record."""
    text = str(folder)
    if not text.isprintable() and any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text):
        raise _no_home(f"the results folder {quoted(text)} contains a control character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _no_home(f"the results folder {quoted(text)} is not valid UTF-8") from None
    return folder


def _no_home(what: str) -> MachineError:
    return MachineError(what, hint="set BENCHDOCK_HOME to a writable folder")


def runs() -> Path:
    """Return the folder that holds one folder per run."""
    return home() / "runs"


def imported() -> Path:
    """Return the folder of runs from other machines, one folder per run.

    They are not in `runs`, whose contents are trusted to be this user's.
    """
    return home() / "imported"


def database() -> Path:
    """Return the SQLite database of results, an index of the folders of runs."""
    return home() / "results.db"


def durations() -> Path:
    """Return the file with how long a run of each series takes."""
    return home() / "durations.json"


def datasets() -> Path:
    """Return the file with the names of this machine's datasets."""
    return home() / "datasets.json"


def tuned() -> Path:
    """Return the folder with the fastest settings that were found, by machine."""
    return home() / "tuned"


def sessions() -> Path:
    """Return the folder that holds one folder per session of a suite."""
    return home() / "sessions"


def nights() -> Path:
    """Return the folder that holds one folder per suite with what is kept of its nights."""
    return home() / "nights"


def cuda_cache() -> Path:
    """Return the folder where CUDA keeps what it compiled for this machine's GPUs."""
    return home() / "cuda"


def probes() -> Path:
    """Return the folder that holds one folder per machine with what its devices can do at most."""
    return home() / "probes"


def nodes() -> Path:
    """Return the folder that holds one folder per check of nodes."""
    return home() / "nodes"


def wheelhouse(image_id: str) -> Path:
    """Return the folder of the wheels that are installed in an image."""
    return home() / "wheels" / image_id


def debs(image_id: str) -> Path:
    """Return the folder of .deb files that an image is built from, if somebody put them there."""
    return home() / "debs" / image_id


def unfinished() -> Path:
    """Return the folder with one note for each running run."""
    return home() / "unfinished"


def virtual_environments() -> Path:
    """Return the folder of the host runtime's virtual environments."""
    return home() / "venvs"


def write_aside(path: Path, text: str, *, durable: bool = True) -> None:
    """Write a file so that a reader sees the old content or the new, never half of it.

    A link or file that a program may have put there is neither followed nor reused. A file that can
    be made again need not be `durable`, which waits for the disk. Raises OSError.
    """
    with written_aside(path, durable=durable) as stream:
        stream.write(text.encode("utf-8"))


def keep_text(path: Path, text: str) -> None:
    """Write one of our files as `write_aside` does, and its folder before. Raises MachineError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_aside(path, text)
    except OSError as error:
        raise MachineError(
            f"cannot write {path}: {error.strerror or error}",
            hint="set BENCHDOCK_HOME to a writable folder",
        ) from None


@contextmanager
def written_aside(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Yield a new file that replaces `path` at the end, as `write_aside` does. Raises OSError."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(aside, flags, 0o666), "wb") as stream:
            yield stream
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@dataclass(frozen=True)
class RunFolder:
    """A run's folder and the names of the files in it.

    run_id: the run's name, unique on this machine.
    request: the request.
    launcher: the rendered launcher script.
    log: the program's output, stdout and stderr.
    outputs: the program's working folder, where its outputs stay.
    engine_log: what was printed before the launcher started.
    result: the result.
    monitor: the machine's samples during the run.
    session: which session of a suite started the run.
    tags: the tags that the user gave the run.
    """

    root: Path
    run_id: str = field(init=False, repr=False, compare=False)
    request: Path = field(init=False, repr=False, compare=False)
    launcher: Path = field(init=False, repr=False, compare=False)
    log: Path = field(init=False, repr=False, compare=False)
    outputs: Path = field(init=False, repr=False, compare=False)
    engine_log: Path = field(init=False, repr=False, compare=False)
    result: Path = field(init=False, repr=False, compare=False)
    monitor: Path = field(init=False, repr=False, compare=False)
    session: Path = field(init=False, repr=False, compare=False)
    tags: Path = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "run_id", self.root.name)
        for name, file in _FILES.items():
            object.__setattr__(self, name, self.root / file)

    @classmethod
    def create(cls, model: str, framework: str) -> RunFolder:
        """Create a new, empty run folder. Raises OSError."""
        folder = cls.named(model, framework)
        folder.make()
        return folder

    @classmethod
    def named(cls, model: str, framework: str) -> RunFolder:
        """Name a run folder that does not exist yet; names sort by time."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        return cls(runs() / f"{stamp}-{framework}-{model}-{secrets.token_hex(3)}")

    @classmethod
    def planned(cls, model: str, framework: str) -> RunFolder:
        """Name a run folder for a dry run, without creating it."""
        return cls(runs() / f"dry-run-{framework}-{model}")

    def make(self) -> None:
        """Create the folder, only for its owner, and in it that for outputs. Raises OSError."""
        self.root.parent.mkdir(parents=True, exist_ok=True)
        self.root.mkdir(mode=0o700)
        self.outputs.mkdir()

    @property
    def made(self) -> datetime | None:
        """Return when the folder was made, according to its name; None for any other name."""
        stamp = _STAMP.match(self.run_id)
        try:
            return datetime.fromisoformat(stamp[0]).replace(tzinfo=UTC) if stamp else None
        except ValueError:  # there is no such day
            return None
