"""Networks of vendors' programs: what a program does not support with one, and how it differs from
the
zoo's.
"""

import json

import pytest

from orchestrator.cli import main
from orchestrator.errors import RequestError
from orchestrator.frameworks import catalogue
from orchestrator.frameworks.record import Unfit
from orchestrator.request import Request
from orchestrator.run import program_rules

VENDORS = [row for row in catalogue.FRAMEWORKS.values() if not row.ours]


def request(framework, model, **changes):
    return Request(framework=framework, model=model, **changes)


@pytest.mark.parametrize("row", VENDORS, ids=lambda row: row.name)
def test_what_is_said_of_a_network_is_said_of_one_that_the_program_has(row):
    said = {*row.vendor.differs, *(name for unfit in row.unfit for name in unfit.networks)}
    assert said <= set(row.networks or ())
    for unfit in row.unfit:
        can = {dtype for dtypes in row.dtypes.values() for dtype in dtypes}
        assert set(unfit.dtypes) <= can
        assert set(unfit.phases) <= {phase for _, phase in row.dtypes}


def test_an_unfit_network_is_unfit_where_it_is_said():
    everywhere = Unfit(networks=("a",), why="w")
    assert everywhere.forbids("a", "training", "int8")
    assert not everywhere.forbids("b", "training", "int8")
    no_network = Unfit(why="w", dtypes=("int8",))
    assert no_network.forbids("b", "training", "int8")
    assert not no_network.forbids("b", "training", "float16")
    there = Unfit(networks=("a", "b"), why="w", phases=("training",), dtypes=("float16", "int8"))
    assert there.forbids("b", "training", "float16")
    assert not there.forbids("b", "inference", "float16")
    assert not there.forbids("b", "training", "float32")


@pytest.mark.parametrize(
    ("framework", "model", "phase", "dtype", "told"),
    [
        ("mxnet_score", "mobilenet", "inference", "float16", "computes in float32 and calls it"),
        ("mxnet_score", "alexnet", "inference", "float16", "leaves it out"),
        ("mxnet_train_imagenet", "googlenet", "training", "float16", "stays in float32"),
        ("pytorch_imagenet", "googlenet", "training", "float32", "has several outputs"),
    ],
)
def test_a_network_that_a_program_cannot_do_so_is_refused(framework, model, phase, dtype, told):
    row = catalogue.framework(framework)
    wanted = request(framework, model, phase=phase, dtype=dtype)
    with pytest.raises(RequestError, match=told) as refused:
        catalogue.check(row, wanted, "gpu")
    assert f"does not support {phase} of {model} in {dtype}" in str(refused.value)
    other = {"phase": "inference"} if dtype == "float32" else {"dtype": "float32"}
    catalogue.check(row, wanted.model_copy(update=other), "gpu")
    catalogue.check(row, wanted.model_copy(update={"model": "vgg16"}), "gpu")


def test_a_network_of_the_programs_own_is_reported_with_every_result():
    framework = catalogue.framework("mxnet_train_imagenet")
    notes = list(program_rules.notes(framework, request(framework.name, "alexnet")))
    assert any(
        note.startswith("mxnet_train_imagenet's alexnet takes images of 224") for note in notes
    )
    assert not list(program_rules.notes(framework, request(framework.name, "vgg16")))


@pytest.mark.parametrize(
    ("framework", "models"),
    [
        ("horovod_tensorflow", ("inception3", "inception_resnet_v2", "xception")),
        ("horovod_pytorch", ("inception3", "googlenet")),
        ("pytorch_imagenet", ("inception3",)),
    ],
)
def test_no_program_is_given_a_network_that_its_images_do_not_fit(framework, models):
    row = catalogue.framework(framework)
    assert not {model for model in models if catalogue.has(row, model)}


def test_both_are_listed(capsys):
    assert main(["frameworks", "mxnet_score"]) == 0
    printed = capsys.readouterr().out
    assert "not supported in float16: alexnet inception-bn" in printed
    assert "takes images of 224 x 224" in printed
    assert main(["frameworks", "mxnet_score", "--json"]) == 0
    described = json.loads(capsys.readouterr().out)["frameworks"][0]
    assert described["unfit"][0]["dtypes"] == ["float16"]
    assert "alexnet" in described["differs"]


def test_what_only_one_release_cannot_do_is_listed_too(capsys):
    assert main(["frameworks", "tensorrt"]) == 0
    printed = capsys.readouterr().out
    assert "release=11: not supported in float16 bfloat16 int8: networks in your own" in printed
    assert "release=10: not supported" not in printed
