"""Whether a claim can be had here: conditions said beforehand, a verdict that is never kind."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator import catalogue
from orchestrator.cli import main
from orchestrator.errors import ExitStatus
from orchestrator.machine.gpu_facts import Gpu, GpuReport
from orchestrator.published import claim_rules, collection, preparation
from orchestrator.published.collection import Claim, Source
from orchestrator.published.judgement import judge, summarize
from orchestrator.published.preparation import prepare
from orchestrator.published.setup import RANKING, Wishes, World
from orchestrator.result import Metric, Result
from orchestrator.run import demands
from tests.unit import stand_in

CPU = "AMD EPYC 7R13 48-Core Processor"
NOTHING = World(
    gpus=GpuReport(state="no_gpu", reason="no NVIDIA driver is installed"),
    cpu=CPU,
    no_engine="no container engine answers",
)


def world(*gpus, capability="7.0", driver="570.1", **changes):
    found = tuple(
        Gpu(index=i, uuid=f"GPU-{i}", name=name, compute_capability=capability)
        for i, name in enumerate(gpus)
    )
    report = GpuReport(state="ok", reason="", gpus=found, driver=driver)
    return World(**{"gpus": report, "cpu": CPU, "no_engine": ""} | changes)


def claim(**changes):
    usual = {
        "id": "x",
        "source": Source(url="", title="", date=None, publisher="me"),
        "model": "resnet50_v1.5",
        "framework": "pytorch",
        "program": "benchdock",
        "container": None,
        "version": None,
        "phase": "training",
        "precision": "float32",
        "gpu": "v100-16gb",
        "gpus": 1,
        "system": None,
        "batch": 64,
        "value": 100.0,
        "unit": "images/s",
        "conditions": (),
        "network": None,
        "suspect": (),
    }
    return Claim(**usual | changes)


V100 = "Tesla V100-SXM2-16GB"


def effects(setup):
    return {condition.name: condition.effect for condition in setup.unmet}


def test_equal_settings_leave_five_percent():
    setup = prepare(claim(conditions=("synthetic", "224x224", "nhwc")), world(V100))
    assert setup.unmet == ()
    assert setup.tolerance == 0.05
    assert setup.request.gpus == (0,)
    assert setup.request.batch == 64
    assert setup.request.options == {"layout": "channels_last"}


@pytest.mark.parametrize(
    ("changes", "name", "effect"),
    [
        ({"gpu": "a100"}, "GPU", "none"),
        ({"gpu": "v100-32gb"}, "GPU", "none"),
        ({"gpu": None}, "GPU", "none"),
        ({"gpus": 2}, "GPU count", "none"),
        ({"precision": None}, "precision", "none"),
        ({"batch": None}, "batch", "looser"),
        ({"version": "0.4"}, "framework version", "looser"),
        ({"system": "dgx-1"}, "system", "looser"),
        ({"conditions": ("real",)}, "data", "looser"),
        ({"conditions": ("2-nodes",)}, "flag", "none"),
        ({"conditions": ("299x299",)}, "flag", "looser"),
        ({"conditions": ("never-heard-of",)}, "flag", "looser"),
        ({"gpus": 0, "gpu": "c5.18xlarge"}, "CPU", "none"),
    ],
)
def test_each_condition_has_its_effect(changes, name, effect):
    setup = prepare(claim(**changes), world(V100))
    assert effects(setup) == {name: effect}
    assert setup.comparable is (effect == "looser")
    assert setup.request is not None


def test_the_claims_own_container_is_used_where_it_can_be():
    asked = claim(container="nvcr.io/nvidia/pytorch:20.06-py3")
    assert prepare(asked, world(V100)).request.image == asked.container
    without = prepare(
        asked, world(V100, capability="7.5", driver="580.65", no_engine="nobody answers")
    )
    assert without.request.image is None
    assert "nobody answers" in without.unmet[0].why
    guessed = dataclasses.replace(asked, suspect=("half-tag",))
    assert effects(prepare(guessed, world(V100))) == {"container": "looser"}


def test_a_container_too_old_for_the_gpu_is_not_started():
    here = world("NVIDIA H200", capability="9.0", driver="580.65")
    asked = claim(container="nvcr.io/nvidia/pytorch:19.10-py3", gpu="h200")
    setup = prepare(asked, here)
    assert setup.request.image is None
    assert "CUDA 10.1" in setup.unmet[0].why


def test_an_older_image_stands_in_for_ours_where_that_dropped_the_gpu():
    asked = claim(version="2.0", program="timm")
    setup = prepare(asked, world(V100))
    assert setup.request.image.startswith("nvcr.io/nvidia/pytorch:")
    assert setup.why_not == ""
    assert [c.here for c in setup.unmet if c.name == "framework version"] == [setup.request.image]
    on_host = prepare(asked, world(V100, no_engine="nobody answers"))
    assert on_host.request is None
    assert "compute capability 7.5 or newer" in on_host.why_not


def test_nothing_is_run_where_no_image_is_known_to_work():
    asked = claim(container="nvcr.io/nvidia/caffe2:18.08-py3", framework="caffe2", gpu="h200")
    setup = prepare(asked, world("NVIDIA H200", capability="9.0"))
    assert setup.request is None
    assert "Caffe2 has no newer NGC image" in setup.why_not


def test_a_program_without_launcher_needs_the_same_network():
    same = prepare(claim(program="torch2trt"), world(V100))
    assert same.request.framework == "pytorch"
    assert effects(same) == {"program": "looser", "container": "looser"}
    other = prepare(claim(program="torchbench", model="alexnet"), world(V100))
    assert other.request is None
    assert effects(other) == {"network": "none", "program": "none"}
    assert "not comparable with our own network" in other.why_not


def test_a_vendors_program_that_is_not_here_is_asked_for(tmp_path):
    asked = claim(program="tf_cnn_benchmarks", framework="tensorflow", model="alexnet")
    without = prepare(asked, world(V100))
    assert without.request is None
    assert effects(without) == {"program": "none"}
    assert "--source: a folder with tf_cnn_benchmarks.py" in without.why_not
    stand_in = prepare(claim(program="timm"), world(V100))
    assert stand_in.request.framework == "pytorch", "the same network may stand in"
    assert "has to be given with --source" in stand_in.unmet[0].why


@pytest.fixture
def source(tmp_path):
    for name in ("tf_cnn_benchmarks.py", "benchmark.py", "main.py", "runner"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        (
            {"program": "tf_cnn_benchmarks", "framework": "tensorflow", "model": "alexnet",
             "conditions": ("xla", "synthetic")},
            {"xla": "on"},
        ),
        (
            {"program": "timm", "precision": "float16",
             "conditions": ("amp", "nhwc", "224x224")},
            {"amp": "on", "layout": "channels_last", "img_size": "224"},
        ),
        (
            {"program": "deeplearningexamples", "framework": "tensorflow",
             "precision": "float16", "conditions": ("amp", "xla")},
            {"xla": "on"},
        ),
        (
            {"program": "deeplearningexamples", "precision": "tf32",
             "conditions": ("synthetic",)},
            {},
        ),
        (
            {"program": "deeplearningexamples", "framework": "mxnet", "conditions": ("no-xla",)},
            {},
        ),
    ],
)  # fmt: skip
def test_a_vendors_program_runs_with_the_options_of_the_claim(source, changes, options):
    asked = claim(**changes)
    setup = prepare(asked, world(V100), Wishes(source=source))
    assert setup.request.source == source
    assert setup.request.options == options
    assert setup.request.framework in catalogue.FRAMEWORKS
    assert set(effects(setup)) <= {"container"}


def test_options_that_bring_conditions_about_exist():
    rules = claim_rules.load()
    checked = 0
    for entry in rules.launchers:
        row = catalogue.FRAMEWORKS[entry.row]
        for options in entry.conditions.values():
            if not row.ours:
                demands.check_options(row, options)
                checked += 1
    assert checked > 20


def test_conditions_are_ranked():
    asked = claim(gpu="a100", batch=None, system="dgx-1", conditions=("real", "asp"))
    order = [RANKING.index(condition.name) for condition in prepare(asked, world(V100)).unmet]
    assert order == sorted(order)
    assert len(order) == 5


def test_another_definition_of_the_network_is_not_comparable():
    setup = prepare(claim(), world(V100), Wishes(fingerprint="beef"))
    assert effects(setup) == {"network": "none"}


def result(throughput, **changes):
    return Result(
        benchdock="0.1.0",
        status="ok",
        metrics={"throughput": Metric(value=throughput, unit="samples/s")},
        **changes,
    )


@pytest.mark.parametrize(
    ("measured", "changes", "verdict", "status"),
    [
        (104.9, {}, "reproduced", ExitStatus.OK),
        (95.1, {}, "reproduced", ExitStatus.OK),
        (105.1, {}, "not reproduced", ExitStatus.GATE_MISSED),
        (94.9, {}, "not reproduced", ExitStatus.GATE_MISSED),
        (109.0, {"system": "dgx-1"}, "reproduced", ExitStatus.OK),
        (111.0, {"system": "dgx-1"}, "not reproduced", ExitStatus.GATE_MISSED),
        (100.0, {"gpu": "a100"}, "not comparable", ExitStatus.GATE_MISSED),
    ],
)
def test_the_verdict(measured, changes, verdict, status):
    asked = claim(**changes)
    outcome = judge(asked, prepare(asked, world(V100)), [result(measured)] * 3)
    assert (outcome.verdict, outcome.exit_status) == (verdict, status)
    assert outcome.ratio == pytest.approx(measured / 100)


def test_what_only_the_runs_tell_is_added():
    ours = preparation._our_version(catalogue.FRAMEWORKS["pytorch"], "gpu")
    asked = claim(version=ours)
    runs = [result(100, program={"framework_version": "0.1"}, warnings=("the GPU throttled",))] * 3
    outcome = judge(asked, prepare(asked, world(V100)), runs)
    assert [condition.name for condition in outcome.unmet] == ["framework version"]
    assert "the GPU throttled" in outcome.doubts


def test_runs_that_differ_are_doubted():
    asked = claim(suspect=("rates",))
    outcome = judge(asked, prepare(asked, world(V100)), [result(v) for v in (90, 100, 110)])
    told = " ".join(outcome.doubts)
    assert "differ by up to 22 %" in told
    assert "more --runs" in told
    assert "a mean of rates" in told


@given(st.lists(st.floats(1e-3, 1e6), min_size=2, max_size=30))
def test_the_interval_holds_all_samples_over_all_time(values):
    found = summarize(values)
    assert min(values) * 0.999 <= found.throughput <= max(values) * 1.001
    assert 0 < found.low <= found.throughput * 1.001
    assert found.high is None or found.high >= found.throughput * 0.999


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(collection.load()), st.sampled_from([NOTHING, world(V100), world(V100, V100)])
)
def test_every_published_claim_is_planned_or_explained(asked, here):
    setup = prepare(asked, here)
    assert (setup.request is None) is bool(setup.why_not)
    assert all(condition.name in RANKING for condition in setup.unmet)
    assert json.dumps(setup.as_json())


YAML = """
model: deep_mnist
framework: pytorch
gpus: 0
batch: 2
steps: 4
value: {value}
options: {{behaviour: {behaviour}}}
"""


@pytest.fixture
def own(tmp_path):
    """Write a claim about the stand-in program on this machine's CPU."""
    cpu = preparation.look(Wishes()).cpu

    def write(value, behaviour="good", more=""):
        path = tmp_path / "claim.yaml"
        path.write_text(YAML.format(value=value, behaviour=behaviour) + f"gpu: {cpu!r}\n" + more)
        return str(path)

    with stand_in.home(tmp_path / "home"):
        yield write


