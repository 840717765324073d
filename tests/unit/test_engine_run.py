"""The life of a container on an engine that misbehaves."""

import os
import threading
import time
from pathlib import Path

import pytest

from orchestrator.errors import EngineError, ImageError, MachineError
from orchestrator.plan import Limits, Ulimit
from orchestrator.runtimes.contract import Exit, Runtime
from orchestrator.runtimes.docker.client import Engine
from tests.fakes import Answer, FakeEngine, fake_image, plan, state

TINY = "tiny:1"


@pytest.fixture
def fake(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")
    monkeypatch.delenv("BENCHDOCK_KEEP_CONTAINER", raising=False)
    with FakeEngine(tmp_path) as engine:
        engine.images[TINY] = fake_image(TINY)
        yield engine


@pytest.fixture
def engine(fake):
    with Engine.connect(patience=2) as connected:
        yield connected


def later(seconds, action):
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()


# Connecting


def test_connect_names_the_engine_in_one_request(fake, engine):
    assert (engine.name, engine.version) == ("docker", "20.10.24")
    assert fake.requests == ["GET /_ping"]
    runtime: Runtime = engine
    assert runtime is engine


def test_connect_knows_podman(fake):
    fake.headers |= {"Libpod-Api-Version": "4.3.1", "Server": "Libpod/4.3.1 (linux)"}
    with Engine.connect() as engine:
        assert (engine.name, engine.version) == ("podman", "4.3.1")


def test_connect_refuses_an_old_engine(fake):
    fake.headers["Api-Version"] = "1.39"
    with pytest.raises(
        EngineError, match=r"has API 1\.39, but benchdock needs Docker 19\.03 \(API 1\.40"
    ):
        Engine.connect()


def test_connect_refuses_what_is_not_an_engine(fake):
    fake.headers = {}
    with pytest.raises(EngineError, match="has API unknown"):
        Engine.connect()


def test_connect_without_a_socket(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere.sock")
    with pytest.raises(EngineError, match=r"no container engine answers at .*\(no such socket\)"):
        Engine.connect()


def test_connect_to_a_dead_engine(fake):
    fake.down()
    with pytest.raises(
        EngineError, match=r"\(connection refused\); run `sudo systemctl start docker`"
    ):
        Engine.connect()


def test_connect_to_an_impossible_address(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "gopher://x")
    with pytest.raises(EngineError, match="DOCKER_HOST"):
        Engine.connect()


def test_connect_without_permission(fake):
    user = os.geteuid()
    if user == 0:  # root may open any socket
        fake.socket.parent.chmod(0o700)
        os.seteuid(65534)
    else:
        fake.socket.chmod(0)
    try:
        with pytest.raises(EngineError, match=r"permission denied .* usermod -aG docker"):
            Engine.connect()
    finally:
        os.seteuid(user)
        fake.socket.chmod(0o600)


# Waiting


def test_the_end_is_reported_at_once(fake, engine):
    with engine.start(plan(), run_id="r") as run:
        assert run.wait(0.05) is None
        later(0.1, lambda: fake.end(3))
        began = time.monotonic()
        assert run.wait(10) == Exit(code=3)
        assert time.monotonic() - began < 1
    assert not fake.containers


@pytest.mark.parametrize("pid", [None, 0, 1, 99999999])
def test_a_first_process_that_is_not_the_containers_is_not_believed(fake, engine, pid):
    """The engine may be on another machine, whose numbers mean other processes here."""
    with engine.start(plan(), run_id="r") as run:
        (container,) = fake.containers.values()
        container.state["Pid"] = pid
        assert run.root() is None
        fake.end(0)
        run.wait(10)


def test_a_child_killed_for_memory_is_told_with_code_0(fake, engine):
    with engine.start(plan(), run_id="r") as run:
        fake.end(0, oom_killed=True)
        assert run.wait(10) == Exit(code=0, oom_killed=True)


def test_waiting_asks_the_engine_once(fake, engine):
    with engine.start(plan(), run_id="r") as run:
        run.wait(0.5)
        fake.end(0)
        run.wait(10)
        assert fake.count("/wait") == 1
        assert fake.count("/json") == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(broken=True), id="stream breaks off"),
        pytest.param(Answer(body={"StatusCode": 0}), id="answers while it runs"),
        pytest.param(Answer(500, {"message": "shutting down"}), id="refuses"),
    ],
)
def test_a_wait_that_ends_early_means_nothing(fake, engine, answer):
    fake.plan("/wait", answer)
    with engine.start(plan(), run_id="r") as run:
        assert run.wait(0.5) is None
        fake.end(7)
        assert run.wait(10) == Exit(code=7)


