"""What a session adds to its runs, and what a plan of 100,000 runs costs."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from orchestrator import stats
from tests.bench import overhead
from tests.bench.pairs import report

BENCHDOCK = str(Path(sys.executable).with_name("benchdock"))
JOBS = 20
NOTHING = """schema: 1
name: nothing
repeat: {repeat}
groups:
  a:
    runs:
      - {{model: deep_mnist, framework: pytorch, batch: 2, steps: 4, gpus: none, runtime: docker,
         image: "{image}"}}
"""
LARGE = """schema: 1
name: large
groups:
  a:
    matrix:
      model: [resnet50, vgg16, alexnet, googlenet, inception3]
      framework: [pytorch, tensorflow, mxnet, caffe2, onnxruntime]
      phase: [training, inference]
      dtype: [float32, float16]
      batch: [{batches}]
      steps: [30, 31, 32, 33, 34, 35, 36, 37, 38, 39]
"""


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def session(image: str, environment: dict[str, str]) -> bool:
    """No-op containers in one session: CPU of benchdock per job, and wall beside `docker run`."""
    folder = Path(environment["BENCHDOCK_HOME"])
    few, many = (_cpu(folder, image, repeat, environment) for repeat in (1, 1 + JOBS))
    kept = report("CPU of a no-op job in a session", (many - few) / JOBS, 0.05, "s")
    (journal,) = folder.glob("sessions/many/journal.jsonl")
    ends = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
    ours = stats.median([one["seconds"] for one in ends if one["event"] == "end"])
    theirs = stats.median([_docker_run(image) for _ in range(9)])
    print(f"      a job {ours:.3f} s, docker run --rm {theirs:.3f} s (medians)")
    name = "a no-op job of a session, added to `docker run --rm`"
    return report(name, ours - theirs, 0.10, "s") & kept


def _cpu(folder: Path, image: str, repeat: int, environment: dict[str, str]) -> float:
    path = folder / f"nothing{repeat}.yaml"
    path.write_text(NOTHING.format(repeat=repeat, image=image), "utf-8")
    before = _children()
    words = (BENCHDOCK, "suite", str(path), "--name", "few" if repeat == 1 else "many")
    subprocess.run(words, check=True, capture_output=True, env=environment)
    return _children() - before


def _docker_run(image: str) -> float:
    began = time.monotonic()
    program = ("bash", "-c", "python3 --batch=2 --model=m")
    subprocess.run(("docker", "run", "--rm", image, *program), check=True, capture_output=True)
    return time.monotonic() - began


def plan(folder: Path) -> bool:
    """A plan of 100,000 runs: CPU and memory of the command, output included."""
    path = folder / "large.yaml"
    path.write_text(LARGE.format(batches=", ".join(map(str, range(1, 101)))), "utf-8")
    before = _children()
    words = (BENCHDOCK, "plan", str(path), "--csv")
    # In a home of its own, because what is known of other runs adds up to half a second.
    environment = overhead.home(folder)
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env=environment)
    kept = report("CPU of `plan` with 100,000 runs", _children() - before, 2.0, "s")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return report("peak memory of that", peak, 300, "MiB") & kept
