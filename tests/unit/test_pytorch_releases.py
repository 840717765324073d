"""Missing features of old releases of PyTorch, with a stand-in that has only what they had."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType, SimpleNamespace

import pytest


class Cuda:
    """Counts what it is told."""

    def __init__(self, *names):
        self.called: list[str] = []
        for name in names:
            setattr(self, name, lambda where, name=name: self.called.append(name))


def torch(**changed):
    """PyTorch 1.0 but for what is changed."""
    usual = {
        "float16": "half",
        "backends": SimpleNamespace(cuda=SimpleNamespace(), cudnn=SimpleNamespace()),
        "cuda": Cuda(),
        "nn": SimpleNamespace(),
        "no_grad": lambda: "no_grad",
    }
    found = ModuleType("torch")
    vars(found).update(usual | changed)
    return found


@pytest.fixture
def releases(monkeypatch):
    """Return a function that imports the module beside such a PyTorch."""
    name = "backends.pytorch.releases"
    package = importlib.import_module("backends.pytorch")

    def load(stand_in):
        monkeypatch.setitem(sys.modules, "torch", stand_in)
        monkeypatch.delitem(sys.modules, name, raising=False)
        module = importlib.import_module(name)
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(package, "releases", module, raising=False)
        return module

    yield load
    sys.modules.pop(name, None)


def test_a_release_without_bfloat16_is_imported(releases):
    assert releases(torch()).HALF == {"float16": "half"}
    assert set(releases(torch(bfloat16="brain")).HALF) == {"float16", "bfloat16"}


def test_the_plain_memory_order_needs_no_keyword(releases):
    assert releases(torch()).layout({"layout": "contiguous"}) == {}
    newer = releases(torch(channels_last="NHWC"))
    assert newer.layout({"layout": "channels_last"}) == {"memory_format": "NHWC"}


def test_full_precision_needs_no_autocast_and_steps_can_be_repeated(releases):
    context = releases(torch()).autocast(SimpleNamespace(type="cpu"), "float32")
    for _ in range(2):
        with context:
            pass


def test_float16_before_1_10_has_an_autocast_of_its_own(releases):
    amp = SimpleNamespace(autocast=lambda: "of CUDA")
    module = releases(torch(cuda=SimpleNamespace(amp=amp)))
    assert module.autocast(SimpleNamespace(type="cuda"), "float16") == "of CUDA"


@pytest.mark.parametrize("before", [True, False])
def test_onednn_graph_is_on_only_inside_and_only_if_wanted(releases, before):
    state = [before]
    jit = SimpleNamespace(
        onednn_fusion_enabled=lambda: state[0],
        enable_onednn_fusion=lambda enabled: state.__setitem__(0, enabled),
    )
    module = releases(torch(jit=jit))
    with module.onednn_graph(True):
        assert state == [True]
    assert state == [before]
    with releases(torch()).onednn_graph(False):  # needs nothing of an old release
        pass


def test_gradients_are_freed_without_zero_grad(releases):
    parameters = [SimpleNamespace(grad=1.0), SimpleNamespace(grad=None)]
    groups = [{"params": parameters[:1]}, {"params": parameters[1:]}]
    releases(torch()).clear_gradients(SimpleNamespace(param_groups=groups))
    assert [parameter.grad for parameter in parameters] == [None, None]


def test_switches_for_tf32_are_set_only_if_there_are_any(releases):
    old = torch()
    releases(old).allow_tf32(True)
    assert not vars(old.backends.cudnn)
    switches = SimpleNamespace(allow_tf32=True)
    new = torch(backends=SimpleNamespace(cuda=SimpleNamespace(matmul=switches), cudnn=switches))
    releases(new).allow_tf32(False)
    assert switches.allow_tf32 is False


@pytest.mark.parametrize(
    ("names", "called"),
    [
        ((), []),
        (("reset_max_memory_allocated",), ["reset_max_memory_allocated"]),
        (
            ("reset_max_memory_allocated", "reset_peak_memory_stats"),
            ["reset_peak_memory_stats"],
        ),
    ],
)
def test_the_peak_of_memory_is_reset_by_what_the_release_has(releases, names, called):
    cuda = Cuda(*names)
    releases(torch(cuda=cuda)).reset_peak_memory("cuda:0")
    assert cuda.called == called


def test_gradients_are_views_of_buckets_only_if_the_release_knows_them(releases):
    def old(network, device_ids=None, broadcast_buffers=True):
        return broadcast_buffers

    def new(network, device_ids=None, forward_sync_buffers=True, gradient_as_bucket_view=False):
        return forward_sync_buffers, gradient_as_bucket_view

    cpu = SimpleNamespace(type="cpu")
    for wrap, expected in ((old, False), (new, (False, True))):
        nn = SimpleNamespace(parallel=SimpleNamespace(DistributedDataParallel=wrap))
        assert releases(torch(nn=nn)).data_parallel("network", cpu) == expected
