"""What the monitor costs: CPU time per GPU over the stand-in of NVML, and paired runs on the CPU.

    python -m tests.bench.monitor_cost stub         # 0, 1 and 8 GPUs, 30 seconds each
    python -m tests.bench.monitor_cost turns 100000  # on and off beside so many steps of deep_mnist

The stand-in takes as long for each call as a driver: 90 us for four metrics on an RTX 5080 were
measured by others. After each pause the caches are cold, so a busy machine shows several times the
cost of a quiet one.
"""

from __future__ import annotations

import bisect
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from backends.harness.events import TAG
from orchestrator import stats
from orchestrator.paths import RunFolder, runs
from orchestrator.student import quantile_95
from orchestrator.units import counted
from tests.nvml.stub import ROOT, TWO_GPUS, Stub

SECONDS = 30.0
ALLOWED = 0.5  # % of a core per GPU
LATENCIES = (23, 100)  # us
FIELDS = "".join(f"*.field.{n}=0~1000\n" for n in (3, 4, 31, 74, 76, 83, 94, 144, 145, 186, 230))
WORDS = ("deep_mnist", "-f", "pytorch", "--phase", "inference", "--gpus", "none", "--batch", "8")
WINDOW = 0.1  # s, one sample of the monitor
FEWEST_STEPS = 2  # in a window
TRIMMED = 0.2  # of the pairs, at each end

WATCH = """
import json, sys, time
from pathlib import Path
from orchestrator.machine.monitor import Monitor
folder, uuids = Path(sys.argv[1]), sys.argv[3:]
with Monitor(folder / "m", gpus=uuids) as watching:
    time.sleep(float(sys.argv[2]))
print(json.dumps({name: one.value for name, one in watching.summary().items()}))
"""

# A monitor that runs until it is killed.
BESIDE = """
import signal, sys
from pathlib import Path
from orchestrator.machine.monitor import Monitor
with Monitor(Path(sys.argv[1]) / "m", gpus=["GPU-0"]):
    signal.pause()
"""


def over_stub() -> bool:
    """Watch some GPUs of the stand-in; return whether each costs what is allowed at most."""
    kept = True
    with tempfile.TemporaryDirectory() as name:
        stub = Stub.build(Path(name))
        for latency in LATENCIES:
            host = _watched(stub, 0, latency)["monitor.cpu"]
            print(f"the host's samples: {host:.3f} % of a core", flush=True)
            for count in (1, 8):
                found = _watched(stub, count, latency)
                part = (found["monitor.cpu"] - host) / count
                good = part < ALLOWED or latency > LATENCIES[0]
                kept = kept and good
                print(
                    f"{counted(count, 'GPU')}, {latency} us per call: {part:.3f} % of a core per "
                    f"GPU, longest pause {1000 * found['monitor.gap']:.0f} ms"
                    f"{'' if good else '  TOO MUCH'}",
                    flush=True,
                )
    return kept


