from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.doctor import disk, engine, examination, gpus, host, images
from orchestrator.doctor.disk import GIB
from orchestrator.doctor.finding import Finding
from orchestrator.errors import EngineError, ExitStatus, MachineError
from orchestrator.images import digests, image_table
from orchestrator.machine import inventory
from orchestrator.machine.gpu_facts import Gpu, GpuReport, MigSlice
from orchestrator.runtimes.docker.client import Engine, EngineInfo
from orchestrator.runtimes.host import running
from orchestrator.vendor_images.choice import Choice, choose

H200 = Gpu(
    index=0, uuid="GPU-1", name="NVIDIA H200", memory_total=140 * GIB, compute_capability="9.0"
)
WITH_GPU = GpuReport(state="ok", reason="1 GPU", gpus=(H200,), driver="580.65", cuda="13.0")
NO_GPU = GpuReport(state="no_library", reason="no NVIDIA driver is installed")


def info(**fields: Any) -> EngineInfo:
    usual: dict[str, Any] = {
        "name": "docker",
        "version": "28.2",
        "api_version": "1.50",
        "address": "unix:///var/run/docker.sock",
        "storage_driver": "overlay2",
        "runtimes": ("runc",),
        "gpu_support": False,
        "live_restore": False,
        "rootless": False,
        "root_dir": "/absent/docker",
        "operating_system": "Debian",
        "cgroup_version": "2",
        "cpus": 2,
        "memory": 4 * GIB,
        "warnings": (),
    }
    return EngineInfo(**usual | fields)


class FakeEngine:
    """An engine with some images, by tag."""

    def __init__(self, images: dict[str, Any] | None = None, **fields: Any) -> None:
        self.images = images or {}
        self.told = info(**fields)
        self.containers: tuple[Any, ...] = ()

    def info(self) -> EngineInfo:
        return self.told

    def image(self, reference: str) -> Any:
        return self.images.get(reference)

    def our_containers(self) -> tuple[Any, ...]:
        return self.containers


def fake_engine(**fields: Any) -> Engine:
    return cast(Engine, FakeEngine(**fields))


def by_name(findings: Iterable[Finding]) -> dict[str, Finding]:
    return {one.name: one for one in findings}


def fitting(device: str) -> list[image_table.Image]:
    rows = image_table.load().images.values()
    return [
        row
        for row in rows
        if row.source == "build" and row.device == device and platform.machine() in row.machines
    ]


@pytest.mark.slow
def test_this_machine() -> None:
    examined = examination.examine()
    found = examined.findings
    names = set(by_name(found))
    assert {"engine", "host runtime", "home", "memory"} <= names
    document = examination.machine_file(examined).model_dump(mode="json", by_alias=True)
    assert json.loads(json.dumps(document)) == document
    assert set(document["findings"][0]) == {"name", "state", "detail", "remedy", "role"}
    assert document["can_run"] is (examination.exit_status(found) is ExitStatus.OK)
    for one in found:
        assert one.remedy or one.state != "missing", f"nothing fixes {one}"


def test_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Engine:
        raise EngineError("permission denied", hint="sudo usermod -aG docker $USER")

    monkeypatch.setattr(Engine, "connect", refuse)
    examined = examination.examine()
    assert (examined.machine.engine, examined.machine.no_engine) == (None, "permission denied")
    found = by_name(examined.findings)["engine"]
    assert (found.state, found.detail) == ("missing", "permission denied")
    assert found.remedy == "sudo usermod -aG docker $USER"


@pytest.mark.parametrize(
    ("places", "needs", "status"),
    [
        (["ok", "missing"], ["ok"], ExitStatus.OK),
        (["missing", "ok"], ["warning"], ExitStatus.OK),
        (["missing", "missing"], ["ok"], ExitStatus.MACHINE_CANNOT),
        (["ok", "ok"], ["missing"], ExitStatus.MACHINE_CANNOT),
    ],
)
def test_exit_status(places: list[Any], needs: list[Any], status: ExitStatus) -> None:
    found = [Finding(name="p", state=state, detail="", role="place") for state in places]
    found += [Finding(name="n", state=state, detail="", role="need") for state in needs]
    found.append(Finding(name="other", state="missing", detail=""))
    assert examination.exit_status(found) is status


