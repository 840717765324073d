"""Twenty steps of every framework's training job give the same losses."""

import json

import pytest

from orchestrator.frameworks.catalogue import OURS
from tests.engine import in_image

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]

TRAINING = [row for row in OURS if ("cpu", "training") in row.dtypes and "cpu" in row.images]
ASKED = {"deep_mnist": 16, "resnet18": 2}


@pytest.fixture(scope="module")
def losses(engine):
    """Framework -> model -> losses, each from a real container."""
    found = {}
    for row in TRAINING:
        reference = in_image.ready(engine, row.images["cpu"])
        asked = [f"{model}:{batch}" for model, batch in ASKED.items()]
        done = in_image.run_module(reference, "tests.parity.losses", row.name, *asked)
        assert done.returncode == 0, done.stdout + done.stderr
        found[row.name] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_every_training_framework_is_compared(losses):
    assert set(losses) == {"pytorch", "tensorflow", "mxnet", "caffe2", "bvlc_caffe"}


@pytest.mark.parametrize("model", ASKED)
def test_all_frameworks_lose_alike_and_learn(losses, model):
    reference = losses["pytorch"][model]
    assert len(reference) == 20
    for framework, found in losses.items():
        assert found[model] == pytest.approx(reference, rel=1e-4), framework
        assert found[model][-1] < 0.95 * found[model][0], framework
