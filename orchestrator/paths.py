"""Where benchdock keeps things on this machine, and the one place that knows their names."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
DOCKERFILES = PROJECT / "dockerfiles"
LAUNCHERS = PROJECT / "launchers"
BACKENDS = PROJECT / "backends"
_STAMP = re.compile(r"\d{8}T\d{6}(?=-)", re.ASCII)


def home() -> Path:
    """Return the folder of all our files: $BENCHDOCK_HOME, else the user's data folder."""
    chosen = os.environ.get("BENCHDOCK_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "benchdock"


def runs() -> Path:
    """Return the folder that holds one folder per run."""
    return home() / "runs"


def wheelhouse(image_id: str) -> Path:
    """Return the folder of the wheels that are baked into an image."""
    return home() / "wheels" / image_id


def debs(image_id: str) -> Path:
    """Return the folder of the .deb files that an image is built from, where somebody kept them."""
    return home() / "debs" / image_id


def virtual_environments() -> Path:
    """Return the folder of the host runtime's virtual environments."""
    return home() / "venvs"


def write_aside(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old content or the new, never half of it."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@dataclass(frozen=True)
class RunFolder:
    """One run's folder and the names of the files in it."""

    root: Path

    @classmethod
    def create(cls, model: str, framework: str) -> RunFolder:
        """Make a new, empty run folder whose name sorts by time. Raises OSError."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        root = runs() / f"{stamp}-{framework}-{model}-{secrets.token_hex(3)}"
        root.mkdir(parents=True)
        return cls(root)

    @classmethod
    def planned(cls, model: str, framework: str) -> RunFolder:
        """Name a run folder that is not made: for a dry run."""
        return cls(runs() / f"dry-run-{framework}-{model}")

    @property
    def run_id(self) -> str:
        """Return the run's name, unique on this machine."""
        return self.root.name

    @property
    def made(self) -> datetime | None:
        """Return when the folder was made, by its name; None for a name that is not ours."""
        stamp = _STAMP.match(self.run_id)
        try:
            return datetime.fromisoformat(stamp[0]).replace(tzinfo=UTC) if stamp else None
        except ValueError:  # there is no such day
            return None

    @property
    def request(self) -> Path:
        """Return the path of the request as it was asked."""
        return self.root / "request.json"

    @property
    def launcher(self) -> Path:
        """Return the path of the rendered launcher script."""
        return self.root / "launcher.sh"

    @property
    def log(self) -> Path:
        """Return the path of the program's own output, stdout and stderr."""
        return self.root / "log.txt"

    @property
    def engine_log(self) -> Path:
        """Return the path of what was printed before the launcher started."""
        return self.root / "engine.log"

    @property
    def result(self) -> Path:
        """Return the path of the result."""
        return self.root / "result.json"

    @property
    def monitor(self) -> Path:
        """Return the path of the machine's samples during the run."""
        return self.root / "monitor.jsonl"
