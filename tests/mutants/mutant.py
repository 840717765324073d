"""The lists of mutants, and how one is made, tried and judged."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.paths import PROJECT
from tests.engine import in_image
from tests.parity.table import ROWS

HERE = Path(__file__).parent
TAG = "::benchdock "

# Framework -> the image it runs in.
IMAGES = {row.framework: row.image for name, row in ROWS.items() if name == row.framework}


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One error: `old` becomes `new` in `file`, and `model` must not hold at `level`."""

    framework: str
    name: str
    kind: str
    file: str
    old: str
    new: str
    level: str
    model: str


@dataclass(frozen=True)
class Outcome:
    """What parity said: whether everything held, and its words.

    `crashed` is set if the program gave up before it compared anything that differs.
    """

    held: bool
    detail: str
    crashed: bool = False

    @property
    def word(self) -> str:
        """Return the outcome as the table of `make mutants` shows it."""
        return "SURVIVED" if self.held else "crashed" if self.crashed else "found"


def load(framework: str) -> list[Mutant]:
    """Read the mutants of a framework."""
    with (HERE / f"{framework}.toml").open("rb") as file:
        tables = tomllib.load(file)["mutant"]
    return [Mutant(framework=framework, **table) for table in tables]


def apply(mutant: Mutant, tree: Path) -> None:
    """Change the copy of the project in `tree`. Raises ValueError unless `old` occurs once."""
    path = tree / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        raise ValueError(
            f"{mutant.name}: {mutant.file} has {mutant.old!r} {text.count(mutant.old)} times"
        )
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")


def copied(folder: Path) -> Path:
    """Copy the backends into a folder; return it."""
    shutil.copytree(
        PROJECT / "backends", folder / "backends", ignore=shutil.ignore_patterns("__pycache__")
    )
    return folder


def compare(image: str, framework: str, tree: Path, pairs: Sequence[tuple[str, str]]) -> Outcome:
    """Run parity of (level, model) pairs in an image, with the backends of `tree` over its own."""
    said = []
    for level in sorted({level for level, _ in pairs}):
        models = sorted({model for one, model in pairs if one == level})
        done = in_image.run_module(
            image, f"backends.{framework}", "parity", f"--level={level}", *models, project=tree
        )
        outcome = judged(done.returncode, done.stdout, done.stderr)
        if not outcome.held:
            return outcome
        said.append(outcome.detail)
    return Outcome(True, "; ".join(said))


def judged(status: int, stdout: str, stderr: str) -> Outcome:
    """Tell a comparison that does not hold, or a program that gave up, from one that holds."""
    lines = [line for line in stdout.splitlines() if line.startswith(TAG)]
    events = [json.loads(line.removeprefix(TAG)) for line in lines]
    for event in events:
        if event["event"] == "parity" and not event["holds"]:
            return Outcome(False, f"{event['level']} {event['model']}: {event['detail']}")
        if event["event"] == "error":
            return Outcome(False, f"{event['kind']}: {event['message']}", crashed=True)
    if status or not events:
        last = stderr.strip().splitlines()[-1:]
        return Outcome(False, f"exit status {status}: {last}", crashed=True)
    return Outcome(
        True, "; ".join(f"{event['model']} {event['deviation']:.2g}" for event in events)
    )
