"""Special to Caffe and Caffe2: run where both are installed, as in legacy-cpu."""

import pytest

from backends import zoo

pytest.importorskip("caffe", reason="Caffe is not installed in this environment")
pytest.importorskip("caffe2.python", reason="Caffe2 is not installed in this environment")

from backends.caffe import step
from tests.parity.running import Backend

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def test_on_a_gpu_cudnn_pools_what_is_padded_evenly():
    """It refuses the rest, forward and backward."""
    from backends.caffe2 import build  # warns, which only a test may ignore

    engines = set()
    for model in ("googlenet", "vgg11", "resnet50_v1.5"):
        net = build.build(zoo.draw(model), True, gpu=True).net
        for operator in net.Proto().op:
            if operator.type in ("MaxPool", "MaxPoolGradient"):
                pads = next(a.ints for a in operator.arg if a.name == "pads")
                even = list(pads[:2]) == list(pads[2:])
                assert operator.engine == ("CUDNN" if even else "DEFAULT")
                engines.add((operator.type, operator.engine))
    assert len(engines) == 4


def test_pooling_cut_out_is_the_same_as_rounded_down(monkeypatch):
    caffe = step.Backend("bvlc_caffe")
    monkeypatch.setattr(caffe, "choices", lambda **choices: dict(choices, round_mode=False))
    for level in ("P1", "P2"):
        Backend(caffe).prove(level, "resnet50_v1.5")
