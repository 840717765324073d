from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.machine.gpu_facts import (
    GpuGoneError,
    GpuHealth,
    GpuProcess,
    GpuPulse,
    GpuSample,
)
from orchestrator.machine.host_samples import HostSample, HostSource
from orchestrator.machine.monitor import Monitor
from orchestrator.machine.own_work import OwnWork, Usage
from tests.support.waiting import wait_for

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
    """GPUs whose pulses come from a function of uuid and count."""

    def __init__(self, look: Callable[[str, int], GpuPulse]) -> None:
        self.look = look
        self.counts: dict[str, int] = {}
        self.users: tuple[GpuProcess, ...] = ()

    def name(self, uuid: str) -> str:
        return f"gpu{uuid.rpartition('-')[2]}"

    def pulse(self, uuid: str) -> Callable[[], GpuPulse]:
        self.counts[uuid] = self.counts.get(uuid, 0) + 1
        pulse = self.look(uuid, self.counts[uuid])
        return lambda: pulse

    def sample(self, uuid: str) -> GpuSample:
        return GpuSample(utilisation=0.0, temperature=50, processes=self.users)

    def health(self, uuid: str) -> GpuHealth:
        return GpuHealth()

    def errors(self, uuid: str) -> dict[str, tuple[str, int]]:
        return {}

    def latencies(self, uuid: str) -> dict[int, int]:
        return {83: 7}

    def bus_id(self, uuid: str) -> str:
        return ""

    def register(self, uuids: tuple[str, ...]) -> None:
        pass

    def events(self) -> tuple[tuple[str, int], ...]:
        return ()

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
        gpu_interval=0.01,
        baseline=0.0,
        gpu_source=lambda: gpus,
        host_source=lambda: source,
    )


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
    source = HostSource(tmp_path, tmp_path)
    tell("cpu  130 0 120 840 0 0 0 10 0 0\ncpu0 1 2 3\n")
    sample = source.sample()
    assert (sample.load, sample.cpu, sample.steal) == (3.1, 0.5, 0.1)
    assert sample.memory_available == 40 * 1024
    assert source.sample().cpu == 0  # no time passed: nothing is divided by zero
    source.close()


def test_what_the_kernel_counts_becomes_rates(tmp_path: Path) -> None:
    def tell(waited: int, pages: int) -> None:
        (tmp_path / "pressure" / "cpu").write_text(
            f"some avg10=0.00 total={waited}\nfull total=0\n"
        )
        (tmp_path / "vmstat").write_text(f"nr_free 1\npgpgin {pages}\npgpgout 5\n")

    (tmp_path / "pressure").mkdir()
    (tmp_path / "loadavg").write_text("0.10 1.00 0.50 2/300 4242\n")
    (tmp_path / "meminfo").write_text("MemAvailable: 40 kB\n")
    (tmp_path / "stat").write_text("cpu  100 0 100 800 0 0 0 0 0 0\n")
    tell(1_000_000, 100)
    began = time.monotonic()
    source = HostSource(tmp_path, tmp_path)
    time.sleep(0.05)
    tell(1_020_000, 200)
    sample = source.sample()
    seconds = time.monotonic() - began
    assert sample.pressure_cpu is not None
    assert sample.disk is not None
    assert 0.02 / seconds <= sample.pressure_cpu <= 0.02 / 0.05
    assert 100 * 1024 / seconds <= sample.disk <= 100 * 1024 / 0.05
    assert (sample.pressure_io, sample.cpu_power, sample.program_cpu) == (None, None, None)
    source.close()


