"""What can run where, and why not."""

import pytest

from backends import zoo
from orchestrator import catalogue
from orchestrator.errors import RequestError
from orchestrator.request import Request


def request(**changes):
    return Request(**{"model": "resnet18", "framework": "pytorch", **changes})


def test_names_are_found_and_mistyped_ones_get_a_suggestion():
    assert catalogue.framework("pytorch").backend == "backends.pytorch"
    with pytest.raises(RequestError, match=r"unknown framework 'pytorhc'; did you mean 'pytorch'"):
        catalogue.framework("pytorhc")
    with pytest.raises(RequestError, match=r"unknown model 'resnet5'; did you mean 'resnet50'"):
        catalogue.draw("resnet5")
    with pytest.raises(RequestError, match="`benchdock models` lists them"):
        catalogue.draw("zzz")


@pytest.mark.parametrize("row", catalogue.FRAMEWORKS.values(), ids=lambda row: row.name)
def test_every_row_is_sound(row):
    assert set(row.gaps) <= set(zoo.names())
    for (device, _), dtypes in row.dtypes.items():
        assert device in ("cpu", "gpu")
        assert dtypes


def test_a_dtype_that_cannot_be_says_what_can():
    row = catalogue.framework("pytorch")
    with pytest.raises(RequestError, match="use one of float32, bfloat16"):
        catalogue.check(row, request(dtype="float16"), "cpu")
    catalogue.check(row, request(dtype="float16"), "gpu")


def test_a_declared_gap_names_who_can():
    row = catalogue.Framework(
        name="x",
        title="X",
        program="benchdock",
        launcher="x",
        backend="backends.x",
        dtypes={("cpu", "inference"): ("float32",)},
        images={},
        gaps={"resnet18": "no convolution"},
    )
    with pytest.raises(RequestError, match=r"x cannot draw resnet18: no convolution; .*pytorch"):
        catalogue.check(row, request(), "cpu")
    with pytest.raises(RequestError, match="x does no training on the cpu; it does inference"):
        catalogue.check(row, request(model="vgg11"), "cpu")


def test_counts_are_chosen_where_the_request_is_silent():
    chosen = catalogue.DEFAULTS["cpu"]
    assert catalogue.check_counts(request(), "cpu") == (chosen.batch, chosen.steps, chosen.warmup)
    assert catalogue.check_counts(request(steps=2), "cpu")[2] == 1
    assert catalogue.check_counts(request(steps=1), "cpu")[2] == 0


@pytest.mark.parametrize(("steps", "warmup"), [(5, 5), (5, 9), (1, 1)])
def test_a_warm_up_that_takes_every_step_is_refused(steps, warmup):
    with pytest.raises(RequestError, match=f"a warm-up of {warmup} steps leaves nothing of"):
        catalogue.check_counts(request(steps=steps, warmup=warmup), "cpu")


def test_more_gpus_than_a_backend_can_use_are_refused():
    one = catalogue.framework("caffe2")
    catalogue.check_devices(one, 1)
    with pytest.raises(RequestError, match="caffe2 uses one GPU here, 4 were asked for"):
        catalogue.check_devices(one, 4)
    catalogue.check_devices(catalogue.framework("pytorch"), 4)