def test_an_engine_that_restarts_is_waited_for(fake, engine):
    with engine.start(plan(), run_id="r") as run:
        fake.down()
        assert run.wait(0.3) is None
        fake.up()
        assert run.wait(0.5) is None
        fake.end(0)
        assert run.wait(10) == Exit(code=0)
    assert not fake.containers


def test_an_engine_that_stays_away_is_given_up(fake):
    with Engine.connect(patience=0.3) as engine, engine.start(plan(), run_id="r") as run:
        fake.down()
        with pytest.raises(EngineError, match=r"the end of container \S+ is unknown") as raised:
            run.wait(10)
        assert "\n" not in str(raised.value)
        fake.up()
    assert not fake.containers


def test_a_container_that_vanished_has_no_code(fake, engine):
    with engine.start(plan(), run_id="r") as run:
        fake.containers.clear()
        fake.break_connections()
        end = run.wait(10)
        assert end is not None
        assert end.code is None
        assert "is gone" in end.detail


# Stopping and leaving


def test_stop_asks_first(fake, engine):
    fake.on_start = lambda c: setattr(c, "on_signal", lambda signal: c.end(143))
    with engine.start(plan(), run_id="r") as run:
        (container,) = fake.containers.values()
        assert run.stop(grace=5) == Exit(code=143)
        assert container.signals == ["SIGTERM"]


def test_stop_kills_after_the_grace(fake, engine):
    def on_signal(container):
        return lambda signal: container.end(137) if signal == "SIGKILL" else None

    fake.on_start = lambda c: setattr(c, "on_signal", on_signal(c))
    with engine.start(plan(), run_id="r") as run:
        (container,) = fake.containers.values()
        began = time.monotonic()
        assert run.stop(grace=0.2) == Exit(code=137)
        assert time.monotonic() - began < 1
        assert container.signals == ["SIGTERM", "SIGKILL"]


def test_stop_after_the_end_says_the_end(fake, engine):
    with engine.start(plan(), run_id="r") as run:
        fake.end(5)
        assert run.stop(grace=5) == Exit(code=5)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_nothing_is_left_whatever_happens(fake, engine, error):
    with pytest.raises(error), engine.start(plan(), run_id="r"):
        raise error
    assert not fake.containers
    assert not [t for t in threading.enumerate() if t.name.startswith("wait benchdock")]


def test_what_could_not_be_removed_is_said(fake, engine, monkeypatch):
    monkeypatch.setattr("orchestrator.runtimes.docker.execution.LEAVING_PATIENCE", 0.1)
    fake.plan("^DELETE", *[Answer(500, {"message": "device busy"})] * 9)
    with (
        pytest.raises(EngineError, match=r"could not be removed: .* busy; run `docker rm -f"),
        engine.start(plan(), run_id="r"),
    ):
        fake.end(0)


def test_trouble_of_the_clean_up_does_not_hide_the_failure(fake, engine, monkeypatch):
    monkeypatch.setattr("orchestrator.runtimes.docker.execution.LEAVING_PATIENCE", 0.1)
    monkeypatch.setattr("orchestrator.runtimes.docker.execution.JOIN_PATIENCE", 0.1)
    fake.plan("^DELETE", *[Answer(500, {"message": "device busy"})] * 9)
    with pytest.raises(KeyboardInterrupt) as raised, engine.start(plan(), run_id="r"):
        raise KeyboardInterrupt
    assert "could not be removed" in raised.value.__notes__[0]