def _watched(stub: Stub, count: int, latency: int) -> dict[str, float]:
    uuids = [f"GPU-{index}" for index in range(count)]
    answers = TWO_GPUS + FIELDS + f"latency={latency}\ncount={count}\n"
    stub.answer(answers + "".join(f"{i}.uuid={uuid}\n" for i, uuid in enumerate(uuids)))
    environment = {"LD_LIBRARY_PATH": str(stub.folder), "NVML_STUB": str(stub.answers)}
    done = subprocess.run(
        [sys.executable, "-c", WATCH, str(stub.folder), str(SECONDS), *uuids],
        env=os.environ | environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


def in_turns(steps: int, more: tuple[str, ...]) -> bool:
    """Stop and continue a monitor beside one long run; return whether it costs too much.

    Runs that follow each other differ by 10 % and more on a shared machine, and so do minutes of
    one run; a tenth of a second and the next one do not. A monitor that is continued takes all its
    samples at once, so this shows more than it costs.
    """
    with tempfile.TemporaryDirectory() as name:
        stub = Stub.build(Path(name))
        stub.answer(f"{TWO_GPUS}{FIELDS}latency={LATENCIES[0]}\ncount=1\n0.uuid=GPU-0\n")
        environment = {"LD_LIBRARY_PATH": str(stub.folder), "NVML_STUB": str(stub.answers)}
        windows: list[tuple[float, float, bool]] = []
        ended = threading.Event()
        program = [sys.executable, "-c", BESIDE, name]
        with subprocess.Popen(
            program, env=os.environ | environment | {"PYTHONPATH": str(ROOT)}
        ) as monitor:
            turning = threading.Thread(target=_turn, args=(monitor.pid, windows, ended))
            turning.start()
            try:
                timed = _steps(steps, more)
            finally:
                ended.set()
                turning.join()
                monitor.kill()
    logs = _logs(timed, windows)
    mean, half = _trimmed(logs)
    print(
        f"throughput with / without monitor: {100 * mean:+.2f} % (95 % interval "
        f"{100 * (mean - half):+.2f} to {100 * (mean + half):+.2f} %, {len(logs)} pairs of windows "
        f"of {WINDOW} s)"
    )
    return mean - half >= -ALLOWED / 100 and mean + half <= ALLOWED / 100


def _trimmed(values: list[float]) -> tuple[float, float]:
    """Return the trimmed mean and half its 95 % interval (Tukey and McLaughlin 1963).

    The monitor samples in every window; a disturbance by others is in few of them, and weighs as
    much as a hundred pairs.
    """
    ordered = sorted(values)
    cut = int(TRIMMED * len(ordered))
    kept = ordered[cut : len(ordered) - cut]
    winsorized = [kept[0]] * cut + kept + [kept[-1]] * cut
    error = stats.standard_deviation(winsorized) / ((1 - 2 * TRIMMED) * math.sqrt(len(ordered)))
    return stats.mean(kept), quantile_95(len(kept) - 1) * error


def _turn(pid: int, windows: list[tuple[float, float, bool]], ended: threading.Event) -> None:
    """Note windows with and without the monitor, in an order that is drawn for each two."""
    drawn = random.Random(1)
    while not ended.is_set():
        for on in drawn.sample((True, False), 2):
            os.kill(pid, signal.SIGCONT if on else signal.SIGSTOP)
            begin = time.monotonic()
            ended.wait(WINDOW)
            windows.append((begin, time.monotonic(), on))


def _steps(steps: int, more: tuple[str, ...]) -> list[tuple[float, float]]:
    """Run the benchmark without a monitor; return begin and end of each step on this clock."""
    argv = [
        sys.executable, "-m", "tests.gpu_check.unmonitored", "run", *WORDS, f"--steps={steps}",
        *more, "--json", "--quiet",
    ]  # fmt: skip
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    log = RunFolder(runs() / json.loads(done.stdout)["run"]).log.read_text("utf-8")
    found = []
    for line in log.splitlines():
        if not line.startswith(TAG) or '"event": "steps"' not in line:
            continue
        told = json.loads(line.removeprefix(TAG))
        begin = told["ended"] - told["block_seconds"]
        for seconds in told["seconds"]:
            found.append((begin, begin + seconds))
            begin += seconds
    return found


def _logs(
    timed: list[tuple[float, float]], windows: list[tuple[float, float, bool]]
) -> list[float]:
    """Return the logarithm of throughput on / off of each two windows that follow each other."""
    begins = [begin for begin, _ in timed]
    logs = []
    for two in zip(windows[::2], windows[1::2], strict=False):
        means = {}
        for begin, end, on in two:
            first = bisect.bisect_left(begins, begin)
            last = bisect.bisect_right(begins, end)
            within = [b - a for a, b in timed[first:last] if b <= end]
            if len(within) >= FEWEST_STEPS:
                means[on] = stats.mean(within)
        if len(means) == 2:
            logs.append(math.log(means[False] / means[True]))
    return logs


if __name__ == "__main__":
    what, *rest = sys.argv[1:] or ["stub"]
    if what == "stub":
        sys.exit(0 if over_stub() else 1)
    sys.exit(0 if in_turns(int(rest[0]), tuple(rest[1:])) else 1)
