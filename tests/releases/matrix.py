"""The lines of the matrix: `matrix.toml` as records."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MODELS = ("deep_mnist", "resnet18", "googlenet", "inception3")
LEVELS = ("P1", "P2", "P3")
PHASES = ("training", "inference")


@dataclass(frozen=True, kw_only=True)
class Line:
    """A release, the interpreter that runs it, what pip installs, and what is tried.

    `skip` says why the line is run only if it is named.
    """

    framework: str
    release: str
    python: str
    packages: tuple[str, ...]
    models: tuple[str, ...] = MODELS
    levels: tuple[str, ...] = LEVELS
    phases: tuple[str, ...] = PHASES
    skip: str = ""

    @property
    def name(self) -> str:
        """Return what the files of this line are called."""
        return f"{self.framework}-{self.release}-py{self.python}"


def load(path: Path = HERE / "matrix.toml") -> list[Line]:
    """Return the lines of the matrix."""
    frameworks = tomllib.loads(path.read_text())["framework"]
    return [
        _line(name, framework, fields)
        for name, framework in frameworks.items()
        for fields in framework["lines"]
    ]


def _line(name: str, framework: dict[str, Any], fields: dict[str, Any]) -> Line:
    wheel = fields.get("wheel", framework["wheel"])
    pins = fields.get("pins", framework.get("pins", ()))
    return Line(
        framework=name,
        release=fields["release"],
        python=fields["python"],
        packages=(f"{wheel}=={fields['release']}", *pins),
        levels=tuple(framework.get("levels", LEVELS)),
        phases=tuple(framework.get("phases", PHASES)),
        skip=fields.get("skip", ""),
    )
