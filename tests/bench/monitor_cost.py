"""What the monitor costs: CPU time per GPU over the stand-in of NVML, and paired runs on the CPU.

    python -m tests.bench.monitor_cost stub      # 0, 1 and 8 GPUs, 30 seconds each
    python -m tests.bench.monitor_cost pairs 20  # deep_mnist with and without the monitor, in pairs

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
from typing import Any

from orchestrator import stats
from orchestrator.student import quantile_95
from orchestrator.units import counted
from tests.nvml.stub import ROOT, TWO_GPUS, Stub

SECONDS = 30.0
ALLOWED = 0.5  # % of a core per GPU
LATENCIES = (23, 100)  # us
FIELDS = "".join(f"*.field.{n}=0~1000\n" for n in (3, 4, 31, 74, 76, 83, 94, 144, 145, 186, 230))
# Of CPU time, because the machine may be busy.
WORDS = ("deep_mnist", "-f", "pytorch", "--phase", "training", "--gpus", "none", "--threads", "1")
STEPS = ("--steps", "60", "--batch", "8")

WATCH = """
import json, sys, time
from pathlib import Path
from orchestrator.machine.monitor import Monitor
folder, uuids = Path(sys.argv[1]), sys.argv[3:]
with Monitor(folder / "m", gpus=uuids) as watching:
    time.sleep(float(sys.argv[2]))
print(json.dumps({name: one.value for name, one in watching.summary().items()}))
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


def in_pairs(count: int, more: tuple[str, ...]) -> bool:
    """Run the same benchmark with and without the monitor; return whether 0 is in the interval."""
    logs = []
    for number in range(count):
        rates = {}
        for monitored in (number % 2 == 0, number % 2 == 1):
            rates[monitored] = _rate(monitored=monitored, more=more)
        logs.append(math.log(rates[True] / rates[False]))
        print(f"pair {number + 1}: with / without {math.exp(logs[-1]):.4f}", flush=True)
    mean = stats.mean(logs)
    half = (
        quantile_95(count - 1) * stats.standard_deviation(logs) / math.sqrt(count)
        if count > 1
        else math.inf
    )
    print(
        f"throughput with / without monitor: {100 * mean:+.2f} % (95 % interval "
        f"{100 * (mean - half):+.2f} to {100 * (mean + half):+.2f} %, {count} pairs)"
    )
    return abs(mean) <= half


def _rate(*, monitored: bool, more: tuple[str, ...]) -> float:
    program = "orchestrator" if monitored else "tests.gpu_check.unmonitored"
    argv = [sys.executable, "-m", program, "run", *WORDS, *STEPS, *more, "--json", "--quiet"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return float(found["metrics"]["throughput"]["value"])


if __name__ == "__main__":
    what, *rest = sys.argv[1:] or ["stub"]
    if what == "stub":
        sys.exit(0 if over_stub() else 1)
    sys.exit(0 if in_pairs(int(rest[0]), tuple(rest[1:])) else 1)
