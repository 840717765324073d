"""CPU time per image of our readers and of pipelines written by hand, in turn, in their images.

Exit status 1 if our reader has less than 0.95 of the speed of the other one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from orchestrator.data import converting, making
from orchestrator.data.pixels import Recipe
from orchestrator.data.wanted import NATIVE
from orchestrator.frameworks import catalogue
from orchestrator.images import image_table, store
from orchestrator.images.contract import BuildEvent
from orchestrator.machine import inventory
from orchestrator.paths import PROJECT
from orchestrator.runtimes.docker.client import Engine
from tests.bench.pairs import alternate, report
from tests.bench.readers.plain import PIPELINES
from tests.support.datasets import Silent, job

ROUNDS, LEAST = 5, 0.95
SAMPLES, CLASSES = 400, 10


def drain(image: str, framework: str, which: str, folder: Path) -> float:
    """Return CPU microseconds per image of one reader."""
    argv = [
        "docker", "run", "--rm", "--init", "--network=none", "--tmpfs=/tmp", "--shm-size=1g",
        f"--volume={PROJECT}:/project:ro", f"--volume={folder}:/data:ro", "--workdir=/project",
        f"--env=OMP_NUM_THREADS={len(os.sched_getaffinity(0))}",
        "--env=PYTHONDONTWRITEBYTECODE=1", image,
        "python3", "-m", "tests.bench.readers.drain", framework, which, "/data",
    ]  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    told = [line for line in done.stdout.splitlines() if line.startswith("cpu ")]
    if not told:
        sys.exit(f"{framework}, {which}: {done.stdout}{done.stderr}")
    return float(told[-1].split()[1])


def compare(engine: Engine, framework: str, folder: Path) -> bool:
    """Compare the readers of one framework on a dataset."""
    table = image_table.load()
    name = catalogue.framework(framework).images["cpu"]
    ready = store.ensure(table.image(name), table, engine, store.Policy.AUTO, _say)
    image = ready.reference
    pair = alternate(
        lambda: drain(image, framework, "ours", folder),
        lambda: drain(image, framework, "plain", folder),
        ROUNDS,
    )
    mine, theirs = pair.medians
    print(f"      {framework}: {mine:.0f} us per image, by hand {theirs:.0f}", flush=True)
    return report(f"{framework}: by hand / our reader", 1 / pair.ratio, LEAST, "x", at_least=True)


def _say(event: BuildEvent) -> None:
    if event.kind == "stage":
        print(event.text)


def main() -> int:
    """Compare the readers of the frameworks named on the command line, else of all."""
    kept = True
    with tempfile.TemporaryDirectory() as folder, Engine.connect() as engine:
        images = Path(folder, "images")
        Path(folder).chmod(0o755)
        order = making.Order(Recipe(500, 375, CLASSES), SAMPLES)
        making.make(order, images, Silent(), threads=inventory.usable_cpus())
        for framework in sys.argv[1:] or PIPELINES:
            to = NATIVE[framework]
            if to != "images":
                converting.convert(job(images, Path(folder, to), to), Silent())
            kept &= compare(engine, framework, Path(folder, to))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
