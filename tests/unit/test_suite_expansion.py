"""A suite becomes its cells; what cannot be meant is refused with file, line and column."""

from __future__ import annotations

import gc
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import RequestError
from orchestrator.suites import cells, expansion
from orchestrator.suites.loading import Loaded
from orchestrator.suites.models import Suite
from tests.support.suites import HEAD, expanded, loaded, refused

CLAIM = "dlperf-mxnet-20.03-resnet50_v1.5-v100-sxm2-16gb-float32-training-b128x1-no-xla"


def groups(text: str) -> str:
    return f"{HEAD}groups:\n  cnn:\n{text}"


def values(folder: Path, text: str, *keys: str) -> list[tuple[object, ...]]:
    return [tuple(cell.settings.get(key) for key in keys) for cell in expanded(folder, text).cells]


MATRIX = groups(
    "    matrix: {model: [vgg16, alexnet], framework: [pytorch, mxnet], batch: [2, 4]}\n"
)


def test_the_first_axis_is_the_outermost(tmp_path: Path) -> None:
    assert values(tmp_path, MATRIX, "model", "framework", "batch") == [
        (model, framework, batch)
        for model in ("vgg16", "alexnet")
        for framework in ("pytorch", "mxnet")
        for batch in (2, 4)
    ]


def test_pairs_are_the_innermost_axis(tmp_path: Path) -> None:
    text = groups(
        "    zip: {model: [vgg16, alexnet], batch: [2, 4]}\n"
        "    matrix: {framework: [pytorch, mxnet]}\n"
    )
    assert values(tmp_path, text, "framework", "model", "batch") == [
        ("pytorch", "vgg16", 2),
        ("pytorch", "alexnet", 4),
        ("mxnet", "vgg16", 2),
        ("mxnet", "alexnet", 4),
    ]


def test_each_level_goes_over_the_one_before(tmp_path: Path) -> None:
    text = (
        f"{HEAD}defaults: {{framework: pytorch, batch: 1, steps: 5, seed: 1}}\n"
        "groups:\n  a:\n    defaults: {batch: 2, steps: 6}\n    runs:\n"
        "      - {model: vgg16}\n      - {model: alexnet, batch: 3}\n"
        "    override: [{when: {batch: 3}, set: {batch: 4}}, {when: {batch: 4}, set: {seed: 9}}]\n"
    )
    assert values(tmp_path, text, "model", "batch", "steps", "seed") == [
        ("vgg16", 2, 6, 1),
        ("alexnet", 4, 6, 9),
    ]


def test_which_gpus_and_how_many_replace_each_other(tmp_path: Path) -> None:
    text = (
        f"{HEAD}defaults: {{framework: pytorch, devices: 1}}\n"
        "groups: {a: {runs: [{model: vgg16}, {model: vgg16, gpus: [0, 1]}, "
        "{model: vgg16, gpus: none}, {model: vgg16, devices: 2}]}}"
    )
    assert values(tmp_path, text, "devices", "gpus") == [
        (1, None),
        (None, (0, 1)),
        (None, "none"),
        (2, None),
    ]


def test_an_exclude_leaves_out_cells_and_says_why(tmp_path: Path) -> None:
    found = expanded(
        tmp_path, MATRIX + "    exclude: [{framework: mxnet, batch: [2, 4], why: slow}]\n"
    )
    assert len(found.cells) == 4
    assert [(one.title, one.why) for one in found.excluded] == [
        ("vgg16 mxnet batch=2", "slow"),
        ("vgg16 mxnet batch=4", "slow"),
        ("alexnet mxnet batch=2", "slow"),
        ("alexnet mxnet batch=4", "slow"),
    ]


def test_a_rule_sees_usual_values(tmp_path: Path) -> None:
    text = MATRIX + "    override: [{when: {phase: training, dtype: float32}, set: {steps: 7}}]\n"
    assert {one for (one,) in values(tmp_path, text, "steps")} == {7}


def test_cells_that_an_override_makes_equal_run_once(tmp_path: Path) -> None:
    found = expanded(tmp_path, MATRIX + "    override: [{when: {model: vgg16}, set: {batch: 8}}]\n")
    assert len(found.cells) == 6
    assert found.merged == 2


def test_the_phase_is_that_of_the_framework(tmp_path: Path) -> None:
    text = groups("    matrix: {model: [vgg16], framework: [pytorch, onnxruntime]}\n")
    assert [one for (one,) in values(tmp_path, text, "phase")] == ["training", "inference"]


