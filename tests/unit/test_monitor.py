from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.machine.gpu import GpuGoneError, GpuProcess, GpuSample
from orchestrator.machine.host_samples import HostSample, HostSource
from orchestrator.machine.monitor import Monitor
from orchestrator.machine.tally import Tally

UUID = "GPU-1"


class FakeHost(HostSource):
    def __init__(self, *samples: HostSample | OSError) -> None:
        self.samples = list(samples)
        self.closed = False

    def sample(self) -> HostSample:
        sample = self.samples.pop(0) if len(self.samples) > 1 else self.samples[0]
        if isinstance(sample, OSError):
            raise sample
        return sample

    def before(self, window: float) -> HostSample:
        return self.sample()

    def close(self) -> None:
        self.closed = True


class FakeGpus:
    """GPUs whose samples come from a function of uuid and count."""

    def __init__(self, look: Callable[[str, int], GpuSample]) -> None:
        self.look = look
        self.counts: dict[str, int] = {}
        self.users: tuple[GpuProcess, ...] = ()

    def index(self, uuid: str) -> int:
        return int(uuid.rpartition("-")[2])

    def sample(self, uuid: str) -> GpuSample:
        self.counts[uuid] = self.counts.get(uuid, 0) + 1
        return self.look(uuid, self.counts[uuid])

    def processes(self, uuid: str) -> tuple[GpuProcess, ...]:
        return self.users

    def close(self) -> None:
        pass


def host(cpu: float = 0.0, *, load: float = 0.5, steal: float = 0.0) -> HostSample:
    return HostSample(load=load, cpu=cpu, steal=steal, memory_available=1000)


def monitor(path: Path, *samples: HostSample | OSError, gpus: FakeGpus | None = None) -> Monitor:
    source = FakeHost(*(samples or (host(),)))
    return Monitor(
        path,
        gpus=("GPU-1", "GPU-2") if gpus else (),
        interval=0.01,
        baseline=0.0,
        gpu_source=lambda: gpus,
        host_source=lambda: source,
    )


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 5 s"
        time.sleep(0.005)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "monitor.jsonl"
    with Monitor(path, interval=0.05, baseline=0.05) as watching:
        wait_for(lambda: path.read_text().count("\n") > 3)
    head, *rest = lines(path)
    assert head["schema"] == 1
    assert head["units"]["memory_available"] == "bytes"
    assert rest[0]["stage"] == "starting"
    found = watching.summary()
    assert 0 <= found["cpu.min"].value <= found["cpu.mean"].value <= found["cpu.max"].value <= 100
    assert found["memory_available.min"].unit == "bytes"


def test_host_shares(tmp_path: Path) -> None:
    def tell(stat: str) -> None:
        (tmp_path / "stat").write_text(stat)

    (tmp_path / "loadavg").write_text("3.10 1.00 0.50 2/300 4242\n")
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemAvailable: 40 kB\n")
    tell("cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 2 3\n")
    source = HostSource(tmp_path)
    tell("cpu  130 0 120 840 0 0 0 10 0 0\ncpu0 1 2 3\n")
    assert source.sample() == HostSample(load=3.1, cpu=0.5, steal=0.1, memory_available=40 * 1024)
    assert source.sample().cpu == 0  # no time passed: nothing is divided by zero
    source.close()


def test_what_others_did_before_leaves_out_what_we_did(monkeypatch: pytest.MonkeyPatch) -> None:
    own = 5.0
    monkeypatch.setattr("orchestrator.machine.host_samples._own_cpu", lambda: own)
    source = HostSource()
    monkeypatch.setattr(source, "sample", lambda: host(0.9))
    own = 5.0 + 0.1
    waited = source.before(0.2)
    cores = os.cpu_count() or 1
    assert waited.cpu == pytest.approx(0.9 - 0.1 / 0.2 / cores, abs=0.1)
    source.close()


def test_summary_is_of_the_timed_stage(tmp_path: Path) -> None:
    path = tmp_path / "m"
    gpus = FakeGpus(lambda uuid, count: GpuSample(power=100.0 if count == 1 else 300.0))
    with monitor(path, gpus=gpus) as watching:
        wait_for(lambda: gpus.counts.get("GPU-2", 0) >= 1)
        watching.stage("timing")
        wait_for(lambda: gpus.counts.get("GPU-2", 0) >= 4)
    found = watching.summary()
    assert found["gpu1.power.min"].value == found["gpu1.power.max"].value == 300.0
    assert found["gpu1.power.mean"].unit == "W"
    assert "gpu1.temperature.mean" not in found


def test_summary_is_of_everything_without_a_timed_stage(tmp_path: Path) -> None:
    with monitor(tmp_path / "m", host(0.0), host(0.2), host(0.4)) as watching:
        pass
    assert watching.summary()["cpu.max"].value == pytest.approx(20.0)  # the first was the baseline


def test_energy_is_the_difference() -> None:
    tally = Tally()
    for energy in (1000.0, 1010.0, 1040.0):
        tally.gpu("gpu0", GpuSample(energy=energy))
    assert tally.metrics()["gpu0.energy"].value == 40.0


