"""An image that does not support a GPU is refused before it is pulled; its banner is recorded."""

import json

import pytest

from orchestrator.cli import main
from orchestrator.errors import ExitStatus, MachineError, RequestError
from orchestrator.machine.gpu_facts import Gpu, GpuReport
from orchestrator.paths import RunFolder
from orchestrator.program_facts import ProgramFacts
from orchestrator.request import Request, RuntimeChoice
from orchestrator.result import Result
from orchestrator.run import benchmark
from orchestrator.vendor_images.banner import Banner, of_run
from tests.fakes import FakeEngine, fake_image
from tests.support.stand_in import View

TENSORFLOW = "nvcr.io/nvidia/tensorflow:18.07-py3"
NEWEST = "nvcr.io/nvidia/tensorflow:25.02-tf2-py3"
LOG = (
    '::benchdock {"event":"begin","framework":"tensorflow","model":"deep_mnist","batch":2,'
    '"devices":1,"phase":"training","dtype":"float32","steps":4}\n'
    '::benchdock {"event":"steps","first":0,"seconds":[0.5,0.5,0.5,0.5],"samples":2,'
    '"block_seconds":2.0}\n'
    '::benchdock {"event":"end","samples":8,"seconds":2.0,"peak_memory":null,"loss":1.5}\n'
)
BANNER = b"""
================
== TensorFlow ==
================

NVIDIA Release 18.07 (build 552349)

WARNING: Detected NVIDIA NVIDIA GeForce RTX 2080 SUPER GPU, which is not yet supported in this version of the container
ERROR: No supported GPU(s) detected to run this container

ERROR: This container was built for NVIDIA Driver Release 384.81 or later, but
       version 375.39 was detected and compatibility mode is UNAVAILABLE.

NOTE: The SHMEM allocation limit is set to the default of 64MB.
"""  # noqa: E501 - as images print it


def report(name, capability, driver="580.65"):
    gpu = Gpu(index=0, uuid="GPU-0", name=name, compute_capability=capability)
    return GpuReport(state="ok", reason="", gpus=(gpu,), driver=driver)


H200 = report("NVIDIA H200", "9.0")
V100 = report("Tesla V100-SXM2-16GB", "7.0")
RTX_2080 = report("NVIDIA GeForce RTX 2080 SUPER", "7.5")


@pytest.fixture
def gpus(monkeypatch):
    """Give this machine other GPUs."""

    def give(found):
        monkeypatch.setattr("orchestrator.machine.gpu.report", lambda: found)

    return give


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """An engine whose containers print a banner and measure."""
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")

    def work(container):
        container.log.write_text(LOG)
        container.output = BANNER
        container.end(0)

    with FakeEngine(tmp_path) as engine:
        engine.on_start = work
        engine.images = {name: fake_image(name) for name in (TENSORFLOW, "mine:1")}
        # benchdock starts a container from the id of the image.
        engine.images["sha256:" + "1" * 64] = fake_image(TENSORFLOW)
        yield engine


def request(**changes):
    usual = {"model": "deep_mnist", "framework": "tensorflow", "batch": 2, "steps": 4, "warmup": 0}
    return Request(**usual | {"gpus": (0,), "image": TENSORFLOW} | changes)


def test_what_cannot_work_is_refused_before_anything_is_pulled(fake, gpus, tmp_path, capsys):
    gpus(H200)
    assert main(["run", "vgg16", "-f", "caffe2", "--gpus", "0"]) == ExitStatus.MACHINE_CANNOT
    err = capsys.readouterr().err
    assert err == (
        "benchdock: caffe2:18.08-py3 was built with CUDA 9.0 (2018) for GPUs up to compute "
        "capability 7.0. This GPU is 9.0 (Hopper), which needs CUDA 11.8 or newer. Caffe2 has no "
        "newer NGC image: use a Pascal, Volta or Turing GPU, or benchmark the model with pytorch; "
        "`benchdock run vgg16 -f pytorch --gpus 0` runs on the GPU, "
        "`benchdock run vgg16 -f caffe2 --gpus none` runs on the CPU\n"
    )
    assert fake.count("/images/|/containers/") == 0
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_prints_it_and_is_planned(fake, gpus, capsys):
    gpus(H200)
    assert main(["run", "vgg16", "-f", "caffe2", "--gpus", "0", "--dry-run"]) == ExitStatus.OK
    out = capsys.readouterr().out
    assert "warning         caffe2:18.08-py3 was built with CUDA 9.0" in out
    assert fake.count("/containers/") == 0


def test_an_unknown_image_is_run_with_a_note(fake, gpus):
    gpus(H200)
    result, status = benchmark.run(request(image="mine:1"), View())
    assert status is ExitStatus.OK
    assert any("mine:1 is not a known image" in text for text in result.warnings)
    assert result.warnings == tuple(dict.fromkeys(result.warnings))


def test_what_no_engine_would_take_is_a_wrong_request(fake, gpus):
    gpus(H200)
    with pytest.raises(RequestError, match="not an image reference"):
        benchmark.run(request(image="Not An Image"), View())


def test_on_the_cpu_no_gpu_is_judged_or_doubted(fake, gpus):
    gpus(H200)
    result, status = benchmark.run(request(gpus="none"), View())
    assert status is ExitStatus.OK
    assert result.environment.container.release == "18.07"
    assert not any("banner" in text or "driver" in text for text in result.warnings)


def test_packages_on_the_host_have_the_kernels_of_our_image(fake, gpus):
    gpus(report("a GPU of 2040", "20.0"))
    on_host = request(framework="pytorch", image=None, runtime=RuntimeChoice.HOST)
    with pytest.raises(MachineError, match=r"has no kernels for compute capability 20\.0"):
        benchmark.run(on_host, View())


