"""The MXNet backend's rules for options and its environment, which need no MXNet."""

import os

import pytest

from backends.harness import machine, tf32
from backends.harness.arguments import choose, one_step
from backends.harness.errors import Unsupported
from backends.mxnet import environment, option_defaults

NEW = option_defaults.Facts((1, 9), True, True)
OLD = option_defaults.Facts((1, 2), False, False)


def resolve(facts, options=(), **changed):
    asked = choose(option_defaults.OPTIONS, [word.split("=") for word in options])
    settings = one_step("m", "training", 2, asked)
    return option_defaults.resolve(settings._replace(**changed), facts)


def test_every_option_gets_a_value_it_declares():
    declared = {option.name: option.values for option in option_defaults.OPTIONS}
    for facts in (NEW, OLD):
        for device in ("cpu", "gpu"):
            for phase in ("training", "inference"):
                used = resolve(facts, phase=phase, device=device)
                assert list(used) == list(declared)
                assert all(used[name] in (*declared[name], "off") for name in used)


def test_normalisation_is_folded_once():
    assert resolve(NEW, phase="inference")["fold_batch_norm"] == "off"
    assert resolve(NEW, ["subgraph=off"], phase="inference")["fold_batch_norm"] == "on"
    assert resolve(OLD, phase="inference")["fold_batch_norm"] == "on"
    assert resolve(NEW, phase="inference", device="gpu")["fold_batch_norm"] == "on"


def test_many_arrays_are_updated_at_a_time_if_that_is_faster():
    assert resolve(NEW)["optimizer"] == "plain"
    assert resolve(NEW, device="gpu")["optimizer"] == "aggregated"
    assert resolve(OLD, device="gpu")["optimizer"] == "plain"


@pytest.mark.parametrize(
    ("facts", "option", "changed", "reason"),
    [
        (NEW, "subgraph=on", {}, "only for inference"),
        (NEW, "subgraph=on", {"phase": "inference", "device": "gpu"}, "only for CPUs"),
        (OLD, "subgraph=on", {"phase": "inference"}, "MXNet 1.2 does not have it"),
        (OLD, "optimizer=aggregated", {}, "updates one by one"),
        (NEW, "optimizer=plain", {"phase": "inference"}, "only for training"),
        (NEW, "cudnn_tune=fastest", {}, "only for GPUs"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(facts, option, changed, reason):
    with pytest.raises(Unsupported, match=reason):
        resolve(facts, [option], **changed)


@pytest.mark.parametrize(
    ("device", "dtype"), [("cpu", "float16"), ("cpu", "tf32"), ("cpu", "bfloat16"), ("gpu", "int8")]
)
def test_precisions_that_do_not_exist(device, dtype):
    with pytest.raises(Unsupported, match=dtype):
        resolve(NEW, device=device, dtype=dtype)


@pytest.fixture
def variables(monkeypatch):
    for name in (environment.THREADS, tf32.VARIABLE, environment.SUBGRAPH):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize("argv", [["--threads", "3"], ["--threads=3", "--dtype=float32", "x"]])
def test_threads_are_those_asked_for(variables, argv):
    variables.setenv(environment.THREADS, "5")
    environment.settle(argv)
    assert environment.threads() == 3


def test_threads_of_the_environment_are_left_alone_else_all_cpus(variables):
    environment.settle(["--threads", "many"])
    assert environment.threads() == machine.cpus()
    variables.setenv(environment.THREADS, "5")
    environment.settle([])
    assert environment.threads() == 5


def test_float32_is_not_rounded_to_tf32_unless_asked(variables):
    environment.settle(["--dtype=float32"])
    assert os.environ[tf32.VARIABLE] == "0"
    environment.settle(["--dtype", "tf32"])
    assert tf32.VARIABLE not in os.environ


def test_the_subgraph_backend_is_put_back(variables):
    with environment.subgraph_backend("NONE"):
        assert os.environ[environment.SUBGRAPH] == "NONE"
    assert environment.SUBGRAPH not in os.environ
    with environment.subgraph_backend(None):
        assert environment.SUBGRAPH not in os.environ
    variables.setenv(environment.SUBGRAPH, "mine")
    with environment.subgraph_backend("MKLDNN"):
        assert os.environ[environment.SUBGRAPH] == "MKLDNN"
    with environment.subgraph_backend(None):
        assert environment.SUBGRAPH not in os.environ
    assert os.environ[environment.SUBGRAPH] == "mine"
