"""Whether a claim can be had here: conditions said beforehand, a verdict that is never kind."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator import catalogue, claim_rules, published, reproduction
from orchestrator.cli import main
from orchestrator.errors import ExitStatus
from orchestrator.gpu_facts import Gpu, GpuReport
from orchestrator.published import Claim, Source
from orchestrator.reproduction import RANKING, Wishes, World, judge, prepare, summarize
from orchestrator.result import Metric, Result
from tests.unit import stand_in

CPU = "AMD EPYC 7R13 48-Core Processor"
NOTHING = World(
    gpus=GpuReport(state="no_gpu", reason="no NVIDIA driver is installed"),
    cpu=CPU,
    no_engine="no container engine answers",
)


def world(*gpus, capability="7.0", **changes):
    found = tuple(
        Gpu(index=i, uuid=f"GPU-{i}", name=name, compute_capability=capability)
        for i, name in enumerate(gpus)
    )
    report = GpuReport(state="ok", reason="", gpus=found, driver="570.1")
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
    without = prepare(asked, world(V100, no_engine="nobody answers"))
    assert without.request.image is None
    assert "nobody answers" in without.unmet[0].why
    guessed = dataclasses.replace(asked, suspect=("half-tag",))
    assert effects(prepare(guessed, world(V100))) == {"container": "looser"}


def test_a_container_too_old_for_the_gpu_is_not_started():
    asked = claim(container="nvcr.io/nvidia/caffe2:18.08-py3", framework="caffe2", gpu="h200")
    setup = prepare(asked, world("NVIDIA H200", capability="9.0"))
    assert setup.request.image is None
    assert "CUDA 9.0" in setup.unmet[0].why


def test_a_program_without_launcher_needs_the_same_network():
    same = prepare(claim(program="timm"), world(V100))
    assert same.request.framework == "pytorch"
    assert effects(same) == {"program": "looser", "container": "looser"}
    other = prepare(claim(program="tf_cnn_benchmarks", model="alexnet"), world(V100))
    assert other.request is None
    assert effects(other) == {"network": "none", "program": "none"}
    assert "not comparable with our own network" in other.why_not


def test_a_row_in_the_catalogue_is_all_that_a_launcher_needs(monkeypatch):
    row = dataclasses.replace(catalogue.TENSORFLOW, name="tf_cnn_benchmarks")
    monkeypatch.setattr(
        claim_rules, "FRAMEWORKS", {**catalogue.FRAMEWORKS, "tf_cnn_benchmarks": row}
    )
    asked = claim(
        program="tf_cnn_benchmarks", framework="tensorflow", model="alexnet", conditions=("xla",)
    )
    setup = prepare(asked, world(V100))
    assert setup.request.framework == "tf_cnn_benchmarks"
    assert setup.request.options == {"xla": "on"}
    assert setup.comparable


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
    ours = reproduction._our_version(catalogue.PYTORCH, "gpu")
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
    st.sampled_from(published.load()), st.sampled_from([NOTHING, world(V100), world(V100, V100)])
)
def test_every_published_claim_is_planned_or_explained(asked, here):
    setup = prepare(asked, here)
    assert (setup.request is None) is bool(setup.why_not)
    assert all(condition.name in RANKING for condition in setup.unmet)
    assert json.dumps(reproduction.as_json(setup))


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
    cpu = reproduction.look(Wishes()).cpu

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
    assert "not reproduced (tolerance 5 %)" in capsys.readouterr().out


def test_a_run_that_fails_ends_it_with_its_own_status(own):
    words = ["reproduce", own(4.0, "nan"), "--runtime", "host"]
    assert main(words) == ExitStatus.BENCHMARK_FAILED


def test_what_cannot_be_met_is_said_before_anything_runs(own, capsys):
    words = ["reproduce", own(4.0, more="system: a mainframe\n"), "--runtime", "host"]
    assert main([*words, "--dry-run"]) == ExitStatus.OK
    out = capsys.readouterr().out
    assert "not met: system: a mainframe there" in out
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
    monkeypatch.setattr(reproduction, "look", lambda wishes: NOTHING)
    asked = "nvidia-dle-pytorch-20.06-resnet50_v1.5-v100-16gb-float16-training-x1"
    assert main(["reproduce", asked, "--dry-run", "--json"]) == ExitStatus.OK
    told = json.loads(capsys.readouterr().out)
    names = [condition["name"] for condition in told["setup"]["conditions"]]
    assert names == ["program", "GPU", "batch", "container", "system"]
    assert main(["reproduce", asked]) == ExitStatus.MACHINE_CANNOT
    assert "no NVIDIA driver is installed" in capsys.readouterr().err
