"""Runs of a stand-in program on the host runtime, for tests of what is done with results."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from orchestrator.paths import PROJECT, RunFolder, runs
from orchestrator.request import Request, RuntimeChoice
from orchestrator.run import benchmark, places
from orchestrator.run.place import Place
from orchestrator.runtimes.host.runtime import HostRuntime
from tests.misbehaving import BEHAVIOUR, OPTIONS, PROGRAM


class View:
    def __init__(self):
        self.results, self.notes = [], []

    def stage(self, text):
        pass

    def progress(self, progress):
        pass

    def output(self, block):
        pass

    def note(self, text):
        self.notes.append(text)

    def result(self, result):
        self.results.append(result)

    def close(self):
        pass


def request(behaviour="good", **changes):
    usual = {
        "model": "deep_mnist",
        "framework": "pytorch",
        "batch": 2,
        "steps": 4,
        "gpus": "none",
        "runtime": RuntimeChoice.HOST,
        "options": {"behaviour": behaviour},
    }
    return Request(**usual | changes)


def the_place():
    return Place(runtime="host", reason="test", python=str(PROGRAM), code=PROJECT)


@contextmanager
def home(folder):
    """Give benchdock a home, no engine, and the stand-in program in place of any framework."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(OPTIONS, "behaviour", BEHAVIOUR)
        patch.setenv("BENCHDOCK_HOME", str(folder))
        patch.setenv("DOCKER_HOST", f"unix://{folder}/no.sock")
        for module in (benchmark, places):
            patch.setattr(module, "ready_place", lambda *_: (the_place(), HostRuntime()))
            patch.setattr(module, "planned_place", lambda *_: the_place())
        yield folder


def run(behaviour="good", **changes):
    """Run the stand-in; return its result and folder."""
    result, _ = benchmark.run(request(behaviour, **changes), View())
    return result, RunFolder(runs() / result.run)
