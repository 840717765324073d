"""`make defaults MODELS="resnet50 vgg16"`: are the defaults the best options on this machine?

For each network, framework and phase it tries all combinations of options with `benchdock tune`, by
CPU time, and compares the best sound one with the default. It continues where it was interrupted.
Exit status 1 if a default is more than 3 % slower.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backends.options import BY_FRAMEWORK, why_not
from orchestrator.frameworks.catalogue import OURS
from orchestrator.frameworks.record import Framework
from orchestrator.request import Phase
from tests.bench.pairs import report

BENCHDOCK = str(Path(sys.executable).with_name("benchdock"))
ALLOWED = 1.03
BATCH, STEPS, PASSES = 4, 10, 3
PHASES: tuple[Phase, ...] = ("inference", "training")


def cases() -> Iterator[tuple[Framework, Phase]]:
    """Yield what has options to try on a CPU, in one of our images."""
    for framework in OURS:
        options = BY_FRAMEWORK.get(framework.name, ())
        for phase in PHASES:
            able = any(not why_not(one, phase, "cpu") for one in options)
            if able and "cpu" in framework.images and ("cpu", phase) in framework.dtypes:
                yield framework, phase


def tune(model: str, framework: Framework, phase: Phase) -> dict[str, Any]:
    """Try all combinations, or go on with that; return the document."""
    done = subprocess.run(
        [
            *(BENCHDOCK, "tune", model, "-f", framework.name, "--phase", phase, "--gpus", "none"),
            *("--runtime", "docker", "--batch", str(BATCH), "--steps", str(STEPS), "--all"),
            *("--by", "cpu", "--repeat", str(PASSES), "--resume", "--json", "--quiet"),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{model} {framework.name} {phase} was not tuned: {done.stdout}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def main() -> int:
    """Compare every default with the best."""
    kept = True
    for model in sys.argv[1:] or ("resnet50",):
        for framework, phase in cases():
            best = tune(model, framework, phase)["best"]
            words = " ".join(f"{name}={value}" for name, value in best["options"].items())
            name = f"{model} {framework.name} {phase}: {words or 'nothing better'} / default"
            kept &= report(name, best["ratio"], ALLOWED, "x")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
