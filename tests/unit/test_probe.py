"""The probe: its loop computes, its figures are kept, and results are related to them."""

import ctypes
import json
import platform
import time
from types import SimpleNamespace

import pytest

from backends.harness import events, machine
from backends.probe import cpu, gpu, machine_code, threads
from backends.probe.__main__ import main as program
from backends.zoo import draw
from orchestrator import ceilings
from orchestrator.ceilings import Ceiling, DeviceCeilings
from orchestrator.cli import main
from orchestrator.errors import ExitStatus, MachineError
from orchestrator.machine.facts import DriverFacts, GpuFacts
from orchestrator.metric import Metric
from orchestrator.parsers import parser_for
from orchestrator.program_facts import ProgramFacts
from orchestrator.result import Environment, Failure, Result, StepSamples
from orchestrator.run.deriving import derived, flop_per_sample
from orchestrator.ui.words import rows
from tests.fakes import plan

able = pytest.mark.skipif(
    platform.machine() != "x86_64" or not {"fma", "avx2"} <= machine.cpu_flags(),
    reason="this CPU has no FMA and AVX2",
)
LANES = [8, *([16] if "avx512f" in machine.cpu_flags() else [])]
NOW = "2026-01-01T00:00:00Z"


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))
    return tmp_path


@able
@pytest.mark.parametrize("lanes", LANES)
def test_the_loop_computes_what_it_says(lanes):
    """x = a x + b and x = c x + d, on each lane of each sum, and nothing else in the array."""
    function = machine_code.Function(machine_code.loop(lanes))
    numbers = cpu.values(lanes)
    for lane in range(lanes):  # other factors than those that bring x back
        numbers[machine_code.C * lanes + lane] = 0.5
        numbers[machine_code.D * lanes + lane] = 0.25
    before = list(numbers)
    function(1, numbers)
    given = before[: machine_code.VECTORS * lanes]
    assert list(numbers)[: machine_code.VECTORS * lanes] == given
    for place in range(machine_code.SUMS * lanes):
        lane = place % lanes
        a, b = (before[r * lanes + lane] for r in (machine_code.A, machine_code.B))
        expected = 0.5 * (a * before[place] + b) + 0.25
        found = numbers[machine_code.VECTORS * lanes + place]
        assert found == pytest.approx(expected, rel=1e-5), place


@able
def test_the_sums_stay_numbers_for_a_whole_call():
    function, numbers = machine_code.Function(machine_code.loop(8)), cpu.values(8)
    function(machine_code.MOST_ROUNDS >> 4, numbers)
    start = machine_code.VECTORS * 8
    for found, began in zip(
        list(numbers)[start:], list(numbers)[: machine_code.SUMS * 8], strict=True
    ):
        assert found == pytest.approx(began, rel=0.1)


def test_rates_are_by_cpu_time():
    """A thread that sleeps has a lower rate by the clock on the wall, not by its own."""

    def make():
        def work():
            until = time.thread_time() + 0.01
            while time.thread_time() < until:
                pass
            time.sleep(0.01)
            return 1

        return work

    found = threads.measure(make, threads.cpus(1), 0.05).fields()
    assert found["rounds"] >= threads.FEWEST_ROUNDS
    assert found["median"] == pytest.approx(100, rel=0.2)
    assert found["wall"] < 0.7 * found["median"]


def test_a_failure_in_a_thread_ends_all():
    def make():
        raise OSError("no memory can be executed")

    with pytest.raises(OSError, match="executed"):
        threads.measure(make, threads.cpus(None), 0.1)


@pytest.mark.parametrize(
    ("kilobytes", "count", "size"),
    [(64 << 20, 2, 256 << 20), (4 << 20, 8, 64 << 20), (1000, 64, 16 << 20)],
)
def test_buffers_leave_memory_for_others(tmp_path, kilobytes, count, size):
    path = tmp_path / "meminfo"
    path.write_text(f"MemTotal: 1 kB\nMemAvailable: {kilobytes} kB\n")
    assert cpu.buffer_size(count, path) == size