def test_repeats_come_from_run_group_and_suite(tmp_path: Path) -> None:
    text = (
        f"{HEAD}repeat: 2\ndefaults: {{framework: pytorch}}\ncontrol: [{{model: resnet50}}]\n"
        "groups:\n  a: {repeat: 3, matrix: {model: [vgg16]}, runs: [{model: vgg19, repeat: 4}]}\n"
        "  b: {runs: [{model: alexnet}]}\n"
    )
    assert [cell.repeat for cell in expanded(tmp_path, text).cells] == [2, 3, 4, 2]


def test_a_claim_takes_what_belongs_to_this_machine(tmp_path: Path) -> None:
    text = (
        f"{HEAD}defaults: {{framework: pytorch, batch: 4, timeout: 15m, dtype: float16}}\n"
        f"groups: {{vendor: {{runs: [{{claim: {CLAIM}, data: imagenet}}]}}}}"
    )
    (cell,) = expanded(tmp_path, text).cells
    assert cell.claim == CLAIM
    assert cell.settings == {"timeout": 900.0, "data": Path("imagenet")}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("schema: 2\nname: a\n", "suite.yaml:1:9: schema: '2' is unknown; use 1"),
        ("schema: 1\ngroups: {}\n", "suite.yaml:1:1: name: it is missing"),
        (HEAD, "suite.yaml:1:1: groups: a suite needs at least one group"),
        (HEAD + "name: b\n", "suite.yaml:3:1: the key 'name' is here a second time"),
        (HEAD + "grops: {}\n", "3:1: grops: unknown key 'grops'; did you mean 'groups'?"),
        ("[1]", "suite.yaml:1:1: a suite file starts with schema: 1 and name: NAME"),
        (groups("    {}\n"), "suite.yaml:5:5: groups.cnn: it has no matrix, zip or runs"),
        (groups("    matrx: {a: 1}\n"), "5:5: groups.cnn.matrx: unknown key 'matrx'; did you me"),
        (groups("    matrix: {modle: [a]}\n"), "5:14: groups.cnn.matrix.modle: unknown key 'mod"),
        (groups("    matrix: {model: vgg16}\n"), "5:21: groups.cnn.matrix.model: it should be a"),
        (groups("    matrix: {model: []}\n"), "5:21: groups.cnn.matrix.model: the list is empty"),
        (groups("    matrix: {batch: [1, x]}\n"), "5:25: groups.cnn.matrix.batch.1: it should be"),
        (groups("    matrix: {batch: [1, yes]}\n"), "5:25: groups.cnn.matrix.batch.1: it should b"),
        (groups("    matrix: {batch: [true]}\n"), "5:22: groups.cnn.matrix.batch.0: it cannot be"),
        (
            groups("    runs: [{model: a, gpus: 0-3}]\n"),
            "5:29: groups.cnn.runs.0.gpus: '0-3' is no",
        ),
        (groups("    runs: [{model: a, gpus: [0, 0]}]\n"), "gpus: '0,0' names a GPU twice"),
        (
            groups("    runs: [{model: a, phase: trainig}]\n"),
            "'trainig' is unknown; did you mean '",
        ),
        (
            groups("    runs: [{model: a, batch: ~}]\n"),
            "5:30: groups.cnn.runs.0.batch: it is empty",
        ),
        (groups("    runs: [{model: a, timeout: 1x}]\n"), "timeout: '1x' is not a duration"),
        (groups("    runs: [{model: a, options: {x: 1.10}}]\n"), "put the value of x in quotes"),
        (groups("    runs: [{model: a, model_file: b}]\n"), "unknown key 'model_file'"),
        (groups("    runs: [{model: vgg16}]\n"), "5:12: groups.cnn.runs.0: a run needs a framewor"),
        (
            groups("    runs: [{framework: pytorch}]\n"),
            "5:12: groups.cnn.runs.0: a run needs a mod",
        ),
        (
            groups("    runs: [{model: vgg61, framework: pytorch}]\n"),
            "5:20: groups.cnn.runs.0.mode",
        ),
        (
            groups("    matrix: {model: [vgg16], framework: [mxnet, pytroch]}\n"),
            "5:49: groups.cnn.mat",
        ),
        (HEAD + "groups: {CNN: {}}", "groups.CNN: 'CNN' is not a name; use up to 40 lower-case"),
        (HEAD.replace("nightly", "My Suite"), "suite.yaml:2:7: name: 'My Suite' is not a name"),
        (MATRIX.replace("[2, 4]", "[2, 2]"), "matrix.batch.1: 2 is in the list twice; remove one"),
        (MATRIX + "    zip: {batch: [1]}\n", "groups.cnn.zip.batch: this key is in the matrix too"),
        (
            groups("    zip: {model: [vgg16, vgg19], batch: [1, 2, 3]}\n"),
            "suite.yaml:5:41: groups.cnn.zip.batch: it has 3 values, and model has 2; give both",
        ),
        (
            groups("    matrix: {model: [vgg16], gpus: [0], devices: [2]}\n"),
            "groups.cnn.matrix.devices: gpus says which GPUs, devices how many; remove one",
        ),
        (
            MATRIX + "    exclude: [{framework: mxnt}]\n",
            "suite.yaml:6:27: groups.cnn.exclude.0.framework: nothing in this group has framework "
            "'mxnt'; did you mean 'mxnet'?",
        ),
        (
            MATRIX + "    override: [{when: {batch: 9}, set: {steps: 3}}]\n",
            "suite.yaml:6:31: groups.cnn.override.0.when.batch: nothing in this group has batch "
            "'9'; use one of 2, 4",
        ),
        (
            MATRIX + "    override: [{when: {batch: 2, devices: 3}, set: {steps: 3}}]\n",
            "groups.cnn.override.0.when.devices: nothing in this group has devices '3'",
        ),
        (
            MATRIX + "    exclude: [{framework: mxnet}, {framework: mxnet, batch: 2}]\n",
            "suite.yaml:6:35: groups.cnn.exclude.1: nothing in this group matches all of it; rem",
        ),
        (
            MATRIX + "    exclude: [{framework: [pytorch, mxnet]}]\n",
            "suite.yaml:3:1: groups: every run is excluded, so nothing would run",
        ),
        (
            MATRIX + "    runs: [{model: vgg16, framework: mxnet, batch: 2}]\n",
            "suite.yaml:6:12: groups.cnn.runs.0: this is the same run as one of groups.cnn.matrix "
            "(line 5); remove one of them",
        ),
        (
            MATRIX + "    exclude: [{model: vgg16, when: no}]\n",
            "groups.cnn.exclude.0.when: unknown key 'when'",
        ),
        (
            groups(f"    runs: [{{claim: {CLAIM}, dtype: int8}}]\n"),
            "groups.cnn.runs.0.dtype: the claim decides its dtype; remove it",
        ),
        (HEAD + "gate: {slower: 200%}\n", "gate.slower: it should be less than 1"),
        (HEAD + "budget: {nigth: 5h}\n", "unknown key 'nigth'; did you mean 'night'?"),
        (HEAD + "repeat: yes\n", "suite.yaml:3:9: repeat: it should be a valid integer"),
        (HEAD + "repeat: 100000\n", "suite.yaml:3:9: repeat: it should be less than or equal"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    assert told in refused(tmp_path, text)


def test_too_many_runs_are_refused_before_they_are_made(tmp_path: Path) -> None:
    axis = ", ".join(map(str, range(1, 101)))
    text = groups(
        f"    matrix: {{batch: [{axis}], steps: [{axis}], warmup: [{axis}], seed: [{axis}]}}\n"
    )
    began = time.process_time()
    told = refused(tmp_path, text)
    assert time.process_time() - began < 0.5
    assert "groups.cnn: 100,000,000 runs are more than 100,000; use shorter lists or --max" in told


def test_a_suite_over_another_one(tmp_path: Path) -> None:
    loaded(
        tmp_path,
        f"{HEAD}defaults: {{framework: pytorch, batch: 8}}\nbudget: {{run: 5m, night: 2h}}\n"
        "groups:\n  a: {runs: [{model: vgg16}]}\n  b: {runs: [{model: vgg19}]}\n",
        "base.yaml",
    )
    text = (
        "schema: 1\nname: server\nextends: base.yaml\ndefaults: {batch: 16}\nbudget: {run: 9m}\n"
        "groups:\n  b: {runs: [{model: alexnet}]}\n  c: {runs: [{model: resnet50}]}\n"
    )
    found = loaded(tmp_path, text)
    assert found.suite.name == "server"
    assert (found.suite.budget.run, found.suite.budget.night) == (540.0, 7200.0)
    told = [(cell.title, cell.settings["batch"]) for cell in expansion.expand(found).cells]
    assert told == [("vgg16 pytorch", 16), ("alexnet pytorch", 16), ("resnet50 pytorch", 16)]


def test_a_mistake_in_the_extended_file_names_that_file(tmp_path: Path) -> None:
    base = f"{HEAD}groups:\n  a: {{runs: [{{model: vgg16, framework: pytroch}}]}}\n"
    (tmp_path / "base.yaml").write_text(base)
    text = "schema: 1\nname: server\nextends: base.yaml\n"
    assert "base.yaml:4:40: groups.a.runs.0.framework: unknown" in refused(tmp_path, text)


@pytest.mark.parametrize(
    ("base", "told"),
    [
        (None, "suite.yaml:3:10: extends: cannot read base.yaml: No such file or directory"),
        ("schema: 1", "base.yaml:1:1: name: it is missing"),
        ("schema: 1\nname: x\nextends: y\n", "suite.yaml:3:10: extends: base.yaml extends another"),
    ],
)
def test_a_file_that_cannot_be_extended(tmp_path: Path, base: str | None, told: str) -> None:
    if base is not None:
        (tmp_path / "base.yaml").write_text(base)
    assert told in refused(tmp_path, "schema: 1\nname: server\nextends: base.yaml\n")


def test_a_suite_cannot_extend_itself(tmp_path: Path) -> None:
    told = refused(tmp_path, "schema: 1\nname: server\nextends: ./suite.yaml\n")
    assert "suite.yaml:3:10: extends: a suite cannot extend itself" in told


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    one = {"model": "vgg16", "framework": "pytorch", "batch": 8, "options": {"a": "1", "b": "2"}}
    same = {"options": {"b": "2", "a": "1"}, "seed": 0, "dtype": "float32", **one}
    assert cells.digest_of(one) == cells.digest_of(same)
    assert cells.digest_of(one) != cells.digest_of({**one, "batch": 9})
    # Part of sessions on disk: it must not change.
    assert cells.digest_of({"model": "vgg16", "framework": "pytorch"})[:16] == "29b4cdcf1063ddce"


_KEYS = {
    "model": st.sampled_from(["vgg16", "alexnet", "resnet50"]),
    "framework": st.sampled_from(["pytorch", "mxnet"]),
    "batch": st.integers(1, 5),
    "gpus": st.sampled_from(["all", "none", (0,), (0, 1)]),
    "options": st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), max_size=2),
}
_AXES = st.fixed_dictionaries(
    {
        key: st.lists(
            one,
            min_size=1,
            max_size=3,
            unique_by=lambda one: repr(sorted(one.items()) if isinstance(one, dict) else one),
        )
        for key, one in _KEYS.items()
    }
)


