"""SIGKILL at random moments of a session: every run is done once, and no result is lost."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from orchestrator.paths import PROJECT
from orchestrator.suites import journal, state
from tests.stress.kills import environment

SERIES = 10
LONGEST = 4.0  # s until the kill, from the first line of the journal that this process writes
SUITE = """schema: 1
name: kills
repeat: 2
defaults:
  framework: custom
  gpus: none
  pattern: fps=(.)
  command: bash -c 'echo fps=1'
{more}
groups:
  a:
    matrix: {{model: [{models}]}}
"""


def attack(kills: int, seed: int, home: Path, more: str = "  runtime: host") -> Counter[str]:
    """Kill sessions until `kills` hit; return what became of their runs.

    `more` are further lines of the suite's defaults. Raises AssertionError.
    """
    chance = random.Random(seed)
    home.mkdir(parents=True, exist_ok=True)
    suite = home / "kills.yaml"
    models = ", ".join(f"mine{number}" for number in range(SERIES))
    suite.write_text(SUITE.format(more=more, models=models), "utf-8")
    hits, words = 0, [str(suite)]
    while hits < kills:
        hit = _hit(home, words, chance.uniform(0.0, LONGEST))
        hits += hit
        words = ["--resume"] if hit and not _finished(home) else [str(suite)]
    while not _finished(home):
        assert _go(home, ["--resume"]).wait() == 0
    return _checked(home) + Counter(kills=hits)


def _go(home: Path, words: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "suite", *words],
        env=environment(home),
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _hit(home: Path, words: list[str], after: float) -> bool:
    """Start or resume a session and kill it; return False if it had ended before."""
    before = _written(home)
    with _go(home, words) as process:
        while process.poll() is None and _written(home) == before:
            time.sleep(0.01)
        try:
            status = process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
    assert status == 0, f"benchdock suite {' '.join(words)}: status {status}"
    return False


def _finished(home: Path) -> bool:
    """Whether all sessions are: the kill may have come after the last run."""
    journals = (one.with_name("journal.jsonl") for one in home.glob("sessions/*/session.json"))
    return all(state.of_events(journal.read(path), str(path)).finished for path in journals)


def _written(home: Path) -> int:
    return sum(path.stat().st_size for path in home.glob("sessions/*/journal.jsonl"))


def _checked(home: Path) -> Counter[str]:
    """Compare the journals with the run folders. Raises AssertionError."""
    seen: Counter[str] = Counter()
    kept: dict[str, str] = {}
    for folder in sorted((home / "runs").iterdir()):
        result = json.loads((folder / "result.json").read_text("utf-8"))
        kind = result["failure"]["kind"] if result["failure"] else "ok"
        assert kind in ("ok", "interrupted"), f"{folder}: {result['failure']}"
        seen[kind] += 1
        if kind == "ok":
            note = json.loads((folder / "session.json").read_text("utf-8"))
            key = f"{note['name']} {note['request']} {note['pass']}"
            assert key not in kept, f"{folder} repeats {kept[key]}"
            kept[key] = folder.name
    told: dict[str, str] = {}
    for path in home.glob("sessions/*/journal.jsonl"):
        found = state.of_events(journal.read(path), str(path))
        assert found.finished, path
        assert len(found.ended) == 2 * SERIES, path
        told |= {f"{path.parent.name} {d} {p}": e.run or "" for (d, p), e in found.ended.items()}
        seen["sessions"] += 1
    assert told == kept, "the journals and the run folders differ"
    assert not list((home / "unfinished").glob("*.json"))
    return seen