@pytest.mark.slow
def test_absent_images_and_bases_say_how_to_get_them() -> None:
    found = by_name(engine.engine_findings(fake_engine(), info(), NO_GPU))
    row, *_ = fitting("cpu")
    image, base = found[f"image {row.id}"], found[f"base {row.base}"]
    assert (image.state, image.remedy) == ("missing", f"benchdock images build {row.id}")
    assert (base.state, base.remedy) == ("missing", "benchdock images bootstrap")
    assert not any(row.id in name for row in fitting("gpu") for name in found)


def test_a_base_that_cannot_be_made_here_says_what_is_lacking(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orchestrator.images.interpreters.find", lambda _: None)
    found = by_name(engine.engine_findings(fake_engine(), info(), NO_GPU))
    assert "image tensorflow-cpu" in found
    base = found["base python:3.7-slim"]
    assert "this machine has no Python 3.7" in base.detail
    assert base.remedy == "pyenv install 3.7, then benchdock images bootstrap"


@pytest.mark.slow
def test_current_and_stale_images() -> None:
    table = image_table.load()
    row, *others = fitting("cpu")
    here = {one.tag: SimpleNamespace(labels=digests.labels(one, table)) for one in (row, *others)}
    found = by_name(images.image_findings(fake_engine(images=here), table, NO_GPU))
    assert found[f"image {row.id}"].state == "ok"
    assert f"base {row.base}" not in found
    stale = digests.labels(row, table) | {digests.BACKENDS: "other"}
    here[row.tag] = SimpleNamespace(labels=stale)
    found = by_name(images.image_findings(fake_engine(images=here), table, NO_GPU))
    assert found[f"image {row.id}"].state == "warning"
    assert "only another build" in found[f"image {row.id}"].detail


def chosen(report: GpuReport) -> Choice:
    table = image_table.load()
    gpus = [(one.name, one.compute_capability or "") for one in report.gpus]
    return choose(table.image("pytorch-gpu"), gpus, report.driver, table=table)


def test_a_driver_that_is_too_old_for_the_newest_image() -> None:
    old = GpuReport(state="ok", reason="1 GPU", gpus=(H200,), driver="570.86.15")
    (found,) = images.driver_findings(chosen(old), old)
    assert found.state == "warning"
    assert "driver 570.86.15 is older than 580" in found.detail
    assert "a run uses pytorch-gpu-cuda12" in found.detail
    assert list(images.driver_findings(chosen(WITH_GPU), WITH_GPU)) == []


def test_a_driver_that_is_too_old_for_every_image() -> None:
    v100 = Gpu(index=0, uuid="GPU-0", name="Tesla V100", compute_capability="7.0")
    old = GpuReport(state="ok", reason="1 GPU", gpus=(v100,), driver="418.67")
    (found,) = images.driver_findings(chosen(old), old)
    assert found.state == "missing"
    assert "needs NVIDIA driver 450.80.02 or newer" in found.detail
    assert "nvidia-driver" in found.remedy


def test_a_gpu_that_no_image_knows() -> None:
    later = Gpu(index=0, uuid="GPU-0", name="later", compute_capability="14.0")
    report = GpuReport(state="ok", reason="1 GPU", gpus=(later,), driver="700.1")
    (found,) = images.driver_findings(chosen(report), report)
    assert (found.state, found.name, found.remedy) == ("missing", "image pytorch-gpu", "")
    assert "14.0" in found.detail


@pytest.mark.slow
def test_only_the_image_that_a_run_would_take_is_looked_for() -> None:
    old = GpuReport(state="ok", reason="1 GPU", gpus=(H200,), driver="570.86.15")
    found = by_name(images.image_findings(fake_engine(), image_table.load(), old))
    assert found["image pytorch-gpu-cuda12"].remedy == "benchdock images build pytorch-gpu-cuda12"
    assert not {"image pytorch-gpu", "image pytorch-gpu-cuda11"} & set(found)


def test_container_toolkit() -> None:
    assert list(engine.toolkit_findings(info(), NO_GPU)) == []
    (missing,) = engine.toolkit_findings(info(), WITH_GPU)
    assert missing.state == "missing"
    assert "nvidia-ctk runtime configure" in missing.remedy
    (there,) = engine.toolkit_findings(info(gpu_support=True), WITH_GPU)
    assert there.state == "ok"


@pytest.mark.slow
def test_leftover_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    there = FakeEngine()
    there.containers = (SimpleNamespace(name="dead"), SimpleNamespace(name="alive"))
    monkeypatch.setattr(
        "orchestrator.runtimes.docker.reaper.is_orphan",
        lambda container, here: container.name == "dead",
    )
    found = by_name(engine.engine_findings(cast(Engine, there), info(), NO_GPU))["leftovers"]
    assert found.remedy == "docker rm -f dead"


def test_gpus() -> None:
    found = by_name(gpus.gpu_findings(WITH_GPU))
    assert found["NVIDIA driver"].detail == "580.65, CUDA up to 13.0"
    assert found["GPU 0"].detail == "NVIDIA H200, 140.0 GiB, compute capability 9.0"


@pytest.mark.parametrize(
    ("slices", "state", "told"),
    [
        ((), "missing", "MIG is on, but there are no parts"),
        (
            (MigSlice(index=2, uuid="MIG-1", name="NVIDIA A100 MIG 1g.5gb"),),
            "warning",
            "a run sees one part (1:2 1g.5gb)",
        ),
    ],
)
def test_mig(slices: tuple[MigSlice, ...], state: str, told: str) -> None:
    one = Gpu(index=1, uuid="GPU-1", name="A100", mig=True, slices=slices)
    found = by_name(gpus.gpu_findings(GpuReport(state="ok", reason="", gpus=(one,))))["GPU 1"]
    assert (found.state, found.remedy) == (state, "sudo nvidia-smi -i 1 -mig 0")
    assert told in found.detail


def test_a_kernel_log_that_cannot_be_read_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "orchestrator.machine.xid.why_unreadable", lambda: "Operation not permitted"
    )
    several = tuple(Gpu(index=index, uuid=f"GPU-{index}", name="A100") for index in range(2))
    found = gpus.gpu_findings(GpuReport(state="ok", reason="", gpus=several))
    (said,) = [one for one in found if one.name == "kernel log"]
    assert "Operation not permitted" in said.detail
    assert not [one for one in gpus.gpu_findings(NO_GPU) if one.name == "kernel log"]


