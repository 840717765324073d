"""`make bench-self`: measures benchdock against its promises. Exit status 1 if one is missed.

BENCH_CLOCK=cpu compares the networks in CPU seconds: other programs hardly disturb those.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from orchestrator.images import image_table, store
from orchestrator.paths import PROJECT
from orchestrator.runtimes.docker.client import Engine
from tests import misbehaving
from tests.bench import overhead, suites
from tests.bench.pairs import report

OVERHEADS = ("start_up", "container", "session", "flood", "silence")
# Per framework: the image, the module of tests.bench.twins, its arguments.
TWINS = {
    "pytorch": ("pytorch-cpu", "pytorch"),
    "tensorflow": ("tensorflow-cpu", "tensorflow"),
    "tensorflow1": ("tensorflow1-cpu", "tensorflow1"),
    "mxnet": ("mxnet-cpu", "mxnet"),
    "caffe2": ("legacy-cpu", "caffe2"),
    "bvlc_caffe": ("legacy-cpu", "caffe"),
    "onnxruntime": ("onnxruntime-cpu", "onnx", "onnxruntime"),
    "openvino": ("openvino-cpu", "onnx", "openvino"),
}


def builder(framework: str, engine: Engine) -> bool:
    """Our networks of a framework against the twins that people write, in its CPU image."""
    image, module, *words = TWINS[framework]
    table = image_table.load()
    ready = store.ensure(table.image(image), table, engine, store.Policy.AUTO, print)
    argv = [
        "docker", "run", "--rm", "--network=none", f"--volume={PROJECT}:/project:ro",
        "--workdir=/project", f"--env=OMP_NUM_THREADS={len(os.sched_getaffinity(0))}",
        "--env=PYTHONDONTWRITEBYTECODE=1", "--env=BENCH_CLOCK", ready.reference,
        "python3", "-m", f"tests.bench.twins.{module}", *words,
    ]  # fmt: skip
    kept = True
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                one = json.loads(line)
                name = f"{framework} {one['model']} {one['phase']}: hand-written twin / ours"
                kept &= report(name, one["ratio"], 0.98, "x", at_least=True)
    return kept and process.returncode == 0


def main() -> int:
    """Run every part, or only the parts named on the command line."""
    every = ("plan", *OVERHEADS, *TWINS)
    wanted = sys.argv[1:] or every
    if strange := set(wanted) - {*every}:
        print(f"no such part: {', '.join(strange)}; there are {', '.join(every)}")
        return 2
    kept = "start_up" not in wanted or overhead.start_up()
    if "plan" in wanted:
        with tempfile.TemporaryDirectory() as folder:
            kept &= suites.plan(Path(folder))
    with Engine.connect() as engine:
        if set(OVERHEADS[1:]) & set(wanted):
            kept &= overheads(wanted, engine)
        for framework in TWINS:
            if framework in wanted:
                kept &= builder(framework, engine)
    return 0 if kept else 1


def overheads(wanted: Sequence[str], engine: Engine) -> bool:
    """Measure what benchdock adds to a container."""
    kept = True
    with tempfile.TemporaryDirectory() as folder, misbehaving.image(engine) as image:
        environment = overhead.home(Path(folder))
        for part in (overhead.container, suites.session, overhead.flood, overhead.silence):
            if part.__name__ in wanted:
                kept &= part(image, environment)
    return kept


if __name__ == "__main__":
    sys.exit(main())
