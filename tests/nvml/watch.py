"""Runs monitors over the stand-in of NVML, one per scenario; started by a test with the stand-in.

    python -m tests.nvml.watch < scenarios.json

A scenario is what NVML answers before and during the run, and the GPUs of the run. It prints a line
of JSON per scenario: what the verdict is based on, and what it is.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from orchestrator.machine import gpu
from orchestrator.machine.monitor import Monitor
from orchestrator.trust.assessment import assess
from orchestrator.trust.facts import Facts

# Rounds; in every tenth the slow part is read too.
BEFORE, DURING = 2, 12
PATIENCE = 5.0  # s, on a busy machine


def answer(text: str) -> None:
    path = Path(os.environ["NVML_STUB"])
    aside = path.with_suffix(".new")
    aside.write_text(text)
    aside.replace(path)


def wait(watching: Monitor, rounds: int) -> None:
    """Wait for so many rounds of the GPUs' thread, if it runs."""
    gpus, deadline = watching._gpus, time.monotonic() + PATIENCE
    assert gpus is not None
    end = gpus._rounds + rounds
    while gpus._thread.is_alive() and gpus._rounds < end and time.monotonic() < deadline:
        time.sleep(0.002)


def watch(before: str, during: str, gpus: list[str], folder: Path) -> dict[str, Any]:
    answer(before)
    with Monitor(
        folder / "m", gpus=gpus, interval=0.02, gpu_interval=0.01, baseline=0.0
    ) as watching:
        wait(watching, BEFORE)
        watching.started(os.getpid())
        answer(during)
        begin = time.monotonic()
        wait(watching, DURING)
        window = (begin, time.monotonic())
        watching.stage("timing", window)
        watching.stage("done", window)
    names = {f"gpu{one.index}": one.name for one in gpu.report().gpus}
    verdict = assess(Facts(on_cpu=False, seen=watching.seen(), gpus=names))
    return {
        "codes": sorted({(one.code, one.level) for one in verdict.reasons}),
        "texts": [one.text for one in verdict.reasons],
        "summary": {name: metric.value for name, metric in watching.summary().items()},
        "warnings": watching.warnings(),
    }


def main() -> None:
    folder = Path(os.environ["NVML_STUB"]).parent
    for before, during, gpus in json.load(sys.stdin):
        print(json.dumps(watch(before, during, gpus, folder)), flush=True)


if __name__ == "__main__":
    main()
