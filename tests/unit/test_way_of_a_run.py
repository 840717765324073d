"""The way of one run through the modules: decided once, and without going back and forth."""

from __future__ import annotations

import ast

import pytest

from orchestrator.cli import main
from orchestrator.images import digests, image_table, store
from orchestrator.machine import disturbances
from orchestrator.paths import PROJECT
from orchestrator.run import benchmark
from orchestrator.run.decision import decide
from tests.fakes import FakeEngine, fake_image
from tests.support import stand_in
from tests.support.walk import Walk, followed

MOST_MODULES = 64
MOST_ENTRIES = 4
MOST_IMPORTS = 12
HEADLINE = ("run", "vgg19", "-f", "caffe2")


def starts_container(module: str, function: str) -> bool:
    return (module, function) == ("orchestrator.runtimes.docker.client", "start")


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """Follow the headline command on an engine that has the image, until the container starts."""
    folder = tmp_path_factory.mktemp("way")
    table = image_table.load()
    image = table.image("legacy-cpu")
    name = store.name_of(image, table)
    with pytest.MonkeyPatch.context() as patch, FakeEngine(folder) as engine:
        engine.images[name] = fake_image(name, Labels=digests.labels(image, table))
        patch.setenv("DOCKER_HOST", engine.address)
        patch.setenv("BENCHDOCK_HOME", str(folder / "home"))
        patch.setattr(disturbances, "BUSY", 1.0)  # what is said of a busy machine is not of a run
        with followed(starts_container) as walk:
            main(HEADLINE)
    assert walk.ended, "the container was never started"
    return walk


@pytest.mark.slow
def test_a_run_is_decided_once(walk: Walk) -> None:
    assert walk.functions["orchestrator.run.decision:decide"] == 1


def test_a_reader_of_a_run_needs_few_modules(walk: Walk) -> None:
    assert len(walk.modules) <= MOST_MODULES, sorted(walk.modules)


def test_no_module_is_entered_again_and_again(walk: Walk) -> None:
    often = {
        name: [step for step in walk.steps if step[1] == name]
        for name, count in walk.counts().items()
        if count > MOST_ENTRIES and not name.startswith("orchestrator.ui")
    }
    assert not often


@pytest.mark.slow
@pytest.mark.parametrize("command", ["dry run", "replay"])
def test_what_only_shows_a_run_decides_once_too(tmp_path, command):
    with stand_in.home(tmp_path):
        first, _ = stand_in.run()
        words = {
            "dry run": ("run", "deep_mnist", "-f", "pytorch", "--dry-run"),
            "replay": ("replay", str(first.run), "--quiet"),
        }[command]
        with followed() as walk:
            assert main(words) == 0
    assert walk.functions["orchestrator.run.decision:decide"] == 1


def test_a_replay_is_put_together_from_few_parts():
    source = (PROJECT / "orchestrator/results/replay.py").read_text()
    imports = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        and not (isinstance(node, ast.ImportFrom) and node.module == "__future__")
    ]
    assert len(imports) <= MOST_IMPORTS


def test_a_run_and_its_dry_run_plan_the_same(tmp_path, monkeypatch):
    decisions = []

    def kept(*words, **options):
        decisions.append(decide(*words, **options))
        return decisions[-1]

    with stand_in.home(tmp_path):
        monkeypatch.setattr(benchmark, "decide", kept)
        planned = benchmark.dry_run(stand_in.request())
        ran, _ = stand_in.run()
    one, other = decisions
    assert (one.framework, one.target, one.image, one.reason) == (
        *(other.framework, other.target, other.image, other.reason),
    )
    assert planned.plan.steps == ran.plan.steps