def test_a_claim_of_ones_own_is_reproduced_end_to_end(own, capsys):
    words = ["reproduce", own(4.1), "--json", "--runtime", "host"]
    assert main(words) == ExitStatus.OK
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "reproduced"
    assert told["measured"]["value"] == 4.0
    assert told["measured"]["unit"] == "samples/s"
    assert told["ratio"] == pytest.approx(4.0 / 4.1)
    assert told["conditions"] == []
    assert len(set(told["runs"])) == 3


def test_a_claim_out_of_tolerance_misses_the_gate(own, capsys):
    assert main(["reproduce", own(5.0), "--runtime", "host", "--quiet"]) == ExitStatus.GATE_MISSED
    out, err = capsys.readouterr()
    assert "not reproduced (tolerance 5 %)" in out
    assert "measured\n" not in out
    assert err == ""


def test_a_run_that_fails_leaves_one_document_too(own, capsys):
    words = ["reproduce", own(5.0, "nan"), "--runtime", "host", "--json", "--quiet"]
    assert main(words) == ExitStatus.BENCHMARK_FAILED
    told = json.loads(capsys.readouterr().out)
    assert told["failure"]["kind"] == "no_result"
    assert len(told["runs"]) == 1
    assert "verdict" not in told


@pytest.mark.parametrize("loudness", [[], ["--quiet"]])
def test_a_run_that_fails_ends_it_with_its_own_status(own, capsys, loudness):
    words = ["reproduce", own(4.0, "nan"), "--runtime", "host", *loudness]
    assert main(words) == ExitStatus.BENCHMARK_FAILED
    out, err = capsys.readouterr()
    assert "benchdock: run 1 of 3 failed: " in err
    assert (err.count("\n") == 1) is bool(loudness)
    assert out == ""


