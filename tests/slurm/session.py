"""One session on a cluster: the suite of the eight-GPU example with a stand-in for its programs."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestrator.paths import PROJECT
from orchestrator.slurm.attempts import Attempts
from orchestrator.suites import expansion, journal, loading, state
from orchestrator.suites.state import State
from tests.nvml.machines import H200
from tests.nvml.stub import Stub
from tests.support.slurm_cluster import SlurmCluster

# Signs of life that stop for so long count as a death.
PATIENCE = "3s"


def suite(runs: int, seconds: float) -> str:
    """Return a suite of so many runs, with the devices of the eight-GPU example's."""
    cells = expansion.expand(loading.load(PROJECT / "examples/eight-gpus.yaml")).cells
    cells = tuple(sorted(cells, key=lambda cell: -cell.settings.get("devices", 1)))
    control, others = [c for c in cells if c.is_control], [c for c in cells if not c.is_control]
    others = others[: runs - 2]
    # Each control runs once more at the end.
    repeat, more = divmod(runs - 1, 1 + len(others))
    lines = [
        f"schema: 1\nname: eight\nrepeat: {repeat}\nbudget: {{run: 5m}}\ndefaults:",
        "  framework: custom\n  runtime: host\n  pattern: fps=(.)",
        f"  command: bash -c 'sleep {seconds}; echo fps=1'",
        f"control: [{_run(control[0].settings, 0)}]",
        "groups:\n  all:\n    runs:",
    ]
    for number, cell in enumerate(others, start=1):
        again = f", repeat: {repeat + 1}" if number <= more else ""
        lines.append(f"      - {_run(cell.settings, number, again)}")
    return "\n".join(lines) + "\n"


def _run(settings: dict[str, Any], number: int, more: str = "") -> str:
    devices = settings.get("devices", 1)
    return f"{{model: {settings['model']}-{number}, devices: {devices}{more}}}"


