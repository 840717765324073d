"""An installed wheel runs a benchmark in a container, from outside the checkout."""

import json

import pytest

from tests import installed

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]


def test_a_wheel_in_an_environment_of_its_own_runs_in_a_container(engine, tmp_path):
    benchdock = installed.install(installed.build_wheel(tmp_path), tmp_path / "env")
    words = "run deep_mnist -f pytorch --gpus none --runtime docker --batch 8 --steps 3 --json"
    done = installed.run(benchdock, *words.split(), BENCHDOCK_HOME=str(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["metrics"]["throughput"]["value"] > 0
    assert result["environment"]["commit"] is None
    image = engine.image(result["plan"]["image"])
    wanted = installed.run(benchdock.with_name("python"), "-c", installed.LABELS)
    assert json.loads(wanted.stdout)["pytorch-cpu"].items() <= image.labels.items()
