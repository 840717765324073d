"""Runs on an engine that maps user ids."""

import json
import os
import subprocess
import sys

import pytest

from orchestrator.paths import PROJECT
from orchestrator.runtimes.docker.client import Engine
from tests import misbehaving
from tests.engine import private_engine as private

pytestmark = [pytest.mark.engine, pytest.mark.private_engine]


@pytest.fixture
def mapping(private_engine, tmp_path, monkeypatch):
    """An engine whose containers' ids are others on the host, as this machine need not allow."""
    ids = tmp_path / "ids"
    ids.write_text("nobody:100000:65536\nnogroup:100000:65536\n")
    bind = f"mount --bind {ids} /etc/subuid && mount --bind {ids} /etc/subgid"
    inner = f"touch /etc/subuid /etc/subgid; {bind} && exec dockerd"
    command = private.COMMAND.replace(
        "exec dockerd", f"exec unshare --mount sh -c '{inner} \"$@\"' dockerd"
    )
    monkeypatch.setattr(private, "COMMAND", command)
    private_engine._folder.chmod(0o711)  # the mapped root must reach its files
    private_engine.up("--userns-remap=nobody:nogroup")
    monkeypatch.setenv("DOCKER_HOST", private_engine.address)
    return private_engine


def test_a_run_writes_its_folder_if_the_engine_maps_user_ids(mapping, tmp_path):
    with Engine.connect() as engine, misbehaving.image(engine) as image:
        assert any("userns" in option for option in engine._sdk.info()["SecurityOptions"])
        done = subprocess.run(
            [
                *(sys.executable, "-m", "orchestrator", "run", "x", "-f", "custom", "--gpus=none"),
                *(f"--image={image}", "--runtime=docker", "--json"),
                *("--command=bash -c 'echo fps=12; id -u'", "--pattern=fps=(.+)"),
            ],
            env={**os.environ, "BENCHDOCK_HOME": str(tmp_path / "home")},
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["metrics"]["throughput"]["value"] == 12.0
    assert any("maps user ids" in warning for warning in result["warnings"])
    (log,) = tmp_path.glob("home/runs/*/log.txt")
    uid = int(result["plan"]["user"].partition(":")[0])
    assert log.read_text() == f"fps=12\n{uid}\n"
    assert log.stat().st_uid == uid
