"""`benchdock parity`: what it refuses in advance, and what it prints if it is interrupted."""

import json
import math

import pytest

from orchestrator.cli import main
from orchestrator.errors import ExitStatus
from orchestrator.machine import gpu
from orchestrator.machine.gpu_facts import Gpu, GpuReport
from orchestrator.parity import proof as parity
from orchestrator.parity.proof import Proof
from orchestrator.parsers.parity import ParityCell

TWO = GpuReport(
    state="ok", reason="", gpus=tuple(Gpu(index=i, uuid=f"GPU-{i}", name="H100") for i in (0, 1))
)


def cell(row, model, level, **changes):
    usual = {"fingerprint": "f", "holds": True, "deviation": 1e-7, "tolerance": 1e-5, "detail": ""}
    return ParityCell(framework=row.name, model=model, level=level, **usual | changes)


@pytest.fixture
def settings():
    """Return the settings of the comparisons, as they are asked for."""
    return []


@pytest.fixture
def proven(monkeypatch, settings):
    """Let every comparison hold at once, and the second framework be interrupted if wanted."""
    asked = []

    def install(interrupted=()):
        def prove(work, setting, view):
            asked.append(work.framework.name)
            settings.append(setting)
            if work.framework.name in interrupted:
                return Proof(cells=(), signal_number=2)
            made = [cell(work.framework, m, level) for m in work.models for level in work.levels]
            return Proof(cells=tuple(made))

        monkeypatch.setattr(parity, "prove", prove)
        return asked

    return install


def test_every_comparison_holds(proven, capsys):
    asked = proven()
    assert main(["parity", "deep_mnist", "-f", "mxnet", "-f", "caffe2"]) == ExitStatus.OK
    assert asked == ["mxnet", "caffe2"]
    assert "6 of 6 comparisons hold" in capsys.readouterr().out


def test_an_interrupt_ends_it_with_its_status_and_shows_what_was_proven(proven, capsys):
    asked = proven(interrupted=("caffe2",))
    words = ["parity", "deep_mnist", "-f", "mxnet", "-f", "caffe2", "-f", "pytorch", "--json"]
    assert main(words) == ExitStatus.INTERRUPTED
    assert asked == ["mxnet", "caffe2"]
    out, err = capsys.readouterr()
    assert [row["framework"] for row in json.loads(out)["cells"]] == ["mxnet"] * 3
    assert err == "benchdock: interrupted by SIGINT\n"


def test_what_a_later_framework_cannot_do_is_said_before_an_earlier_one_runs(proven, capsys):
    asked = proven()
    words = ["parity", "deep_speech2", "-f", "pytorch", "-f", "caffe2"]
    assert main(words) == ExitStatus.BAD_REQUEST
    assert asked == []
    assert "caffe2 does not support deep_speech2: it has no CTC loss" in capsys.readouterr().err


