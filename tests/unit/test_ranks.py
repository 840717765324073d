"""`--ranks N`: several ranks on the CPU, from the command line to the summary."""

import json

import pytest

from orchestrator.cli import main
from orchestrator.errors import ExitStatus, RequestError
from orchestrator.frameworks import catalogue
from orchestrator.machine.gpu_facts import Gpu, GpuReport
from orchestrator.plan import Plan
from orchestrator.program_facts import ProgramFacts
from orchestrator.request import Request
from orchestrator.result import Metric, Result
from orchestrator.results import agreement
from orchestrator.run import checks, devices
from orchestrator.run.context import thread_notes, threads_per_process
from orchestrator.ui import words
from tests import fakes

ONE = GpuReport(state="ok", reason="", gpus=(Gpu(index=0, uuid="GPU-a", name="A"),))


def request(**changes):
    return Request(**{"model": "resnet18", "framework": "pytorch", **changes})


def test_ranks_are_on_the_cpu_even_if_there_is_a_gpu():
    target = devices.choose(request(ranks=3), ONE)
    assert (target.device, target.gpus, target.count) == ("cpu", (), 3)
    assert devices.choose(request(gpus="none"), ONE).count == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--ranks 2 --gpus 0", "ranks are for the CPU, gpus and devices for GPUs"),
        ("--ranks 2 --devices 1", "ranks are for the CPU, gpus and devices for GPUs"),
        ("--gpus 0 --devices 2", "devices is a number of GPUs and gpus says which"),
        ("--ranks 0", "0 is too small, the minimum is 1"),
        ("--ranks 2000", "--ranks 2000 is too large; the maximum is 1024"),
    ],
)
def test_what_ranks_cannot_be_is_one_line(options, told, capsys):
    words_ = ["run", "resnet18", "-f", "pytorch", *options.split(), "--dry-run"]
    assert main(words_) == ExitStatus.BAD_REQUEST
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("framework", ["onnxruntime", "bvlc_caffe", "tf_cnn_benchmarks"])
def test_a_framework_without_ranks_says_which_have_them(framework):
    with pytest.raises(RequestError, match="has no --ranks: it uses all CPUs") as refused:
        checks._ranks(
            checks.Question(
                request=request(framework=framework, ranks=2),
                framework=catalogue.framework(framework),
                device="cpu",
            )
        )
    assert "pytorch, tensorflow, mxnet, caffe2 or horovod_pytorch" in str(refused.value)


@pytest.mark.parametrize("framework", ["pytorch", "tensorflow", "mxnet", "horovod_pytorch"])
def test_each_rank_gets_its_share_of_the_threads(framework):
    row = catalogue.framework(framework)
    assert threads_per_process(row, request(framework=framework, ranks=4), 4, 10) == 2
    assert threads_per_process(row, request(framework=framework, ranks=4), 4, 2) == 1
    asked = request(framework=framework, ranks=4, threads=3)
    assert [*thread_notes(row, asked, 4, 10)] == [
        "4 processes of 3 threads share 10 CPUs: they wait for each other"
    ]


def result(**changes):
    plan = fakes.plan(device="cpu", device_count=2, model="resnet18", batch=4)
    return Result(benchdock="0", status="ok", plan=plan, **changes)


def test_the_summary_names_the_slowest_rank():
    skew = {
        "rank_skew": Metric(value=12.5, unit="%"),
        "peak_memory": Metric(value=2**30, unit="bytes"),
    }
    program = ProgramFacts.made_of({"rank_times": (0.09, 0.08, 0.085)})
    rows = dict(words.rows(result(metrics=skew, program=program)))
    assert rows["ranks"] == (
        "skew 12.5 %: rank 0 computes 90.00 ms per step before it waits for the others, "
        "rank 1 80.00 ms"
    )
    assert rows["what"].endswith("batch 4 per rank, 2 ranks on the cpu")
    assert rows["memory"] == "1.000 GiB at most in a process"
    assert "ranks" not in dict(words.rows(result(metrics={})))


@pytest.mark.parametrize(("ranks", "agree"), [(2, True), (3, False), (None, False)])
def test_a_plan_of_other_ranks_contradicts_its_request(ranks, agree):
    plan: Plan = result().plan
    found = [*agreement._of_gpus(request(ranks=ranks, gpus="none"), plan)]
    assert (found == []) == agree


def test_a_dry_run_plans_them(capsys):
    assert main(["run", "resnet18", "-f", "pytorch", "--ranks", "2", "--dry-run", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["request"]["ranks"] == 2
    assert (planned["plan"]["device"], planned["plan"]["device_count"]) == ("cpu", 2)
    assert "-m backends.harness.ranks 2 backends.pytorch" in planned["plan"]["script"]
    assert planned["plan"]["network"] == "none"