def test_what_cannot_be_met_is_said_before_anything_runs(own, capsys):
    words = ["reproduce", own(4.0, more="system: a mainframe\n"), "--runtime", "host"]
    assert main([*words, "--dry-run"]) == ExitStatus.OK
    out = capsys.readouterr().out
    assert "not met: system\n  claimed  a mainframe\n  here     this machine\n" in out
    assert "within 10 % it counts as reproduced" in out


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["x", "--runs", "2"], 2, "use --runs 3 or more"),
        (["nvidia-dle-pytorch-20.06-resnet50-v100"], 2, "did you mean"),
        (["/absent.yaml"], 2, "cannot read /absent.yaml"),
    ],
)
def test_a_wrong_request_is_one_line(capsys, words, status, told):
    assert main(["reproduce", *words]) == status
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert told in err


def test_a_claim_for_a_gpu_is_listed_on_a_machine_without(capsys, monkeypatch):
    monkeypatch.setattr(preparation, "look", lambda wishes: NOTHING)
    asked = "nvidia-dle-pytorch-20.06-resnet50_v1.5-v100-16gb-float16-training-x1"
    assert main(["reproduce", asked, "--dry-run", "--json"]) == ExitStatus.OK
    told = json.loads(capsys.readouterr().out)
    names = [condition["name"] for condition in told["setup"]["conditions"]]
    assert names == ["program", "GPU", "batch", "container", "system"]
    assert main(["reproduce", asked]) == ExitStatus.MACHINE_CANNOT
    assert "no NVIDIA driver is installed" in capsys.readouterr().err