def test_a_gpu_without_a_driver(tmp_path: Path) -> None:
    (plain,) = gpus.gpu_findings(NO_GPU)
    assert (plain.name, plain.state) == ("GPU", "warning")
    for number, (vendor, kind) in enumerate([("0x8086", "0x030000"), ("0x10de", "0x040300")]):
        device = tmp_path / f"sys/bus/pci/devices/{number}"
        device.mkdir(parents=True)
        (device / "vendor").write_text(f"{vendor}\n")
        (device / "class").write_text(f"{kind}\n")
    assert inventory.has_nvidia_device(tmp_path) is False
    (device / "class").write_text("0x030200\n")
    assert inventory.has_nvidia_device(tmp_path) is True
    (missing,) = gpus.gpu_findings(replace(NO_GPU, on_bus=True))
    assert (missing.name, missing.state) == ("NVIDIA driver", "missing")
    assert "nvidia-driver" in missing.remedy


def test_a_driver_that_is_not_loaded() -> None:
    report = GpuReport(state="not_loaded", reason="not loaded", hint="sudo modprobe nvidia")
    (found,) = gpus.gpu_findings(report)
    assert (found.state, found.remedy) == ("missing", "sudo modprobe nvidia")


def test_host_runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_pip() -> tuple[str, ...]:
        raise MachineError("there is no pip", hint="python3 -m ensurepip")

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("orchestrator.runtimes.host.host_pip.command", no_pip)
    monkeypatch.setattr(host, "find_spec", lambda name: None)
    found = list(host.host_findings())
    assert [one.state for one in found] == ["missing"] * 3
    assert all(one.role == "place" and one.remedy for one in found)


