"""Runs on an engine that goes away, and runs that request GPUs."""

import time

import pytest

from orchestrator.errors import EngineError
from orchestrator.runtimes.contract import Exit
from orchestrator.runtimes.docker.client import Engine
from tests.fakes import plan

pytestmark = [pytest.mark.engine, pytest.mark.private_engine]

TINY = "tiny:1"


@pytest.fixture
def connected(private_engine, tiny_archive, monkeypatch):
    """Start the private engine with these options, and connect to it."""
    monkeypatch.setenv("DOCKER_HOST", private_engine.address)
    engines: list[Engine] = []

    def up(*options: str, patience: float = 60) -> Engine:
        private_engine.up(*options)
        engine = Engine.connect(patience=patience)
        engines.append(engine)
        engine.import_image(tiny_archive, TINY)
        return engine

    yield up
    for engine in engines:
        engine.close()


def sleeper(seconds: int, code: int = 0):
    return plan(image=TINY, argv=("sh", "-c", f"sleep {seconds}; exit {code}"))


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_with_live_restore_a_run_survives(private_engine, connected, end):
    engine = connected("--live-restore")
    with engine.start(sleeper(6, code=3), run_id="r") as execution:
        assert execution.wait(0.5) is None
        getattr(private_engine, end)()
        assert execution.wait(1) is None
        private_engine.up("--live-restore")
        assert execution.wait(60) == Exit(code=3)
    assert engine.our_containers() == ()


def test_a_run_that_ends_while_the_engine_is_away(private_engine, connected):
    engine = connected("--live-restore")
    with engine.start(sleeper(1, code=3), run_id="r") as execution:
        private_engine.kill()
        time.sleep(2)
        private_engine.up("--live-restore")
        assert execution.wait(60) == Exit(code=3)


def test_without_live_restore_a_run_is_killed(private_engine, connected):
    engine = connected()
    with engine.start(sleeper(100), run_id="r") as execution:
        assert execution.wait(0.5) is None
        private_engine.terminate()
        private_engine.up()
        end = execution.wait(60)
        assert end is not None
        assert end.code in {137, 143}


def test_an_engine_that_stays_away_is_given_up(private_engine, connected):
    engine = connected("--live-restore", patience=1)
    with engine.start(sleeper(100), run_id="r") as execution:
        private_engine.kill()
        with pytest.raises(EngineError, match="does not answer"):
            execution.wait(30)
        private_engine.up("--live-restore")
    assert engine.our_containers() == ()


def test_gpus_are_passed_through(connected, tmp_path):
    engine = connected()
    assert engine.info().gpu_support
    show = ("sh", "-c", "echo $NVIDIA_VISIBLE_DEVICES")
    with engine.start(plan(image=TINY, argv=show, gpus=("0", "2")), run_id="r") as execution:
        assert execution.wait(60) == Exit(code=0)
        execution.collect_output(tmp_path / "out", 1000)
    assert (tmp_path / "out").read_text() == "0,2\n"