@able
def test_the_program_reports_each_figure(monkeypatch):
    monkeypatch.setattr(cpu, "LARGEST_BUFFER", 16 << 20)
    found = []
    words = ["--device=cpu", "--threads=1", "--seconds=0.005"]
    assert program(words, lambda event, **fields: found.append((event, fields))) == 0
    assert {event for event, _ in found} == {"probe"}
    assert {(one["what"], one["unit"]) for _, one in found} == {
        ("multiply", "FLOP/s"),
        ("copy", "bytes/s"),
    }
    for _, one in found:
        Ceiling.model_validate(one)
        assert one["best"] > 1e8


def test_a_gpu_needs_pytorch_and_a_driver(monkeypatch):
    def told():
        found = []
        assert program(["--device=gpu"], lambda event, **fields: found.append((event, fields))) == 1
        ((event, fields),) = found
        assert (event, fields["kind"]) == ("error", "unsupported")
        return fields["message"]

    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    assert "torch" in told()

    def init():
        raise RuntimeError("Found no NVIDIA driver on your system.\nPlease check")

    cuda = SimpleNamespace(is_available=lambda: False, init=init)
    fake = SimpleNamespace(cuda=cuda, __version__="2.13")
    monkeypatch.setitem(__import__("sys").modules, "torch", fake)
    assert told() == (
        "PyTorch 2.13 finds no GPU here: Found no NVIDIA driver on your system. Please check"
    )


@pytest.mark.parametrize(
    ("capability", "types"),
    [((3, 5), 1), ((7, 0), 2), ((8, 0), 4), ((9, 0), 4)],
)
def test_only_number_types_that_the_gpu_has_are_tried(capability, types):
    fake = SimpleNamespace(cuda=SimpleNamespace(get_device_capability=lambda _: capability))
    assert len(gpu._types(fake, [0])) == types


def tagged(event, **fields):
    return events.line(event, fields).encode()


def figure(**changes):
    usual = {"what": "multiply", "device": "cpu", "dtype": "float32", "unit": "FLOP/s"}
    return Ceiling(**usual | {"best": 2e11, "median": 1.9e11, "devices": 2} | changes)


def device(*found, name="cpu"):
    return DeviceCeilings(benchdock="0", made=NOW, device=name, ceilings=found)


def test_the_log_of_a_probe():
    parser = parser_for("probe")
    event = figure().model_dump(mode="json", exclude_none=True)
    parser.feed(tagged("probe", **event))
    assert (parser.progress.stage, parser.progress.steps_done) == ("probing", 1)
    (found,) = parser.finish(0).begin.ceilings
    assert Ceiling.model_validate(found) == figure()


@pytest.mark.parametrize(
    ("log", "kind"),
    [
        (b"", "no_result"),
        (tagged("error", kind="unsupported", message="no GPU"), "unsupported"),
        (b'::benchdock {"event": "probe", "best": "x"}\n', "crashed"),
        (
            tagged("probe", what="copy", device="cpu", unit="bytes/s", best=0.0, median=1.0),
            "crashed",
        ),
    ],
)
def test_a_log_without_figures_is_a_failure(log, kind):
    parser = parser_for("probe")
    parser.feed(log)
    assert parser.finish(1 if log else 0).failure.kind == kind


def test_figures_are_kept_by_device(home):
    assert ceilings.known("cpu") is None
    path = ceilings.keep(device(figure()))
    assert path.is_relative_to(home / "probes")
    assert ceilings.known("cpu").ceilings == (figure(),)
    path.write_text("{")
    assert ceilings.known("cpu") is None


def test_a_folder_that_cannot_be_written_is_said(home):
    (home / "probes").write_text("")
    with pytest.raises(MachineError, match=r"cannot write .*; set BENCHDOCK_HOME"):
        ceilings.keep(device(figure()))