def test_every_level_that_a_framework_has_is_compared_unless_told(proven, capsys):
    proven()
    assert main(["parity", "deep_mnist", "-f", "mxnet", "-f", "openvino", "--json"]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    found = [(one["framework"], one["level"]) for one in cells]
    both = [(name, level) for name in ("mxnet", "openvino") for level in ("P1", "P2")]
    assert sorted(found) == sorted([*both, ("mxnet", "P3")])


def test_a_step_that_a_framework_does_not_take_is_refused_where_it_is_named(proven, capsys):
    proven()
    assert main(["parity", "deep_mnist", "-f", "openvino", "--level", "P3"]) == 2
    err = capsys.readouterr().err
    assert "openvino does not support training in float32 on the CPU, so it has no P3" in err
    assert "use P1 and P2" in err


def test_variables_and_a_prefix_are_those_of_every_comparison(proven, settings):
    proven()
    words = ["parity", "deep_mnist", "-f", "mxnet", "-f", "caffe2", "--env", "A=b", "--env", "C=d"]
    assert main([*words, "--prefix", "taskset -c 0"]) == ExitStatus.OK
    assert [(one.env, one.prefix) for one in settings] == [
        ({"A": "b", "C": "d"}, "taskset -c 0"),
        ({"A": "b", "C": "d"}, "taskset -c 0"),
    ]


@pytest.mark.parametrize(
    ("levels", "deviation", "shown"),
    [
        (("P1", "P2", "P3"), 2e-7, "mxnet deep_mnist 2.0e-07 2.0e-07"),
        (("P1",), 0.0, "mxnet deep_mnist shapes"),
        (("P2",), 2e-3, "mxnet deep_mnist 2.0e-03 FAILS P2"),
        (("P2", "P3"), None, "mxnet deep_mnist ? ? NOT MADE P2 P3"),
        (("P1", "P2"), None, "mxnet deep_mnist ? NOT MADE P1 P2"),
        (("P2",), float("nan"), "mxnet deep_mnist nan FAILS P2"),
    ],
)
def test_the_matrix_shows_what_each_level_found(monkeypatch, capsys, levels, deviation, shown):
    def prove(work, setting, view):
        found = {"holds": deviation is not None and deviation < 1e-5, "deviation": deviation}
        made = [
            cell(work.framework, m, level, **found) for m in work.models for level in work.levels
        ]
        return Proof(cells=tuple(made))

    monkeypatch.setattr(parity, "prove", prove)
    words = ["parity", "deep_mnist", "-f", "mxnet", *(f"--level={level}" for level in levels)]
    status = main(words)
    out = capsys.readouterr().out
    title, row = [" ".join(line.split()) for line in out.splitlines()[:2]]
    assert f"{title.removeprefix('model ')} {row}" == shown
    assert status == (deviation is None or "FAILS" in shown)
    assert ("deviations in float32 on the CPU; allowed: " in out) == (levels != ("P1",))


def test_half_precision_is_compared_in_the_frameworks_that_have_it(proven, settings, capsys):
    asked = proven()
    assert main(["parity", "deep_mnist", "--dtype", "bfloat16"]) == 0
    assert asked == ["pytorch", "tensorflow", "openvino"]
    assert {one.dtype for one in settings} == {"bfloat16"}
    assert "deviations in bfloat16 on the CPU; allowed: " in capsys.readouterr().out


def test_a_gpu_is_used_by_the_frameworks_that_have_an_image_for_it(proven, settings):
    asked = proven()
    assert main(["parity", "deep_mnist", "--dtype", "float16", "--gpus", "0"]) == 0
    assert asked == ["pytorch", "tensorflow", "mxnet", "nvidia_caffe"]
    assert {one.gpus for one in settings} == {(0,)}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--dtype tf32", ("no framework supports tf32 on the CPU", "float32, float16, bfloat16")),
        (
            "-f mxnet --dtype bfloat16",
            ("mxnet does not support bfloat16 on the CPU", "use one of float32"),
        ),
        ("-f bvlc_caffe --gpus 0", ("bvlc_caffe has no image for the GPU", "nvidia_caffe")),
        ("-f intel_caffe", ("intel_caffe has no image for the CPU", "pytorch")),
        ("-f tf_cnn_benchmarks", ("tf_cnn_benchmarks runs a vendor's program",)),
        ("-f tensorrt --gpus 0", ("tensorrt runs a vendor's program", "use one of pytorch")),
        ("--image me/mine:1", ("--image needs exactly one framework", "add -f FRAMEWORK")),
        ("-f mxnet -f caffe2 --option a=b", ("--option needs exactly one framework",)),
        ("-f mxnet --option subgrap=on", ("subgrap", "did you mean 'subgraph'")),
        ("-f openvino --level P3", ("openvino does not support training in float32 on the CPU",)),
        ("--dtype int8", ("int8",)),
        ("resnet5", ("did you mean", "resnet50")),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_starts(proven, capsys, words, told):
    asked = proven()
    assert main(["parity", *words.split()]) == ExitStatus.BAD_REQUEST
    assert asked == []
    err = capsys.readouterr().err
    for part in told:
        assert part in err


def test_the_users_image_is_compared_if_there_is_none_of_ours(proven, settings):
    asked = proven()
    words = ["parity", "deep_mnist", "-f", "intel_caffe", "--image", "me/caffe:1"]
    assert main([*words, "--level", "P2"]) == 0
    assert asked == ["intel_caffe"]
    assert settings[0].image == "me/caffe:1"


@pytest.mark.parametrize(
    ("gpus", "report", "told", "status"),
    [
        ("0", GpuReport(state="no_gpu", reason="no driver"), "no GPU can be used: no driver", 3),
        ("0,1", TWO, "parity runs on one GPU, not on 2", 2),
        ("all", TWO, "parity runs on one GPU, not on 2", 2),
        ("7", TWO, "this machine has no GPU 7", 2),
    ],
)
def test_gpus_that_cannot_be_used(monkeypatch, capsys, gpus, report, told, status):
    monkeypatch.setattr(gpu, "report", lambda: report)
    words = ["parity", "deep_mnist", "-f", "pytorch", "--dtype", "float16", "--gpus", gpus]
    assert main(words) == status
    assert told in capsys.readouterr().err


def test_what_was_not_compared_for_one_reason_is_one_line(monkeypatch, capsys):
    def prove(work, setting, view):
        why = {"holds": False, "deviation": None, "detail": "no bfloat16 here"}
        made = [cell(work.framework, m, level, **why) for m in work.models for level in work.levels]
        return Proof(cells=tuple(made))

    monkeypatch.setattr(parity, "prove", prove)
    assert main(["parity", "deep_mnist", "vgg11", "-f", "openvino"]) == ExitStatus.BENCHMARK_FAILED
    lines = capsys.readouterr().out.splitlines()
    told = "deep_mnist P1, deep_mnist P2, vgg11 P1 and 1 more: no bfloat16 here"
    assert f"openvino was not compared in {told}" in lines
    assert lines[-1] == "0 of 4 comparisons hold"


@pytest.mark.parametrize(
    ("deviation", "told"), [(math.nan, "nan"), (math.inf, "inf"), (2e-7, 2e-7)]
)
def test_json_holds_no_numbers_that_json_does_not_know(monkeypatch, capsys, deviation, told):
    def prove(work, setting, view):
        return Proof(cells=(cell(work.framework, "vgg11", "P2", holds=False, deviation=deviation),))

    monkeypatch.setattr(parity, "prove", prove)
    assert main(["parity", "vgg11", "-f", "mxnet", "--json"]) == ExitStatus.BENCHMARK_FAILED

    def refuse(word):
        raise AssertionError(word)

    (found,) = json.loads(capsys.readouterr().out, parse_constant=refuse)["cells"]
    assert found["deviation"] == told
