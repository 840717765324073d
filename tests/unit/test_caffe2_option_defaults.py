"""The Caffe2 backend's rules for options, which need no Caffe2."""

from collections import OrderedDict

import pytest

from backends.caffe2 import option_defaults
from backends.caffe2.option_defaults import Facts
from backends.harness.arguments import choose, one_step
from backends.harness.errors import Unsupported

NEW, OLD = Facts(ideep=True, nccl=True), Facts(ideep=False, nccl=False)


def resolve(facts, *options, **changed):
    asked = choose(option_defaults.OPTIONS, [word.split("=") for word in options])
    settings = one_step("m", "training", 2, asked)
    return option_defaults.resolve(settings._replace(**changed), facts)


@pytest.mark.parametrize("facts", [NEW, OLD])
@pytest.mark.parametrize("phase", ["training", "inference"])
@pytest.mark.parametrize("device", ["cpu", "gpu"])
@pytest.mark.parametrize("devices", [1, 2])
def test_every_option_gets_a_value_it_declares(facts, phase, device, devices):
    declared = OrderedDict((o.name, o.values) for o in option_defaults.OPTIONS)
    used = resolve(facts, phase=phase, device=device, devices=devices)
    assert list(used) == list(declared)
    for name, value in used.items():
        assert value in (*declared[name], "off")


def test_intels_operators_compute_if_they_are_there():
    assert resolve(NEW)["engine"] == "ideep"
    assert resolve(OLD)["engine"] == "native"
    assert resolve(NEW, device="gpu")["engine"] == "native"
    assert resolve(NEW, "engine=native")["engine"] == "native"
    assert resolve(OLD, "engine=native")["engine"] == "native"


def test_normalization_is_folded_for_inference_only():
    assert resolve(OLD, phase="inference")["fold_batch_norm"] == "on"
    assert resolve(OLD)["fold_batch_norm"] == "off"
    assert resolve(OLD, "fold_batch_norm=off", phase="inference")["fold_batch_norm"] == "off"


def test_several_operators_run_at_a_time_on_a_gpu_and_on_several_devices():
    assert resolve(OLD)["net_type"] == "simple"
    assert resolve(OLD, device="gpu")["net_type"] == "async_scheduling"
    assert resolve(OLD, devices=2)["net_type"] == "dag"
    assert resolve(OLD, "net_type=dag")["net_type"] == "dag"


def test_a_net_that_would_crash_with_intels_operators_gets_the_others():
    assert resolve(NEW, "net_type=dag")["engine"] == "ideep"
    assert resolve(NEW, "net_type=async_scheduling")["engine"] == "native"
    with pytest.raises(Unsupported, match="a net of the type async_scheduling crashes with them"):
        resolve(NEW, "net_type=async_scheduling", "engine=ideep")


def test_nccl_sums_gradients_where_it_can():
    assert resolve(NEW, device="gpu", devices=8)["nccl"] == "on"
    assert resolve(NEW, "nccl=off", device="gpu", devices=8)["nccl"] == "off"
    assert resolve(OLD, device="gpu", devices=8)["nccl"] == "off"
    assert resolve(NEW, device="gpu")["nccl"] == "off"
    assert resolve(NEW, devices=8)["nccl"] == "off"
    with pytest.raises(Unsupported, match="option nccl=on: this Caffe2 was built without it"):
        resolve(OLD, "nccl=on", device="gpu", devices=8)


@pytest.mark.parametrize(
    ("facts", "option", "device", "message"),
    [
        (OLD, "engine=ideep", "cpu", "option engine=ideep: this Caffe2 was built without them"),
        (NEW, "engine=ideep", "gpu", "option engine=ideep: only for CPUs"),
        (NEW, "nccl=on", "gpu", "option nccl=on: only for several GPUs"),
        (NEW, "nccl=on", "cpu", "option nccl=on: only for GPUs"),
        (NEW, "fold_batch_norm=on", "cpu", "option fold_batch_norm=on: only for inference"),
    ],
)
def test_what_cannot_be_is_refused(facts, option, device, message):
    with pytest.raises(Unsupported) as refused:
        resolve(facts, option, device=device)
    assert str(refused.value) == message