class Session:
    """A home on the shared path, and the commands that are run with it."""

    def __init__(self, cluster: SlurmCluster, home: Path, tools: Path, name: str = "s") -> None:
        self.cluster, self.home, self.tools, self.name = cluster, home, tools, name
        self._started: list[subprocess.Popen[str]] = []
        home.mkdir(parents=True, exist_ok=True)
        tools.mkdir(exist_ok=True)
        stub = Stub.build(tools)
        for node in cluster.nodes:
            # GPUs of different machines have different ids.
            text = H200.replace("-0000-0000-0000-", f"-{int(node[1:]):04d}-0000-0000-")
            (tools / f"{node}.txt").write_text(text)
        self._setup = [
            f"export LD_LIBRARY_PATH={stub.folder}",
            f'export NVML_STUB="{tools}/${{SLURMD_NODENAME}}.txt"',
        ]
        self.set_up()
        self.suite = home / "eight.yaml"

    @property
    def where(self) -> Path:
        return self.home / "sessions" / self.name

    def set_up(self, *lines: str) -> None:
        """Let each task start with these lines, after those that give it its GPUs."""
        told = json.dumps([*self._setup, *lines])
        (self.home / "slurm.toml").write_text(f'patience = "{PATIENCE}"\nsetup = {told}\n')

    def command(self, *words: str) -> subprocess.Popen[str]:
        """Start `benchdock suite`."""
        environment = {**self.cluster.environment, "BENCHDOCK_HOME": str(self.home)}
        # Tasks that would compile all modules again are not those of an installation.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator", "suite", *words],
            env=environment, cwd=PROJECT, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self._started.append(process)
        return process

    def close(self) -> None:
        """End the commands that still run, as after a failure."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def submit(self, *words: str) -> subprocess.Popen[str]:
        """Start the session."""
        return self.command(str(self.suite), "--on=slurm", f"--name={self.name}", *words)

    def resume(self, *words: str) -> subprocess.Popen[str]:
        """Continue the session."""
        return self.command("--resume", f"--name={self.name}", *words)

    def done(self) -> int:
        """Return how many runs have ended."""
        return len(Attempts(self.where / "slurm/attempts").look().ends)

    def going_on(self, node: str = "") -> list[str]:
        """Return the tasks that are running, of a node if it is named."""
        told = self.cluster.run(
            "squeue", "--noheader", "--states=RUNNING", "--format=%i %N", "--array", check=False
        )
        pairs = [line.split() for line in told.splitlines()]
        return [pair[0] for pair in pairs if len(pair) == 2 and node in ("", pair[1])]

    def working_task(self, node: str = "") -> str:
        """Return a task whose program runs, of a node if it is named, as soon as there is one."""
        attempts, found = Attempts(self.where / "slurm/attempts"), list[str]()

        def look() -> bool:
            seen = attempts.look()
            for name, number in seen.claims.items():
                last = attempts.last(name, number)
                at_work = last and last.claim.run and not last.claim.released
                if last and at_work and name not in seen.ends and node in ("", last.claim.node):
                    found.append(last.claim.job)
            return bool(found)

        self.wait_for(look)
        return found[0]

    def wait_for(self, met: Callable[[], object], patience: float = 60.0) -> None:
        """Wait, and let what Slurm requeued start at once."""
        until = time.monotonic() + patience
        while not met():
            assert time.monotonic() < until, self.log()
            self.cluster.hurry()
            time.sleep(0.2)

    def end(self, process: subprocess.Popen[str], patience: float = 120.0) -> str:
        """Wait for the end of a command; return what it printed."""
        self.wait_for(lambda: process.poll() is not None, patience)
        out, _ = process.communicate()
        return out

    def log(self) -> str:
        """Return what the session said, for failures."""
        path = self.where / "log.txt"
        said = path.read_text() if path.exists() else ""
        return said[-3000:] + self.cluster.run("squeue", "--array", check=False)

    def results(self) -> list[dict[str, Any]]:
        """Return the results of all runs, each with the note of its session."""
        found = []
        for folder in sorted((self.home / "runs").iterdir()):
            path = folder / "result.json"
            if path.exists():
                told = json.loads(path.read_text())
                note = folder / "session.json"
                told["note"] = json.loads(note.read_text()) if note.exists() else {}
                found.append(told)
        return found

    @property
    def state(self) -> State:
        path = self.where / "journal.jsonl"
        return state.of_events(journal.read(path), str(path))

    def check(self, runs: int) -> Counter[str]:
        """Return what became of all attempts. Raises AssertionError unless each run counts once."""
        results = self.results()
        good = [one for one in results if one["status"] == "ok"]
        keys = Counter((one["note"]["request"], one["note"]["pass"]) for one in good)
        assert len(keys) == runs, f"{len(keys)} of {runs} runs have a result\n{self.log()}"
        assert set(keys.values()) == {1}, f"measured twice: {keys.most_common(3)}"
        told = self.state
        assert told.finished, self.log()
        ended = {end.run for end in told.ended.values() if end.status == "ok"}
        assert ended == {one["run"] for one in good}
        assert not shared_gpus(results)
        return Counter(
            one["failure"]["kind"] if one["failure"] else one["status"] for one in results
        )


def shared_gpus(results: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return GPUs that two runs used at a time, by the runs' own records."""
    spans: dict[str, list[tuple[datetime, datetime, str]]] = {}
    for one in results:
        if one["plan"] and one["finished"]:
            times = [datetime.fromisoformat(one[name]) for name in ("started", "finished")]
            for gpu in one["plan"]["gpus"]:
                spans.setdefault(gpu, []).append((times[0], times[1], one["run"]))
    assert spans, "no run was on a GPU"
    found = []
    for gpu, told in spans.items():
        told.sort()
        for (_, end, first), (begin, _, second) in itertools.pairwise(told):
            if begin < end:
                found.append((gpu, first, second))
    return found