@given(_AXES)
def test_a_matrix_is_the_whole_product_without_repeats(axes: dict[str, list[object]]) -> None:
    suite = Suite.model_validate({"schema": 1, "name": "x", "groups": {"a": {"matrix": axes}}})
    found = expansion.expand(Loaded(suite=suite, folder=Path()))
    count = 1
    for one in axes.values():
        count *= len(one)
    assert len({cell.digest for cell in found.cells}) == len(found.cells) == count


@pytest.mark.slow
def test_a_hundred_thousand_runs_expand_quickly(tmp_path: Path) -> None:
    steps, batches = (", ".join(map(str, range(1, count + 1))) for count in (100, 250))
    text = groups(
        "    matrix:\n      model: [vgg16, alexnet]\n      framework: [pytorch, mxnet]\n"
        f"      batch: [{batches}]\n      seed: [{steps}]\n"
        "    exclude: [{framework: mxnet, batch: 250}]\n"
        "    override: [{when: {model: vgg16}, set: {steps: 9}}]\n"
    )
    suite = loaded(tmp_path, text)
    began = time.process_time()
    gc.disable()  # as in the command
    try:
        found = expansion.expand(suite)
    finally:
        gc.enable()
    # 0.6 s on an idle core.
    assert time.process_time() - began < 4
    assert len(found.cells) == 99_800


@pytest.mark.slow
def test_the_cells_of_a_large_suite_fit_in_memory(tmp_path: Path) -> None:
    batches = ", ".join(map(str, range(1, 10_001)))
    suite = loaded(
        tmp_path,
        groups(f"    matrix: {{model: [vgg16], framework: [pytorch], batch: [{batches}]}}\n"),
    )
    tracemalloc.start()
    found = expansion.expand(suite)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert used / len(found.cells) < 1500  # bytes


def test_what_is_in_a_file_is_never_printed_raw(tmp_path: Path) -> None:
    told = refused(tmp_path, 'schema: 1\nname: "a\\u202e\\x1b[2J"\n')
    assert "\u202e" not in told


def test_an_unreadable_suite_is_a_wrong_request(tmp_path: Path) -> None:
    with pytest.raises(RequestError):
        loaded(tmp_path, "")
