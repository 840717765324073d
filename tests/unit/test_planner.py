"""From a request to a plan."""

from dataclasses import replace

import pytest

from orchestrator.errors import DataError, MachineError, RequestError
from orchestrator.frameworks import catalogue
from orchestrator.machine.description import EngineFacts
from orchestrator.machine.gpu import Gpu, GpuReport
from orchestrator.parity.plan import parity_plan
from orchestrator.paths import RunFolder
from orchestrator.request import Request
from orchestrator.run import checks, container_user, devices, planner
from orchestrator.run.decision import decide
from orchestrator.run.devices import Target
from orchestrator.run.facts import EngineAnswer
from orchestrator.run.place import CODE, DATA, RUN, Needs, Place
from tests.support.machines import Known

NONE = GpuReport(state="no_library", reason="no NVIDIA driver is installed")
TWO = GpuReport(
    state="ok",
    reason="2 GPUs",
    gpus=(Gpu(index=0, uuid="GPU-a", name="A"), Gpu(index=1, uuid="GPU-b", name="B")),
)
PLACE = Place(
    runtime="docker",
    reason="test",
    python="python3",
    image="i",
    image_id="sha256:1",
)


def request(**changes):
    return Request(**{"model": "resnet18", "framework": "pytorch", **changes})


def plan(tmp_path, place=PLACE, target=None, **changes):
    asked = request(**changes)
    framework = catalogue.framework("pytorch")
    return planner.make_plan(
        asked, framework, target or Target(device="cpu"), place, RunFolder(tmp_path)
    )


@pytest.mark.parametrize(
    ("gpus", "report", "expected"),
    [
        (None, NONE, ()),
        ("none", TWO, ()),
        (None, TWO, ("GPU-a",)),
        ("all", TWO, ("GPU-a", "GPU-b")),
        ((1,), TWO, ("GPU-b",)),
        ((1, 0), TWO, ("GPU-b", "GPU-a")),
    ],
)
def test_devices_are_handed_on_by_uuid(gpus, report, expected):
    target = devices.choose(request(gpus=gpus), report)
    assert target.gpus == expected
    assert target.device == ("gpu" if expected else "cpu")
    assert target.count == (len(expected) or 1)


def test_a_gpu_that_does_not_answer_is_not_passed_over_in_silence():
    broken = GpuReport(state="mismatch", reason="updated without a restart")
    (doubt,) = devices.unused_gpus(request(), broken)
    assert "on the CPU, because no GPU can be used: updated without a restart" in doubt
    for asked, report in (
        (request(), NONE),
        (request(), TWO),
        (request(gpus="none"), broken),
        (request(gpus="all"), broken),
    ):
        assert not devices.unused_gpus(asked, report)
    assert devices.unused_gpus(request(), replace(NONE, on_bus=True))


@pytest.mark.parametrize(
    "changes", [{"model": "resnet50", "framework": "nvcnn"}, {"dtype": "float16"}]
)
def test_what_the_cpu_cannot_do_is_the_machines_fault_if_its_gpus_do_not_answer(
    changes,
):
    broken = GpuReport(state="not_loaded", reason="its kernel module is not loaded")
    asked = request(**changes)
    with pytest.raises(MachineError, match=r"on the CPU.* module is not loaded; .*--gpus 0 --dry"):
        decide(asked, Known(gpu=broken))
    for refused, report in (
        (asked, NONE),  # a machine without a GPU: the CPU was requested
        (request(**changes, gpus="none"), broken),
        (request(**{**changes, "model": "x"}), broken),  # wrong on every machine
    ):
        with pytest.raises(RequestError):
            decide(refused, Known(gpu=report))


@pytest.mark.parametrize("gpus", ["all", (0,)])
def test_a_gpu_without_driver_says_what_is_missing(gpus):
    with pytest.raises(
        MachineError,
        match="no NVIDIA driver is installed, and the PCI bus has no NVIDIA GPU; use --gpus none",
    ):
        devices.choose(request(gpus=gpus), NONE)
    engine = EngineAnswer(engine=EngineFacts())
    decision = decide(request(gpus=gpus), Known(gpu=NONE, container_engine=engine))
    assert decision.target.device == "gpu"
    assert "no NVIDIA driver" in decision.warnings()[0]
    with pytest.raises(MachineError, match="the PCI bus has no NVIDIA GPU; use --gpus none"):
        decision.accepted()


def test_more_gpus_than_a_backend_can_use_are_refused():
    engine = EngineAnswer(engine=EngineFacts())
    four = [
        Gpu(index=i, uuid=f"GPU-{i}", name="Tesla V100", compute_capability="7.0") for i in range(4)
    ]
    report = GpuReport(state="ok", reason="4 GPUs", gpus=tuple(four), driver="450.80.02")
    server = Known(gpu=report, container_engine=engine)
    with pytest.raises(
        RequestError, match="nvidia_caffe uses only one GPU in benchdock, 4 were requested"
    ):
        decide(request(framework="nvidia_caffe", gpus="all"), server)
    assert decide(request(framework="nvidia_caffe"), server).target.count == 1
    assert decide(request(gpus="all"), server).target.count == 4