def test_throttling_is_said_with_its_share(tmp_path: Path) -> None:
    def look(uuid: str, count: int) -> GpuSample:
        return GpuSample(throttle=("power cap",) if uuid == "GPU-1" and count % 2 else ())

    gpus = FakeGpus(look)
    with monitor(tmp_path / "m", gpus=gpus) as watching:
        wait_for(lambda: gpus.counts.get("GPU-2", 0) >= 10)
    (warning,) = watching.warnings()
    assert warning.startswith("GPU 1 was throttled by power cap for 5")
    assert warning.endswith(" % of the samples")
    share = watching.summary()["gpu1.throttled.power_cap"]
    assert 45 <= share.value <= 60
    assert share.unit == "%"


def test_a_lost_gpu_ends_its_sampling_and_nothing_else(tmp_path: Path) -> None:
    def look(uuid: str, count: int) -> GpuSample:
        if uuid == "GPU-1" and count == 2:
            raise GpuGoneError("GPU is lost")
        return GpuSample(temperature=60)

    gpus, path = FakeGpus(look), tmp_path / "m"
    with monitor(path, gpus=gpus) as watching:
        wait_for(lambda: gpus.counts.get("GPU-2", 0) >= 6)
    assert gpus.counts["GPU-1"] == 2
    assert watching.warnings() == ("GPU 1 stopped answering the monitor: GPU is lost",)
    assert watching.summary()["gpu1.temperature.max"].value == 60
    assert "gpu1" not in lines(path)[-1]
    assert "gpu2" in lines(path)[-1]


def test_no_nvml(tmp_path: Path) -> None:
    def refuse() -> FakeGpus:
        raise GpuGoneError("Driver Not Loaded")

    path = tmp_path / "m"
    watching = Monitor(path, gpus=("GPU-1",), interval=0.01, baseline=0.0, gpu_source=refuse)
    with watching:
        wait_for(lambda: path.read_text().count("\n") > 2)
    assert "the GPUs were not monitored: Driver Not Loaded" in watching.warnings()


def test_who_else_uses_the_gpu(tmp_path: Path) -> None:
    gpus = FakeGpus(lambda uuid, count: GpuSample())
    gpus.users = (GpuProcess(pid=7, memory=None), GpuProcess(pid=8, memory=1))
    with monitor(tmp_path / "m", gpus=gpus) as watching:
        pass
    assert "GPU 1 was in use before the run (process 7, 8)" in watching.warnings()


def test_a_busy_machine_is_said(tmp_path: Path) -> None:
    with monitor(tmp_path / "m", host(0.6, load=3.1), host(1.0)) as watching:
        pass
    (warning,) = watching.warnings()
    cores = os.cpu_count()
    assert warning == (
        f"other processes used 60 % of the CPU before the run: load 3.1 on {cores} cores"
    )


def test_steal_is_said(tmp_path: Path) -> None:
    with monitor(tmp_path / "m", host(), host(steal=0.25)) as watching:
        pass
    (warning,) = watching.warnings()
    assert warning == "other virtual machines took 25 % of this one's CPU time"


def test_a_host_that_can_no_longer_be_read(tmp_path: Path) -> None:
    gpus = FakeGpus(lambda uuid, count: GpuSample(temperature=50))
    with monitor(tmp_path / "m", host(), OSError("gone"), gpus=gpus) as watching:
        wait_for(lambda: gpus.counts.get("GPU-2", 0) >= 3)
    assert watching.warnings() == ("the host was no longer monitored: gone",)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_costs_the_file_and_not_the_summary() -> None:
    gpus = FakeGpus(lambda uuid, count: GpuSample(temperature=50))
    with monitor(Path("/dev/full"), gpus=gpus) as watching:
        wait_for(lambda: gpus.counts.get("GPU-2", 0) >= 3)
    assert watching.warnings() == ("full is incomplete: No space left on device",)
    assert watching.summary()["gpu2.temperature.max"].value == 50


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with monitor(tmp_path / "absent" / "m") as watching:
        pass
    assert watching.warnings() == ("m is incomplete: No such file or directory",)


def test_a_driver_that_hangs_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.machine.monitor.JOIN_SECONDS", 0.1)
    released: list[bool] = []

    def hang(uuid: str, count: int) -> GpuSample:
        while not released:
            time.sleep(0.01)
        return GpuSample()

    gpus = FakeGpus(hang)
    with monitor(tmp_path / "m", gpus=gpus) as watching:
        wait_for(lambda: gpus.counts != {})
    told = watching.warnings()
    released.append(True)
    assert told == ("the GPU driver did not answer the monitor at the end of the run",)


def test_stop_twice(tmp_path: Path) -> None:
    with monitor(tmp_path / "m") as watching:
        watching.stop()
    assert watching.warnings() == ()


@pytest.mark.slow
def test_it_costs_little(tmp_path: Path) -> None:
    """At one sample a second, 3 ms of CPU a sample are the 0.3 % of a core that are allowed."""
    path = tmp_path / "m"
    watching = Monitor(path, interval=0.005, baseline=0.0)
    begin = time.process_time()
    with watching:
        wait_for(lambda: path.stat().st_size > 10_000)
    cost = time.process_time() - begin
    assert cost / path.read_text().count("\n") < 0.003
