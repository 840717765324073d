"""The requested engine is used, or none."""

import hashlib
import json

import pytest

from orchestrator.errors import MachineError
from orchestrator.runtimes.docker import contexts
from orchestrator.runtimes.docker.client import Engine
from orchestrator.runtimes.docker.contexts import Endpoint
from tests.fakes import FakeEngine


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    """Docker's settings folder, with a context that has no settings file beside it."""
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    add(folder, "mine", {"Host": "unix:///mine.sock", "SkipTLSVerify": False})
    return folder


def add(folder, name, endpoint):
    meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    told = {"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}
    (meta / "meta.json").write_text(json.dumps(told))
    return meta


def test_without_a_context_it_is_the_usual_engine(settings, monkeypatch):
    assert contexts.chosen() is None
    (settings / "config.json").write_text("{}")
    assert contexts.chosen() is None
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert contexts.chosen() is None


def test_a_context_is_found_by_variable_and_by_settings(settings, monkeypatch):
    mine = Endpoint(host="unix:///mine.sock")
    monkeypatch.setenv("DOCKER_CONTEXT", "mine")
    assert contexts.chosen() == mine
    monkeypatch.delenv("DOCKER_CONTEXT")
    (settings / "config.json").write_text('{"currentContext": "mine"}')
    assert contexts.chosen() == mine


def test_certificates_belong_to_a_context(settings, monkeypatch):
    meta = add(settings, "far", {"Host": "tcp://far:2376", "SkipTLSVerify": True})
    certificates = settings / "contexts" / "tls" / meta.name / "docker"
    certificates.mkdir(parents=True)
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    found = contexts.chosen()
    assert found == Endpoint(host="tcp://far:2376", certificates=certificates, verify=False)


def test_an_engine_is_reached_by_its_context(settings, monkeypatch, tmp_path):
    with FakeEngine(tmp_path) as engine:
        add(settings, "fake", {"Host": engine.address})
        monkeypatch.setenv("DOCKER_CONTEXT", "fake")
        with Engine.connect() as connected:
            assert connected.address == engine.address


@pytest.mark.parametrize("how", ["variable", "settings"])
def test_a_context_that_is_not_there_is_refused(settings, monkeypatch, how):
    if how == "variable":
        monkeypatch.setenv("DOCKER_CONTEXT", "typo")
    else:
        (settings / "config.json").write_text('{"currentContext": "typo"}')
    with pytest.raises(
        MachineError, match="the Docker context 'typo' does not exist; run `docker context ls"
    ):
        Engine.connect()


@pytest.mark.parametrize("text", ["", "[]", "{", "7", '{"currentContext": 7}', "[" * 100_000])
@pytest.mark.parametrize("host", [None, "unix:///absent.sock"])
def test_settings_that_cannot_be_read_are_refused(settings, monkeypatch, text, host):
    (settings / "config.json").write_text(text)
    if host is not None:
        monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(MachineError, match=r"cannot read Docker's settings in"):
        Engine.connect()


@pytest.mark.parametrize("endpoint", [None, [], {}, {"Host": 7}, {"Host": "x", "SkipTLSVerify": 7}])
def test_a_damaged_context_is_refused(settings, monkeypatch, endpoint):
    add(settings, "odd", endpoint)
    monkeypatch.setenv("DOCKER_CONTEXT", "odd")
    with pytest.raises(MachineError, match="cannot read the Docker context 'odd'"):
        Engine.connect()