@pytest.mark.parametrize(
    ("dtype", "threads_used", "most"),
    [
        ("float32", None, 2e11),
        ("tf32", 2, 2e11),
        ("float32", 1, 1.1e11),
        ("float32", 64, 2e11),
        ("bfloat16", None, None),
    ],
)
def test_the_ceiling_of_some_threads(dtype, threads_used, most):
    found = device(figure(), figure(devices=1, best=1.1e11), figure(what="copy", best=9e12))
    assert ceilings.multiplying_on_cpu(found, dtype, threads_used) == most


def test_the_ceiling_of_gpus_is_that_of_all_at_once():
    single, both = figure(devices=1, median=8e14), figure(devices=2, median=7e14)
    found = device(single, both, name="GPU-1")
    assert [ceilings.multiplying(found, "float32", n) for n in (1, 2, 4)] == [8e14, 7e14, 8e14]
    assert ceilings.multiplying(found, "float16", 1) is None


def measured(**changes):
    planned = changes.pop("planned", None) or plan(
        program="benchdock", framework="pytorch", model="alexnet", gpus=(), device="cpu",
        phase="inference", fingerprint=draw("alexnet").fingerprint,
    )  # fmt: skip
    usual = {
        "status": "ok",
        "plan": planned,
        "metrics": {"throughput": Metric(value=100.0, unit="samples/s")},
        "steps": (StepSamples(first=0, seconds=(0.1,) * 10, samples=10),),
        "monitor": {"window": Metric(value=1.0, unit="s")},
    }
    return Result(benchdock="0", **usual | changes)


def test_achieved_operations_and_their_share():
    flop = 2 * draw("alexnet").macs
    assert derived(measured()).derived == {
        "achieved_flops": Metric(value=100 * flop, unit="FLOP/s")
    }
    ceilings.keep(device(figure(best=1000 * flop)))
    found = derived(measured())
    assert found.derived["share_of_ceiling"] == Metric(value=10.0, unit="%")
    (text,) = [text for label, text in rows(found) if label == "compute"]
    assert "10.0 % of the" in text


def test_the_share_by_cpu_time_is_of_the_ceiling_per_thread():
    """Half of the CPU time of the probe's loop, however long the step took."""
    flop = 2 * draw("alexnet").macs
    ceilings.keep(device(figure(best=1000 * flop), figure(devices=1, best=500 * flop)))
    busy = measured(program=ProgramFacts.made_of({"threads": 2}))
    batch = busy.plan.batch
    assert "share_of_ceiling_by_cpu_time" not in derived(busy).derived
    used = Metric(value=2 * batch / 500, unit="s")
    found = derived(busy.model_copy(update={"metrics": {**busy.metrics, "cpu_time": used}}))
    assert found.derived["share_of_ceiling_by_cpu_time"].value == pytest.approx(50.0)
    (text,) = [text for label, text in rows(found) if label == "compute"]
    assert text.endswith("measured here (50.0 % by CPU time)")


def test_the_share_by_cpu_time_counts_the_threads_of_all_ranks():
    """Two ranks of one thread each do what one rank of two threads does."""
    flop = 2 * draw("alexnet").macs
    ceilings.keep(device(figure(best=1000 * flop), figure(devices=1, best=500 * flop)))
    one = measured(program=ProgramFacts.made_of({"threads": 1}))
    ranks = one.plan.model_copy(update={"device_count": 2})
    used = Metric(value=2 * ranks.global_batch / 500, unit="s")
    told = {"plan": ranks, "metrics": {**one.metrics, "cpu_time": used}}
    found = derived(one.model_copy(update=told))
    assert found.derived["share_of_ceiling_by_cpu_time"].value == pytest.approx(50.0)


def test_training_counts_three_passes():
    training = measured().plan.model_copy(update={"phase": "training"})
    assert flop_per_sample(training) == 6 * draw("alexnet").macs


