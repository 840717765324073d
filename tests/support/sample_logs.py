"""The sample logs in `tests/logs`, and what a parser must make of each: their index."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.parsers import ParseHints

LOGS = Path(__file__).parents[1] / "logs"
INDEX: dict[str, dict[str, Any]] = tomllib.loads((LOGS / "index.toml").read_text(encoding="utf-8"))


class Sample(NamedTuple):
    """A log and the throughput that its parser must find, printed and computed again."""

    program: str
    log: bytes
    hints: ParseHints
    throughput: float
    recomputed: float | None


def path(name: str) -> Path:
    return LOGS / INDEX[name]["program"] / f"{name}.txt"


def log(name: str) -> bytes:
    return path(name).read_bytes()


def hints(name: str, **changes: Any) -> ParseHints:
    return ParseHints(**INDEX[name].get("hints", {}) | changes)


def sample(name: str) -> Sample:
    row = INDEX[name]
    recomputed = row.get("metrics", {}).get("throughput_recomputed")
    return Sample(row["program"], log(name), hints(name), row["throughput"], recomputed)
