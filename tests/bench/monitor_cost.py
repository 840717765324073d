"""What the monitor costs: CPU time per GPU over the stand-in of NVML, and paired runs on the CPU.

    python -m tests.bench.monitor_cost stub         # 0, 1 and 8 GPUs, 30 seconds each
    python -m tests.bench.monitor_cost turns 20000  # on and off beside so many steps of deep_mnist

The stand-in takes as long for each call as a driver: 90 us for four metrics on an RTX 5080 were
measured by others. After each pause the caches are cold, so a busy machine shows several times the
cost of a quiet one.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from orchestrator import stats
from orchestrator.paths import RunFolder, runs
from orchestrator.student import quantile_95
from orchestrator.units import counted
from tests.nvml.stub import ROOT, TWO_GPUS, Stub

SECONDS = 30.0
ALLOWED = 0.5  # % of a core per GPU
LATENCIES = (23, 100)  # us
FIELDS = "".join(f"*.field.{n}=0~1000\n" for n in (3, 4, 31, 74, 76, 83, 94, 144, 145, 186, 230))
WORDS = ("deep_mnist", "-f", "pytorch", "--phase", "training", "--gpus", "none", "--batch", "8")
TAG = "::benchdock "
WINDOW = 2.0  # s; the host is looked at once a second
FEWEST_STEPS = 10  # in a window

WATCH = """
import json, sys, time
from pathlib import Path
from orchestrator.machine.monitor import Monitor
folder, uuids = Path(sys.argv[1]), sys.argv[3:]
with Monitor(folder / "m", gpus=uuids) as watching:
    time.sleep(float(sys.argv[2]))
print(json.dumps({name: one.value for name, one in watching.summary().items()}))
"""

# Both windows of a pair follow each other in an order that is drawn.
TURNS = f"""
import json, random, sys, time
from pathlib import Path
from orchestrator.machine.monitor import Monitor
folder, drawn, number = Path(sys.argv[1]), random.Random(1), 0
with Path(sys.argv[2]).open("w") as file:
    while True:
        for on in drawn.sample((True, False), 2):
            begin = time.monotonic()
            if on:
                number += 1
                with Monitor(folder / str(number), gpus=["GPU-0"], baseline=0.0):
                    time.sleep({WINDOW})
            else:
                time.sleep({WINDOW})
            print(json.dumps((begin, time.monotonic(), on)), file=file, flush=True)
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
    """Turn the monitor on and off beside one long run; return whether it costs too much.

    Runs that follow each other differ by 10 % and more on a shared machine, windows of one run by
    much less. The monitor is that of this process, with the host and one GPU of the stand-in.
    """
    with tempfile.TemporaryDirectory() as name:
        stub = Stub.build(Path(name))
        stub.answer(f"{TWO_GPUS}{FIELDS}latency={LATENCIES[0]}\ncount=1\n0.uuid=GPU-0\n")
        environment = {"LD_LIBRARY_PATH": str(stub.folder), "NVML_STUB": str(stub.answers)}
        windows = Path(name) / "windows"
        program = [sys.executable, "-c", TURNS, name, str(windows)]
        with subprocess.Popen(
            program, env=os.environ | environment | {"PYTHONPATH": str(ROOT)}
        ) as turning:
            try:
                timed = _steps(steps, more)
            finally:
                turning.terminate()
        logs = _pairs(timed, [json.loads(line) for line in windows.read_text().splitlines()])
    mean = stats.mean(logs)
    half = quantile_95(len(logs) - 1) * stats.standard_deviation(logs) / math.sqrt(len(logs))
    print(
        f"throughput with / without monitor: {100 * mean:+.2f} % (95 % interval "
        f"{100 * (mean - half):+.2f} to {100 * (mean + half):+.2f} %, {len(logs)} pairs of "
        f"{WINDOW:.0f} s)"
    )
    return mean - half >= -ALLOWED / 100 and mean + half <= ALLOWED / 100


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


def _pairs(
    timed: list[tuple[float, float]], windows: list[tuple[float, float, bool]]
) -> list[float]:
    """Return the logarithm of throughput on / off of each two windows after each other."""
    means: dict[int, tuple[bool, float]] = {}
    for number, (begin, end, on) in enumerate(windows):
        within = [last - first for first, last in timed if begin <= first and last <= end]
        if len(within) >= FEWEST_STEPS:
            means[number] = (on, stats.mean(within))
    logs = []
    for number in range(0, len(windows) - 1, 2):
        pair = dict(means[one] for one in (number, number + 1) if one in means)
        if len(pair) == 2:
            logs.append(math.log(pair[False] / pair[True]))
    return logs


if __name__ == "__main__":
    what, *rest = sys.argv[1:] or ["stub"]
    if what == "stub":
        sys.exit(0 if over_stub() else 1)
    sys.exit(0 if in_turns(int(rest[0]), tuple(rest[1:])) else 1)