@pytest.mark.parametrize(
    "changes",
    [{"fingerprint": "0" * 16}, {"fingerprint": "file:0123", "model": "my_net"}],
    ids=["of a zoo's name", "of its own name"],
)
def test_a_network_of_the_user_has_no_count(changes):
    other = measured().plan.model_copy(update=changes)
    assert derived(measured(planned=other)).derived == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"failure": Failure(kind="crashed", message="no")},
        {"planned": plan(program="trtexec")},
        {"plan": None},
    ],
)
def test_other_results_have_no_derived_figures(changes):
    assert derived(measured(**changes)).derived == {}


def on_gpus(**monitor):
    planned = measured().plan.model_copy(
        update={"device": "gpu", "gpus": ("GPU-a", "GPU-b"), "device_count": 2}
    )
    gpus = tuple(
        GpuFacts.made_of({"index": index, "uuid": uuid})
        for index, uuid in ((0, "GPU-a"), (3, "GPU-b"))
    )
    values = {
        name.replace("_", ".", 1): Metric(value=value, unit="") for name, value in monitor.items()
    }
    return measured(
        planned=planned,
        environment=Environment.made_of({"gpu": DriverFacts.made_of({"gpus": gpus})}),
        monitor={"window": Metric(value=2.0, unit="s"), **values},
    )


def test_energy_is_that_of_all_gpus_and_idle_power_is_told_apart():
    found = derived(
        on_gpus(gpu0_energy=600.0, gpu3_energy=400.0, gpu0_power_idle=70.0, gpu3_power_idle=80.0)
    )
    assert found.derived["energy_per_sample"].value == pytest.approx(10.0)
    assert found.derived["energy_per_sample_above_idle"].value == pytest.approx(7.0)
    assert found.derived["throughput_per_watt"].value == pytest.approx(100 / 500)
    (text,) = [text for label, text in rows(found) if label == "energy"]
    assert text == "10.00 J per sample (7.000 J above idle), 0.2000 samples/s/W"


def test_energy_of_one_gpu_is_not_that_of_both():
    assert "energy_per_sample" not in derived(on_gpus(gpu0_energy=600.0)).derived


def test_energy_of_a_cpu_is_that_of_its_packages():
    monitor = {"window": Metric(value=2.0, unit="s"), "cpu_power.mean": Metric(value=100, unit="W")}
    found = derived(measured(monitor=monitor)).derived
    assert found["energy_per_sample"].value == pytest.approx(2.0)
    assert "energy_per_sample_above_idle" not in found


@able
@pytest.mark.slow
def test_the_command_on_the_host(home, capsys):
    words = ["probe", "--gpus", "none", "--runtime", "host", "--seconds", "10ms", "--threads", "1"]
    assert main([*words, "--json"]) == ExitStatus.OK
    found = json.loads(capsys.readouterr().out)
    (one,) = found["devices"]
    assert one["device"] == "cpu"
    assert ceilings.known("cpu") == DeviceCeilings.model_validate(one)


def test_a_gpu_that_is_not_here_is_refused(capsys):
    assert main(["probe", "--gpus", "0"]) == ExitStatus.MACHINE_CANNOT
    assert capsys.readouterr().err.startswith("benchdock: no GPU can be used: ")


def test_the_slowest_gpu_is_named():
    from orchestrator.probing.measuring import slowest

    devices = tuple(
        DeviceCeilings(
            benchdock="0",
            made=NOW,
            device=f"GPU-{index}",
            name=f"GPU {index}, H200",
            ceilings=(figure(devices=3, median=median, dtype="bfloat16"),),
        )
        for index, median in enumerate((7.9e14, 7.0e14, 7.8e14))
    )
    assert list(slowest(devices)) == [
        "slowest of all at once: GPU 1, H200, 10.3 % below the median "
        "(more than healthy GPUs differ)"
    ]
    assert list(slowest(devices[:1])) == []


def test_the_code_is_executable_memory_that_stays():
    if platform.machine() != "x86_64":
        pytest.skip("machine code of x86-64")
    function = machine_code.Function(b"\xc7\x06\x2a\x00\x00\x00\xc3")  # mov dword [rsi], 42; ret
    found = (ctypes.c_int * 1)()
    function(0, found)
    assert found[0] == 42