def test_a_gpu_index_that_is_not_there_says_which_are():
    with pytest.raises(RequestError, match="this machine has no GPU 7; it has 0, 1"):
        devices.choose(request(gpus=(0, 7)), TWO)


def test_a_dataset_must_be_a_readable_folder_that_holds_something(tmp_path):
    with pytest.raises(DataError, match=r"the dataset .* does not exist"):
        checks.check_dataset(tmp_path / "absent")
    with pytest.raises(DataError, match="is empty"):
        checks.check_dataset(tmp_path)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(DataError, match="is a file"):
        checks.check_dataset(file)
    checks.check_dataset(tmp_path)


def test_more_threads_than_cpus_are_a_doubt(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1})
    assert plan(tmp_path, threads=2).warnings == ()
    assert plan(tmp_path, threads=3).warnings == (
        "3 threads share 2 CPUs: they wait for each other",
    )


def test_only_the_log_and_the_outputs_are_writable(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    made = plan(tmp_path, place=PLACE, data=data)
    writable = [mount.target for mount in made.mounts if not mount.read_only]
    assert writable == [f"{RUN}/log.txt", f"{RUN}/out"]
    read_only = {mount.target for mount in made.mounts if mount.read_only}
    assert read_only == {f"{RUN}/launcher.sh", DATA}
    assert f"--data={DATA}" in made.script


def test_a_foreign_image_gets_our_code_mounted_read_only(tmp_path):
    place = Place(runtime="docker", reason="", python="python3", image="x", mount_code=True)
    mount = plan(tmp_path, place=place).mounts[-1]
    assert mount.target == f"{CODE}/backends"
    assert mount.read_only
    assert (mount.source / "zoo").is_dir()


def test_the_host_sees_host_paths_and_no_mounts(tmp_path):
    place = Place(runtime="host", reason="no engine", python="/venv/bin/python", code=tmp_path)
    made = plan(tmp_path, place=place)
    assert made.mounts == ()
    assert made.argv == ("bash", f"{tmp_path}/launcher.sh")
    assert "/venv/bin/python" in made.script
    assert RUN not in made.script
    assert made.image is None


def test_what_an_image_needs_and_what_was_asked_reach_the_limits(tmp_path):
    place = Place(
        runtime="docker", reason="", python="python3", needs=Needs(shm_size=1, capabilities=("A",))
    )
    made = plan(tmp_path, place=place, memory=123, pids=9)
    assert (made.limits.shm_size, made.limits.memory, made.limits.pids) == (1, 123, 9)
    assert made.capabilities == ("A",)
    assert plan(tmp_path, place=place, shm_size=7).limits.shm_size == 7


def test_the_plan_names_the_network_and_the_caller(tmp_path):
    made = plan(tmp_path)
    assert made.fingerprint == catalogue.draw("resnet18").fingerprint
    assert made.network == "none"
    assert made.user == container_user.choose(request())


def test_more_than_one_gpu_starts_one_process_each(tmp_path):
    made = plan(tmp_path, target=Target(device="gpu", gpus=("GPU-a", "GPU-b")))
    assert made.device_count == 2
    assert "-m backends.harness.ranks 2 backends.pytorch" in made.script


def test_a_parity_plan_runs_the_parity_program(tmp_path):
    framework = catalogue.framework("pytorch")
    made = parity_plan(
        request(dtype="bfloat16"),
        framework,
        Target(device="gpu", gpus=("GPU-a",)),
        PLACE,
        RunFolder(tmp_path),
        levels=("P1", "P2"),
        models=("vgg11", "alexnet"),
    )
    assert made.program == "parity"
    assert "backends.pytorch parity" in made.script
    assert "--level=P2" in made.script
    assert "vgg11 alexnet" in made.script
    assert "--dtype=bfloat16 --device=gpu" in made.script
    assert made.gpus == ("GPU-a",)


@pytest.mark.parametrize(
    ("cpus", "batch", "image", "expected"),
    [
        (2, 8, None, None),  # Docker's 64 MB do
        (9, 64, None, 18 * 64 * 3 * 224 * 224),
        (9, 64, 2**40, 2**40),
    ],
)
def test_shared_memory_suffices_for_the_workers_of_a_dataset(
    tmp_path, cpus, batch, image, expected
):
    (tmp_path / "data").mkdir()
    place = replace(PLACE, cpus=cpus, needs=Needs(shm_size=image))
    found = plan(tmp_path, place, batch=batch, data=tmp_path / "data")
    assert found.limits.shm_size == expected
    assert plan(tmp_path, place, batch=batch).limits.shm_size == image
    more = plan(tmp_path, place, batch=64, data=tmp_path / "data", options={"workers": "20"})
    assert more.limits.shm_size == max(42 * 64 * 3 * 224 * 224, image or 0)
    asked = plan(tmp_path, place, batch=batch, data=tmp_path / "data", shm_size=2**30)
    assert asked.limits.shm_size == 2**30