def test_a_container_may_be_kept(fake, monkeypatch):
    monkeypatch.setenv("BENCHDOCK_KEEP_CONTAINER", "1")
    fake.on_start = lambda c: setattr(c, "on_signal", lambda signal: c.end(137))
    with Engine.connect() as engine:
        with engine.start(plan(), run_id="r") as run:
            assert "is kept" in run.notes()[0]
        (container,) = fake.containers.values()
        assert container.state["Status"] == "exited"
        assert "benchdock.keep" in container.config["Labels"]


def test_names_are_unique_and_legal(fake, engine):
    with (
        engine.start(plan(), run_id="a b/ä") as one,
        engine.start(plan(), run_id="a b/ä") as other,
    ):
        assert one.name != other.name
        assert one.name.startswith("benchdock-a-b---")


# Refusals at the start


def test_a_missing_image(fake, engine):
    with (
        pytest.raises(ImageError, match="has no image absent:1"),
        engine.start(plan(image="absent:1"), run_id="r"),
    ):
        pass


def test_a_dropped_gpu_request_is_refused_before_the_start(fake, engine):
    kept = {"State": state("created", False), "HostConfig": {"DeviceRequests": None}}
    fake.plan("/json$", Answer(body=kept))
    with (
        pytest.raises(MachineError, match=r"ignores the request for GPU 0, 1"),
        engine.start(plan(gpus=("0", "1")), run_id="r"),
    ):
        pass
    assert fake.count("/start") == 0
    assert not fake.containers


def test_refused_ulimits_are_dropped_one_by_one_and_said(fake, engine):
    refusal = "error setting rlimits for ready process: error setting rlimit type {}: not permitted"
    fake.plan("/start", *[Answer(500, {"message": refusal.format(n)}) for n in (8, 7)])
    limits = Limits(
        ulimits=tuple(Ulimit(name=n, soft=-1, hard=-1) for n in ("memlock", "stack", "nofile"))
    )
    with engine.start(plan(limits=limits), run_id="r") as run:
        (container,) = fake.containers.values()
        assert [u["Name"] for u in container.config["HostConfig"]["Ulimits"]] == ["stack"]
        assert [note.split(";")[0] for note in run.notes()] == [
            "the host refuses ulimit memlock",
            "the host refuses ulimit nofile",
        ]


def test_a_refused_ulimit_that_we_did_not_ask_for_ends_it(fake, engine):
    fake.plan("/start", Answer(500, {"message": "error setting rlimit type 8: not permitted"}))
    with pytest.raises(MachineError, match="ulimit"), engine.start(plan(), run_id="r"):
        pass
    assert not fake.containers


def test_warnings_of_the_engine_become_notes(fake, engine):
    fake.warnings = ["no swap limit"]
    with engine.start(plan(), run_id="r") as run:
        assert run.notes() == ("engine: no swap limit",)


# What the engine kept of the output


@pytest.mark.parametrize(("limit", "size"), [(100, 100), (10_000, 9_000)])
def test_output_is_cut_at_the_limit(fake, engine, tmp_path, limit, size):
    with engine.start(plan(), run_id="r") as run:
        (container,) = fake.containers.values()
        container.output = b"123456789\n" * 900
        fake.end(0)
        run.wait(10)
        run.collect_output(tmp_path / "engine.log", limit)
    assert (tmp_path / "engine.log").read_bytes() == (b"123456789\n" * 900)[:size]


def test_output_of_a_vanished_container_is_empty(fake, engine, tmp_path: Path):
    with engine.start(plan(), run_id="r") as run:
        fake.containers.clear()
        run.collect_output(tmp_path / "engine.log", 100)
    assert (tmp_path / "engine.log").read_bytes() == b""
