"""The lines of the matrix, and how one is run and recorded."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.paths import PROJECT

HERE = Path(__file__).parent
TAG = "::benchdock "
MODELS = ("deep_mnist", "resnet18")
LEVELS = ("P1", "P2", "P3")
PHASES = ("training", "inference")
JOB = ["--dtype=float32", "--batch=4", "--device=cpu", "--steps=3", "--warmup=1"]


class NotRunError(Exception):
    """A line that could not be run; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A release, the interpreter it is run by, and what pip installs."""

    framework: str
    release: str
    python: str
    packages: list[str]

    @property
    def name(self) -> str:
        """Return what the files of this line are called."""
        return f"{self.framework}-{self.release}-py{self.python}"


@dataclass(kw_only=True)
class Record:
    """What was seen: deviations by "LEVEL MODEL", phases that ran to their end, faults."""

    line: Line
    deviations: dict[str, float] = field(default_factory=dict)
    jobs: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def row(self) -> str:
        """Return this record as a row of Markdown."""
        cells = [self.line.framework, self.line.release, self.line.python]
        for model in MODELS:
            pair = (self.deviations.get(f"{level} {model}") for level in ("P2", "P3"))
            cells += ["-" if found is None else f"{found:.1e}" for found in pair]
        cells.append(", ".join(self.jobs) or "-")
        cells.append("; ".join(self.faults) or "holds")
        return "| " + " | ".join(cells) + " |"


HEADER = """\
| framework | release | Python | deep_mnist P2 | P3 | resnet18 P2 | P3 | jobs | |
|---|---|---|---|---|---|---|---|---|"""


def load(path: Path = HERE / "matrix.toml") -> list[Line]:
    """Return the lines of the matrix."""
    return [Line(**fields) for fields in tomllib.loads(path.read_text())["line"]]


def interpreter(version: str) -> Path:
    """Return a CPython of this version from pyenv or $PATH. Raises `NotRunError`."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for found in sorted(root.glob(f"versions/{version}.*/bin/python")):
        return found
    if found_on_path := shutil.which(f"python{version}"):
        return Path(found_on_path)
    raise NotRunError(f"no CPython {version} here: pyenv install {version}")


def run(line: Line, wheels: Path) -> Record:
    """Install a line into an environment that is deleted afterwards, and try it.

    Raises `NotRunError` if it cannot be installed.
    """
    record = Record(line=line)
    with tempfile.TemporaryDirectory(prefix="benchdock-release-") as folder:
        python = _environment(line, Path(folder), wheels)
        _parity(python, record)
        for phase in PHASES:
            _job(python, phase, record)
    return record


def _environment(line: Line, folder: Path, wheels: Path) -> Path:
    _done([str(interpreter(line.python)), "-m", "venv", str(folder)])
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--cache-dir", str(wheels)]
    # The pip of CPython 3.6 does not look at which interpreter a wheel needs.
    _done([*pip, "--upgrade", "pip<22"])
    _done([*pip, *line.packages])
    return python


def _done(command: Sequence[str]) -> None:
    finished = subprocess.run(command, check=False, capture_output=True, text=True)
    if finished.returncode:
        last = (finished.stderr.strip().splitlines() or ["no message"])[-1]
        raise NotRunError(f"{' '.join(command[1:4])} failed: {last}")


def _parity(python: Path, record: Record) -> None:
    levels = [f"--level={level}" for level in LEVELS]
    for event in _events(python, record.line.framework, "parity", *levels, *MODELS):
        if event["event"] == "parity":
            what = f"{event['level']} {event['model']}"
            record.deviations[what] = event["deviation"]
            if not event["holds"]:
                record.faults.append(f"{what} does not hold: {event['detail']}")
    missing = {f"{level} {model}" for level in LEVELS for model in MODELS} - set(record.deviations)
    if missing:
        record.faults.append("not compared: " + ", ".join(sorted(missing)))


def _job(python: Path, phase: str, record: Record) -> None:
    events = _events(python, record.line.framework, "--model", MODELS[0], "--phase", phase, *JOB)
    kinds = {event["event"]: event for event in events}
    if "end" in kinds:
        record.jobs.append(phase)
    else:
        message = kinds.get("error", {}).get("message", "it said nothing")
        record.faults.append(f"{phase}: {message}")


def _events(python: Path, framework: str, *arguments: str) -> list[dict[str, Any]]:
    finished = subprocess.run(
        [str(python), "-m", f"backends.{framework}", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
    )
    return list(tagged(finished.stdout))


def tagged(text: str) -> Iterator[dict[str, Any]]:
    """Yield the events in a program's output."""
    for line in text.splitlines():
        if line.startswith(TAG):
            yield json.loads(line.removeprefix(TAG))


def save(record: Record, path: Path) -> None:
    """Write a record aside, then rename it."""
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(asdict(record), indent=1) + "\n")
    aside.rename(path)


def saved(path: Path) -> Record:
    """Read a record back."""
    fields = json.loads(path.read_text())
    return Record(**fields | {"line": Line(**fields["line"])})
