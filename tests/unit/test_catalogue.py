"""What can run where, and why not."""

import itertools
import re
from typing import Any

import pytest

from backends import zoo
from orchestrator.errors import RequestError
from orchestrator.frameworks import catalogue, record
from orchestrator.frameworks.record import SHORT_NAMES, Framework, StepRules
from orchestrator.request import Request
from orchestrator.units import counted

PYTORCH = catalogue.framework("pytorch")


def request(**changes):
    return Request(**{"model": "resnet18", "framework": "pytorch", **changes})


def test_names_are_found_and_mistyped_ones_get_a_suggestion():
    assert catalogue.framework("pytorch").backend == "backends.pytorch"
    with pytest.raises(RequestError, match=r"unknown framework 'pytorhc'; did you mean 'pytorch'"):
        catalogue.framework("pytorhc")
    for short, name in SHORT_NAMES.items():
        with pytest.raises(RequestError, match=f"did you mean {name!r}"):
            catalogue.framework(short.upper())
        assert name in catalogue.FRAMEWORKS
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
    framework = catalogue.framework("pytorch")
    with pytest.raises(RequestError, match="use one of float32, bfloat16"):
        catalogue.check(framework, request(dtype="float16"), "cpu")
    catalogue.check(framework, request(dtype="float16"), "gpu")


def test_a_declared_gap_names_who_can():
    row = Framework(
        name="x",
        title="X",
        program="benchdock",
        launcher="x",
        backend="backends.x",
        dtypes={("cpu", "inference"): ("float32",)},
        images={},
        gaps={"resnet18": "no convolution"},
    )
    with pytest.raises(
        RequestError, match=r"x does not support resnet18: no convolution; .*pytorch"
    ):
        catalogue.check(row, request(), "cpu")
    with pytest.raises(
        RequestError, match="x does not support training on the CPU; it supports inference"
    ):
        catalogue.check(row, request(model="vgg11"), "cpu")


PHASES = ("training", "inference")
DTYPES = ("float32", "tf32", "float16", "bfloat16", "int8")
CELLS: list[dict[str, Any]] = [
    {"phase": phase, "dtype": dtype, "device": device}
    for phase, dtype, device in itertools.product(PHASES, DTYPES, ("cpu", "gpu"))
]


def refusal(row, model, phase, dtype, device):
    """Return the complaint about a cell, "" where it can be."""
    asked = request(model=model, framework=row.name, phase=phase, dtype=dtype)
    try:
        catalogue.check(row, asked, device)
    except RequestError as error:
        told = error
    else:
        return ""
    assert told.hint
    assert "\n" not in str(told)
    assert len(str(told)) < 300
    return str(told)


ENTRIES = {
    f"{row.name}-{variant}".strip("-"): one
    for row in catalogue.FRAMEWORKS.values()
    for variant, one in {"": row, **row.variants}.items()
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ENTRIES)
def test_every_cell_of_the_table_either_can_be_or_is_refused_with_what_can(name):
    row = ENTRIES[name]
    models = ["mine"] if row.any_network else list(row.networks or ("deep_mnist", *row.gaps))
    for model, cell in itertools.product(models, CELLS):
        told = refusal(row, model, **cell)
        dtypes = row.dtypes.get((cell["device"], cell["phase"]), ())
        unfit = any(u.forbids(model, cell["phase"], cell["dtype"]) for u in row.unfit)
        can_be = cell["dtype"] in dtypes and model not in row.gaps and not unfit
        assert (told == "") == can_be
        if model in row.gaps:
            offered = told.rpartition("; ")[2].partition(" can")[0].split(", ")
            again = {refusal(catalogue.framework(name), model, **cell) for name in offered}
            assert "with another" in told or again == {""}
        elif "use one of" in told:
            offered = told.partition("use one of ")[2].split(", ")
            assert {refusal(row, model, **{**cell, "dtype": d}) for d in offered} == {""}


def test_a_model_that_a_program_does_not_have_is_refused_for_every_row():
    for row in catalogue.FRAMEWORKS.values():
        if row.any_network:
            continue
        told = refusal(row, "resnet5O", "inference", "float32", "cpu")
        assert re.match(r"unknown model( of \w+)? 'resnet5O'; (did you mean|`benchdock)", told)


def test_a_device_that_a_framework_does_not_know_is_refused_with_the_one_it_does():
    framework = catalogue.framework("nvidia_caffe")
    told = refusal(framework, "resnet50", "training", "float32", "cpu")
    assert told.endswith("; it supports inference on the GPU and training on the GPU")


def test_counts_are_chosen_if_the_request_is_silent():
    chosen = record.DEFAULTS["cpu"]
    assert record.settle_counts(PYTORCH, request(), "cpu") == (
        chosen.batch,
        chosen.steps,
        chosen.warmup,
    )
    assert record.settle_counts(PYTORCH, request(steps=2), "cpu")[2] == 1
    assert record.settle_counts(PYTORCH, request(steps=1), "cpu")[2] == 0


@pytest.mark.parametrize(("steps", "warmup"), [(5, 5), (5, 9), (1, 1)])
def test_a_warm_up_that_takes_every_step_is_refused(steps, warmup):
    told = re.escape(
        f"the warm-up ({counted(warmup, 'step')}) must be shorter than the timed part "
        f"({counted(steps, 'step')})"
    )
    with pytest.raises(RequestError, match=told):
        record.settle_counts(PYTORCH, request(steps=steps, warmup=warmup), "cpu")


def test_only_our_program_has_no_vendor():
    rows = catalogue.FRAMEWORKS.values()
    assert {row.name for row in rows if row.vendor is None} == {
        row.name for row in rows if row.program == "benchdock"
    }


RULES: list[tuple[StepRules, tuple[int | None, int | None], tuple[int, int] | str]] = [
    (StepRules(), (None, None), (20, 3)),
    (StepRules(least_steps=30), (None, None), (30, 3)),
    (StepRules(least_steps=30), (29, None), "no result for fewer than 30 steps, got 29; use --s"),
    (StepRules(steps=10), (None, 1), (10, 1)),
    (StepRules(steps=10), (20, None), "x always times 10 steps; remove --steps"),
    (StepRules(warmup=5), (2, None), (2, 5)),
    (StepRules(warmup=5), (2, 4), "x always leaves out 5 steps; remove --warmup"),
    (StepRules(block=10), (15, 3), "15 is not a multiple of 10; use --steps 20"),
    (StepRules(windows=True), (10, 4), (12, 4)),
    (StepRules(windows=True), (10, 0), (10, 1)),
]


@pytest.mark.parametrize(("rules", "asked", "expected"), RULES)
def test_the_numbers_of_steps_follow_the_rules_of_the_program(rules, asked, expected):
    def settled():
        return rules.settle("x", steps=asked[0], warmup=asked[1], usual=(20, 3))

    if isinstance(expected, str):
        with pytest.raises(RequestError, match=re.escape(expected)):
            settled()
    else:
        assert settled() == expected


@pytest.mark.parametrize(
    ("name", "phase"),
    [("pytorch", "training"), ("caffe", "training"), ("onnxruntime", "inference"),
     ("tensorrt", "inference"), ("mxnet_score", "inference"), ("nvtfcnn", "training")],
)  # fmt: skip
def test_the_phase_if_nobody_names_one(name, phase):
    assert catalogue.default_phase(name) == phase
