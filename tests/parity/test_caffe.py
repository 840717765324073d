"""Caffe and Caffe2 compute what was drawn: run where they are installed, as in legacy-cpu."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import pytest

from backends import zoo
from backends.harness.errors import Unsupported
from tests.parity.running import Backend

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

DRAWABLE = [name for name in zoo.names() if name != "deep_speech2"]


@pytest.fixture(params=["bvlc_caffe", "caffe2"])
def backend(request):
    if request.param == "bvlc_caffe":
        pytest.importorskip("caffe", reason="Caffe is not installed in this environment")
        return import_module("backends.caffe.step").Backend("bvlc_caffe")
    if find_spec("caffe2") is None or find_spec("caffe2.python") is None:
        pytest.skip("Caffe2 is not installed in this environment")
    return import_module("backends.caffe2.step")


def check(level, backend, model):
    Backend(backend).prove(level, model)


@pytest.mark.parametrize("model", DRAWABLE)
def test_every_node_has_the_shape_drawn(backend, model):
    check("P1", backend, model)


@pytest.mark.parametrize("model", ["deep_mnist", "alexnet", "googlenet", "resnet50_v1.5"])
def test_logits_are_the_referees(backend, model):
    check("P2", backend, model)


@pytest.mark.parametrize("model", ["deep_mnist", "alexnet", "googlenet", "resnet18"])
def test_a_training_step(backend, model):
    check("P3", backend, model)


@pytest.mark.parametrize("backend", ["caffe2"], indirect=True)
def test_on_a_gpu_cudnn_pools_what_is_padded_evenly(backend):
    """It refuses the rest, forward and backward."""
    engines = set()
    for model in ("googlenet", "vgg11", "resnet50_v1.5"):
        net = backend.builder.build(zoo.draw(model), True, gpu=True).net
        for operator in net.Proto().op:
            if operator.type in ("MaxPool", "MaxPoolGradient"):
                pads = next(a.ints for a in operator.arg if a.name == "pads")
                even = list(pads[:2]) == list(pads[2:])
                assert operator.engine == ("CUDNN" if even else "DEFAULT")
                engines.add((operator.type, operator.engine))
    assert len(engines) == 4


def test_the_gap_is_told(backend):
    with pytest.raises(Unsupported, match="deep_speech2"):
        list(backend.shapes(zoo.draw("deep_speech2")))


@pytest.mark.parametrize("backend", ["bvlc_caffe"], indirect=True)
def test_pooling_cut_out_is_the_same_as_rounded_down(backend):
    backend.choices = lambda **choices: choices
    check("P1", backend, "resnet50_v1.5")
    check("P2", backend, "resnet50_v1.5")