def test_home(tmp_path: Path) -> None:
    found = disk.home_finding(tmp_path / "a" / "b")
    assert found.role == "need"
    assert str(tmp_path / "a" / "b") in found.detail
    (tmp_path / "file").write_text("")
    found = disk.home_finding(tmp_path / "file" / "home")
    assert (found.state, found.role) == ("missing", "need")
    assert "BENCHDOCK_HOME" in found.remedy


def test_a_home_that_cannot_be_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path("/", "long" * 100)  # as a folder without permission, which root always has
    monkeypatch.setenv("BENCHDOCK_HOME", str(home))
    assert str(home) in disk.home_finding(home).detail
    assert running.leftovers() == ()


@pytest.mark.parametrize(
    ("free", "state"), [(20 * GIB, "ok"), (5 * GIB, "warning"), (GIB // 2, "missing")]
)
def test_room(free: int, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=free))
    found = disk.room_finding("home", tmp_path, remedy="benchdock images prune")
    assert found.state == state
    assert bool(found.remedy) is (state != "ok")


@pytest.mark.slow
def test_room_for_an_image_that_a_run_would_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))
    table = image_table.load()
    rows = fitting("cpu")
    here = {one.tag: SimpleNamespace(labels=digests.labels(one, table)) for one in rows[1:]}
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=GIB // 2))

    def told(data_root: Path) -> dict[str, Finding]:
        fake = fake_engine(images=here, root_dir=str(data_root))
        return by_name(engine.engine_findings(fake, fake.info(), NO_GPU))

    found = told(tmp_path)
    assert found["engine's disk"].remedy == "benchdock images prune"
    short = found[f"room for {rows[0].id}"]
    assert (short.state, short.remedy) == ("warning", "benchdock images prune")
    assert short.detail.startswith("the build needs about ")
    assert f"in {tmp_path}" in short.detail
    assert [name for name in found if name.startswith("room for ")] == [f"room for {rows[0].id}"]
    # The layers below are here: only the last ones have to be made.
    here[digests.framework_tag(rows[0], table)] = SimpleNamespace(labels={})
    assert not any(name.startswith("room for ") for name in told(tmp_path))


def test_the_disk_of_an_engine_on_another_machine_is_not_looked_at(tmp_path: Path) -> None:
    assert info(root_dir=str(tmp_path)).data_root == tmp_path
    assert info(root_dir=str(tmp_path), address="tcp://server:2375").data_root is None
    assert info(root_dir=str(tmp_path / "absent")).data_root is None
    assert info(root_dir="").data_root is None


def test_memory_and_governors() -> None:
    assert host.memory_finding({"MemAvailable": 8 * GIB, "MemTotal": 16 * GIB}).state == "ok"
    assert host.memory_finding({"MemAvailable": GIB, "MemTotal": 16 * GIB}).state == "warning"
    assert list(host.governor_findings([])) == []
    (good,) = host.governor_findings(["performance"])
    assert good.state == "ok"
    (slow,) = host.governor_findings(["performance", "powersave"])
    assert (slow.state, slow.remedy) == ("warning", "sudo cpupower frequency-set -g performance")