def test_power_and_clock_where_they_are_readable(tmp_path: Path) -> None:
    files = {
        "class/powercap/intel-rapl:0/name": "package-0",
        "class/powercap/intel-rapl:0/energy_uj": "999000000",
        "class/powercap/intel-rapl:0/max_energy_range_uj": "1000000000",
        "class/powercap/intel-rapl:0:0/name": "core",
        "class/powercap/intel-rapl:0:0/energy_uj": "5",
        "class/hwmon/hwmon3/name": "power_meter",
        "class/hwmon/hwmon3/power1_average": "412000000",
        "devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "2400000",
        "devices/system/cpu/cpufreq/policy1/scaling_cur_freq": "2600000",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    source = HostSource(sys=tmp_path)
    began = time.monotonic()
    assert source.sample().cpu_power is None  # it is unknown since when
    (tmp_path / "class/powercap/intel-rapl:0/energy_uj").write_text("1000000")  # started again
    time.sleep(0.02)
    sample = source.sample()
    assert sample.cpu_power is not None
    assert 2 / (time.monotonic() - began) <= sample.cpu_power <= 2 / 0.02
    assert (sample.machine_power, sample.cpu_clock) == (412.0, 2500.0)
    source.close()


def test_the_program_is_told_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    used = 0.02
    work = OwnWork(os.getpid())
    monkeypatch.setattr(OwnWork, "usage", lambda _: Usage(cpu=used, memory=77))
    source = HostSource()
    time.sleep(0.05)
    source.watch(work)  # some time after it has started, just before a sample
    sample = source.sample()
    assert sample.program_memory == 77
    assert sample.program_cpu is not None
    assert 0 < sample.program_cpu <= 0.02 / 0.05 / (os.cpu_count() or 1)
    assert sample.others_cpu is not None
    assert sample.others_cpu <= sample.cpu
    source.close()


def test_others_that_come_during_the_run_are_said(tmp_path: Path) -> None:
    busy = HostSample(load=1, cpu=0.9, steal=0, memory_available=1, others_cpu=0.3)
    with monitor(tmp_path / "m", host(), busy) as watching:
        pass
    text = "other processes used 30 % of the CPU during the run"
    assert watching.warnings() == (text,)
    assert watching.seen().busy_during == text


def test_what_others_did_before_leaves_out_what_we_did(monkeypatch: pytest.MonkeyPatch) -> None:
    own = 5.0
    monkeypatch.setattr("orchestrator.machine.host_samples._own_cpu", lambda: own)
    source = HostSource()
    monkeypatch.setattr(source, "_without_power", lambda: host(0.9))
    own = 5.0 + 0.1
    waited = source.before(0.2)
    cores = os.cpu_count() or 1
    assert waited.cpu == pytest.approx(0.9 - 0.1 / 0.2 / cores, abs=0.1)
    source.close()


def test_summary_is_of_the_timed_stage(tmp_path: Path) -> None:
    path = tmp_path / "m"
    gpus = FakeGpus(lambda uuid, count: GpuPulse(power=100.0 if count == 1 else 300.0))
    with monitor(path, gpus=gpus) as watching:
        wait_for(lambda: gpus.counts.get("GPU-2", 0) >= 1)
        watching.stage("timing")
        wait_for(lambda: gpus.counts.get("GPU-2", 0) >= 4)
        watching.stage("done")
    found = watching.summary()
    assert found["gpu2.power.min"].value == found["gpu2.power.max"].value == 300.0
    assert found["gpu2.power.mean"].unit == "W"
    assert "gpu2.memory_used.mean" not in found


def test_summary_is_of_everything_without_a_timed_stage(tmp_path: Path) -> None:
    with monitor(tmp_path / "m", host(0.0), host(0.2), host(0.4)) as watching:
        pass
    assert watching.summary()["cpu.max"].value == pytest.approx(20.0)  # the first was the baseline


def test_the_window_is_the_programs_own(tmp_path: Path) -> None:
    """Its edges come from the program's clock, late: only what was within them counts."""
    begin = time.monotonic()
    gpus = FakeGpus(lambda uuid, count: GpuPulse(power=time.monotonic() - begin))
    with monitor(tmp_path / "m", gpus=gpus) as watching:
        wait_for(lambda: gpus.counts.get("GPU-2", 0) >= 20)
        now = time.monotonic()
        window = (now - 0.1, now - 0.05)
        watching.stage("timing", window)
        watching.stage("done", window)
    found = watching.summary()
    assert found["window"].value == pytest.approx(0.05)
    assert window[0] - begin - 0.01 <= found["gpu1.power.min"].value
    assert found["gpu1.power.max"].value <= window[1] - begin + 0.01


def test_a_window_of_another_clock_is_not_believed(tmp_path: Path) -> None:
    with monitor(tmp_path / "m") as watching:
        for nonsense in ((0.0, 1.0), (1e12, 2e12)):
            watching.stage("timing", nonsense)
            time.sleep(0.02)
        watching.stage("done")
    assert 0.02 <= watching.summary()["window"].value < 5


def test_energy_is_that_between_the_edges(tmp_path: Path) -> None:
    """Of a counter that grows by 300 W, whatever the edges are between two reads."""
    gpus = FakeGpus(lambda uuid, count: GpuPulse(energy=300 * time.monotonic()))
    with monitor(tmp_path / "m", gpus=gpus) as watching:
        wait_for(lambda: gpus.counts.get("GPU-2", 0) >= 20)
        now = time.monotonic()
        watching.stage("timing", (now - 0.137, now - 0.021))
    assert watching.summary()["gpu1.energy"].value == pytest.approx(300 * 0.116, rel=0.02)


def test_energy_without_a_counter_is_estimated(tmp_path: Path) -> None:
    gpus = FakeGpus(lambda uuid, count: GpuPulse(power=200.0, energy=None))
    with monitor(tmp_path / "m", gpus=gpus) as watching:
        wait_for(lambda: gpus.counts.get("GPU-2", 0) >= 20)
        now = time.monotonic()
        watching.stage("timing", (now - 0.1, now))
    found = watching.summary()
    assert "gpu1.energy" not in found
    assert found["gpu1.energy_estimated"].value == pytest.approx(20.0)


def test_power_at_rest_is_that_before_anything_uses_the_gpu(tmp_path: Path) -> None:
    gpus = FakeGpus(lambda uuid, count: GpuPulse(power=70.0 if not gpus.users else 500.0))
    with monitor(tmp_path / "m", gpus=gpus) as watching:
        wait_for(lambda: gpus.counts.get("GPU-2", 0) >= 30)
        gpus.users = (GpuProcess(pid=1, memory=None),)
        wait_for(lambda: gpus.counts.get("GPU-2", 0) >= 60)
    assert watching.summary()["gpu1.power_idle"].value == 70.0


@pytest.mark.parametrize(("reason", "warned"), [("power cap", 0), ("hardware power brake", 1)])
def test_throttling_is_said_with_its_share(tmp_path: Path, reason: str, warned: int) -> None:
    """The limits of a busy GPU are no warning."""

    def look(uuid: str, count: int) -> GpuPulse:
        return GpuPulse(reasons=(reason,) if uuid == "GPU-1" and count % 2 else ())

    gpus = FakeGpus(look)
    with monitor(tmp_path / "m", gpus=gpus) as watching:
        wait_for(lambda: gpus.counts.get("GPU-2", 0) >= 20)
    warnings = watching.warnings()
    assert len(warnings) == warned
    for warning in warnings:
        assert warning.startswith(f"GPU 1 was throttled by {reason} for ")
        assert warning.endswith(" % of the samples")
    share = watching.summary()[f"gpu1.throttled.{reason.replace(' ', '_')}"]
    assert 45 <= share.value <= 60
    assert share.unit == "%"


def test_the_drivers_counter_wins_over_samples(tmp_path: Path) -> None:
    """A brake for a twentieth of the time, of which no sample saw anything."""

    def look(uuid: str, count: int) -> GpuPulse:
        return GpuPulse(reasons=(), counted={"hardware power brake": 0.05 * time.monotonic()})

    gpus = FakeGpus(look)
    with monitor(tmp_path / "m", gpus=gpus) as watching:
        wait_for(lambda: gpus.counts.get("GPU-2", 0) >= 20)
        now = time.monotonic()
        watching.stage("timing", (now - 0.15, now - 0.02))
    (one, _) = watching.seen().throttling
    assert one.counted
    assert one.share == pytest.approx(0.05, rel=0.02)
    told = r".*hardware power brake for (4\.9|5)(\.?\d*) % of the time"
    assert re.fullmatch(told, watching.warnings()[0])


def test_a_counter_that_was_reset_says_nothing(tmp_path: Path) -> None:
    gpus = FakeGpus(lambda uuid, count: GpuPulse(energy=1000.0 - count))
    with monitor(tmp_path / "m", gpus=gpus) as watching:
        wait_for(lambda: gpus.counts.get("GPU-2", 0) >= 10)
    assert "gpu1.energy" not in watching.summary()


def test_a_lost_gpu_ends_its_sampling_and_nothing_else(tmp_path: Path) -> None:
    def look(uuid: str, count: int) -> GpuPulse:
        if uuid == "GPU-1" and count == 2:
            raise GpuGoneError("GPU is lost")
        return GpuPulse(sm_clock=1700)

    gpus, path = FakeGpus(look), tmp_path / "m"
    with monitor(path, gpus=gpus) as watching:
        wait_for(lambda: gpus.counts.get("GPU-2", 0) >= 6)
    assert gpus.counts["GPU-1"] == 2
    assert watching.warnings() == ("GPU 1 stopped answering the monitor: GPU is lost",)
    assert watching.summary()["gpu1.sm_clock.max"].value == 1700
    last = [line for line in lines(path) if "gpu2" in line][-1]
    assert "gpu1" not in last


def test_a_gpu_that_answers_nothing_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.machine.gpu_watch.SILENT_SECONDS", 0.05)
    gpus = FakeGpus(lambda uuid, count: GpuPulse(sm_clock=None if uuid == "GPU-1" else 1))
    with monitor(tmp_path / "m", gpus=gpus) as watching:
        wait_for(lambda: gpus.counts.get("GPU-2", 0) >= 20)
    (silent,) = watching.seen().silent
    assert silent == "GPU 1 stopped answering the monitor: no metric is available"


def test_a_slow_gpu_does_not_starve_the_other(tmp_path: Path) -> None:
    """A round has a deadline; GPUs that it did not reach come first in the next one."""

    def look(uuid: str, count: int) -> GpuPulse:
        time.sleep(0.02)  # two rounds
        return GpuPulse(sm_clock=1)

    gpus = FakeGpus(look)
    with monitor(tmp_path / "m", gpus=gpus):
        wait_for(lambda: sum(gpus.counts.values()) >= 10)
    assert abs(gpus.counts["GPU-1"] - gpus.counts["GPU-2"]) <= 1


def test_foreign_processes_during_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = FakeGpus(lambda uuid, count: GpuPulse())
    monkeypatch.setattr(OwnWork, "owns", lambda _, pid: {7: True, 8: False}.get(pid))
    with monitor(tmp_path / "m", gpus=gpus) as watching:
        watching.started(os.getpid())
        gpus.users = tuple(GpuProcess(pid=pid, memory=None) for pid in (7, 8, 9))
        wait_for(lambda: gpus.counts.get("GPU-2", 0) >= 30)
    joined = watching.seen().joined
    assert joined[0] == "GPU 1 was used by others during the run (process 8)"
    assert set(joined) <= set(watching.warnings())


def test_no_nvml(tmp_path: Path) -> None:
    def refuse() -> FakeGpus:
        raise GpuGoneError("Driver Not Loaded")

    path = tmp_path / "m"
    watching = Monitor(path, gpus=("GPU-1",), interval=0.01, baseline=0.0, gpu_source=refuse)
    with watching:
        wait_for(lambda: path.read_text().count("\n") > 2)
    assert "the GPUs were not monitored: Driver Not Loaded" in watching.warnings()


def test_who_else_uses_the_gpu(tmp_path: Path) -> None:
    gpus = FakeGpus(lambda uuid, count: GpuPulse())
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
    gpus = FakeGpus(lambda uuid, count: GpuPulse(sm_clock=50))
    with monitor(tmp_path / "m", host(), OSError("gone"), gpus=gpus) as watching:
        wait_for(lambda: gpus.counts.get("GPU-2", 0) >= 3)
    assert watching.warnings() == ("the host was no longer monitored: gone",)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_costs_the_file_and_not_the_summary() -> None:
    gpus = FakeGpus(lambda uuid, count: GpuPulse(sm_clock=50))
    with monitor(Path("/dev/full"), gpus=gpus) as watching:
        wait_for(lambda: gpus.counts.get("GPU-2", 0) >= 3)
    assert watching.warnings() == ("full is incomplete: No space left on device",)
    assert watching.summary()["gpu2.sm_clock.max"].value == 50


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with monitor(tmp_path / "absent" / "m") as watching:
        pass
    assert watching.warnings() == ("m is incomplete: No such file or directory",)


def test_a_driver_that_hangs_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.machine.monitor.JOIN_SECONDS", 0.1)
    released: list[bool] = []

    def hang(uuid: str, count: int) -> GpuPulse:
        while count > 5 and not released:
            time.sleep(0.01)
        return GpuPulse(power=100.0 * count)

    gpus = FakeGpus(hang)
    with monitor(tmp_path / "m", gpus=gpus) as watching:
        wait_for(lambda: 6 in gpus.counts.values())
    told, found = watching.warnings(), watching.summary()
    released.append(True)
    assert told == ("the GPU driver did not answer the monitor at the end of the run",)
    assert found["cpu.mean"].value == 0.0  # the host was watched all the same
    assert found["gpu1.power.max"].value == 500.0  # what it answered before counts


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