def test_only_the_chosen_gpu_is_judged(fake, gpus):
    other = Gpu(index=1, uuid="GPU-1", name="NVIDIA H200", compute_capability="9.0")
    gpus(GpuReport(state="ok", reason="", gpus=(*V100.gpus, other), driver="580.65"))
    assert benchmark.run(request(gpus=(0,)), View())[1] is ExitStatus.OK
    with pytest.raises(MachineError, match=r"This GPU is 9\.0 \(Hopper\)"):
        benchmark.run(request(gpus="all"), View())


def test_the_banner_is_kept_and_its_doubts_are_warnings(fake, gpus):
    gpus(RTX_2080)
    result, status = benchmark.run(request(), View())
    assert status is ExitStatus.OK
    assert result.environment.container.model_dump(mode="json") == {
        "product": "TensorFlow",
        "release": "18.07",
        "build": "552349",
        "too_new": ["NVIDIA GeForce RTX 2080 SUPER"],
        "supported": False,
        "driver": [
            "This container was built for NVIDIA Driver Release 384.81 or later, but version "
            "375.39 was detected and compatibility mode is UNAVAILABLE."
        ],
    }
    told = "\n".join(result.warnings)
    assert "does not know the NVIDIA GeForce RTX 2080 SUPER yet" in told
    assert "the image says about the driver" in told
    assert "was built for GPUs up to compute capability 7.0" in told


def test_a_run_with_a_banner_is_bundled_verified_and_compared(fake, gpus, tmp_path, capsys):
    gpus(RTX_2080)
    runs = [benchmark.run(request(), View())[0] for _ in range(2)]
    bundle = str(tmp_path / "run.zip")
    assert main(["bundle", runs[0].run, "-o", bundle]) == ExitStatus.OK
    assert main(["verify", bundle]) == ExitStatus.OK
    later = tmp_path / "runs" / runs[1].run / "result.json"
    document = json.loads(later.read_text())
    document["environment"]["container"].update(release="18.08", framework_version="1.9.0")
    later.write_text(json.dumps(document))
    capsys.readouterr()
    assert main(["compare", bundle, str(later), "--json"]) == ExitStatus.OK
    told = json.loads(capsys.readouterr().out)
    assert told["changes"][0]["name"] == "image release"
    assert (told["changes"][0]["before"], told["changes"][0]["after"]) == ("18.07", "18.08")
    assert told["unrecorded"] == ["framework version"]


@pytest.mark.slow
def test_a_replay_on_another_gpu_is_refused_too(fake, gpus, capsys):
    gpus(V100)
    first, _ = benchmark.run(request(), View())
    gpus(H200)
    fake.requests.clear()
    assert main(["replay", first.run, "--dry-run"]) == ExitStatus.OK
    assert "note: tensorflow:18.07-py3 was built with CUDA 9.0" in capsys.readouterr().out
    assert main(["replay", first.run]) == ExitStatus.MACHINE_CANNOT
    assert "tensorflow:18.07-py3 was built with CUDA 9.0" in capsys.readouterr().err
    assert fake.count("/containers/create") == 0


def test_the_version_in_the_banner_counts_if_the_program_is_silent():
    told = {"framework_version": "1.8.0"}
    silent = Result(benchdock="0", status="ok", environment={"container": told})
    assert silent.framework_version == "1.8.0"
    loud = silent.model_copy(update={"program": ProgramFacts(framework_version="1.8.1")})
    assert loud.framework_version == "1.8.1"
    assert (
        Result(benchdock="0", status="ok", environment={"container": 3}).framework_version is None
    )


def test_nothing_a_program_leaves_behind_makes_the_banner_raise(tmp_path):
    folder = RunFolder(tmp_path)
    assert of_run(folder) == Banner()
    folder.engine_log.symlink_to("/etc/hostname")
    folder.log.mkdir()
    assert of_run(folder) == Banner()
    folder.engine_log.unlink()
    folder.engine_log.write_bytes(b"\xff\xfe NVIDIA Release\n" + BANNER + b"\x00" * 100_000)
    assert of_run(folder).release == "18.07"
    folder.engine_log.write_text(
        "".join(f"ERROR: NVIDIA Driver {i}{'x' * 999}\n" for i in range(99))
    )
    assert len(of_run(folder).model_dump_json()) < 10_000


@pytest.mark.slow
@pytest.mark.parametrize("again", [V100, H200], ids=["the same GPU", "a newer GPU"])
def test_a_replay_whose_image_is_gone_takes_one_that_works_there(fake, gpus, again, capsys):
    images = {"24.06": "nvcr.io/nvidia/tensorflow:24.06-tf2-py3", "25.02": NEWEST}
    for name in images.values():
        fake.images[name] = fake_image(name)
    gpus(V100)
    first, status = benchmark.run(request(image=None), View())
    assert status is ExitStatus.OK
    assert first.plan.image == images["24.06"]
    assert first.notes[0].startswith(
        "the image is ngc-tensorflow-24-06, the newest that works here"
    )
    del fake.images[first.plan.image_id]
    for name in images.values():
        fake.images[name] = {**fake_image(name), "Id": "sha256:" + "2" * 64, "RepoDigests": []}
    fake.images["sha256:" + "2" * 64] = fake.images[NEWEST]
    gpus(again)
    assert main(["replay", first.run, "--allow-changed", "--json"]) == ExitStatus.OK
    told = json.loads(capsys.readouterr().out)["result"]["plan"]["image"]
    assert told == images["24.06" if again is V100 else "25.02"]
