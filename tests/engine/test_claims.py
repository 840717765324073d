"""A stranger's bundle on a real engine: none of its commands starts until it is trusted."""

import json
import os
import subprocess
import sys

import pytest

from orchestrator.paths import PROJECT
from tests.support.bundles import rewritten

pytestmark = pytest.mark.engine


def benchdock(home, *words):
    """Run the command in a home of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", *map(str, words)],
        env={**os.environ, "BENCHDOCK_HOME": str(home)},
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done


def test_a_strangers_bundle_of_a_container_runs_only_if_it_is_trusted(misbehaving_image, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "secret").write_text("42")
    words = (
        "run",
        "mine",
        "-f",
        "custom",
        "--gpus=none",
        "--runtime=docker",
        f"--image={misbehaving_image}",
    )
    command = "bash -c 'while read -r n; do echo fps=$n; done < {data}/secret; echo fps=42'"
    more = (f"--command={command}", "--pattern=fps=(.+)", "--estimator=last", f"--data={data}")
    done = benchdock(tmp_path / "theirs", *words, *more, "--json")
    assert done.returncode == 0, done.stderr
    bundle = tmp_path / "run.zip"
    run = json.loads(done.stdout)["run"]
    assert benchdock(tmp_path / "theirs", "bundle", run, "-o", bundle).returncode == 0
    assert benchdock(tmp_path / "mine", "verify", bundle).returncode == 0

    refused = benchdock(tmp_path / "mine", "replay", bundle)
    assert refused.returncode == 2
    for told in (
        f"the folder '{data}'",
        f"the image '{misbehaving_image}'",
        "the command",
        "--trust",
    ):
        assert told in refused.stderr
    assert not (tmp_path / "mine" / "runs").exists()

    shown = benchdock(tmp_path / "mine", "replay", bundle, "--dry-run").stdout
    assert f"{data} as /benchdock/data, read-only" in shown
    assert f"image           {misbehaving_image}" in shown
    assert "exec bash -c 'while read" in shown
    assert not (tmp_path / "mine" / "runs").exists()

    replayed = benchdock(tmp_path / "mine", "replay", bundle, "--trust", "--json")
    assert replayed.returncode == 0, replayed.stderr
    assert json.loads(replayed.stdout)["result"]["plan"]["image"] == misbehaving_image

    forged = rewritten(bundle, tmp_path / "forged.zip", request={"dtype": "float16"})
    found = benchdock(tmp_path / "mine", "verify", forged)
    assert found.returncode == 2
    assert "dtype is 'float16' in request.json and 'float32' in plan.json" in found.stderr
