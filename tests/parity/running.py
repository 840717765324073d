"""Common to the tests of all backends: a backend's program as a process, and one comparison."""

import json
import os
import subprocess
import sys
from pathlib import Path

from backends import zoo
from backends.harness import arguments, parity

ROOT = Path(__file__).parents[2]
TAG = "::benchdock "


def start(command, **environment):
    """Run a command; return what came of it and the events that it printed."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(TAG)]
    return done, [json.loads(line[len(TAG) :]) for line in lines]  # Python 3.7


def several(words, count=2):
    """The command of a backend, whose words these are, as several ranks."""
    assert words[0] == "-m"
    return [sys.executable, "-m", "backends.harness.ranks", str(count), *words[1:]]


class Backend:
    """One backend: its program, its options, its comparisons with the referee."""

    def __init__(self, step, **usual):
        self.step = step
        self._usual = {"model": "deep_mnist", "device": "cpu", "dtype": "float32", "batch": 4}
        # Python 3.7 runs this too: its dictionaries have no `|=`.
        self._usual.update({"steps": 5, "warmup": 1, "warmup-seconds": 0, **usual})

    def words(self, **changed):
        """The command line after `python`."""
        asked = {**self._usual, **changed}
        flags = [f"--{name}={value}" for name, value in asked.items()]
        return ["-m", f"backends.{self.step.FRAMEWORK}", *flags]

    def run(self, **changed):
        """Run the benchmark as usual but for what is changed."""
        return start([sys.executable, *self.words(**changed)], PYTHONWARNINGS="default")

    def options(self, *pairs):
        """Every option, those of these "key=value" as they say."""
        return arguments.choose(self.step.OPTIONS, [pair.split("=") for pair in pairs])

    def settings(self, graph, phase, *pairs, **changed):
        """Settings of one step with these options."""
        return arguments.one_step(graph.name, phase, 2, self.options(*pairs), **changed)

    def compare(self, level, model, *pairs, dtype="float32"):
        """The verdict on a model of the zoo, or on a graph, with these options."""
        graph = zoo.draw(model) if isinstance(model, str) else model
        asked = arguments.ParitySettings((), (), dtype, "cpu", self.options(*pairs), 1)
        return parity.check(level, self.step, graph, asked)

    def prove(self, level, model, *pairs, dtype="float32"):
        """Fail with what differs unless it holds."""
        verdict = self.compare(level, model, *pairs, dtype=dtype)
        assert verdict.holds, verdict.detail

    def refuse(self, kind, message, **changed):
        """Fail unless a run ends with an error event of this kind and words."""
        done, events = self.run(**changed)
        assert done.returncode == 1
        assert events[-1]["event"] == "error"
        assert events[-1]["kind"] == kind
        assert message in events[-1]["message"]
