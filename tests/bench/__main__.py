"""`make bench-self`: benchdock measured by its own promises. Exit status 1 where one is missed."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from orchestrator import environments, image_table
from orchestrator.engine import Engine
from orchestrator.paths import PROJECT
from tests import misbehaving
from tests.bench import overhead
from tests.bench.pairs import report


def builder() -> bool:
    """Our PyTorch networks against hand-written twins."""
    table = image_table.load()
    python = environments.ensure(table.row("pytorch-cpu"), table, print).python
    twins = Path(__file__).with_name("twins.py")
    kept = True
    with subprocess.Popen(
        [python, twins], stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(PROJECT)}
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            one = json.loads(line)
            name = f"{one['model']} {one['phase']}: hand-written twin / ours"
            kept &= report(name, one["ratio"], 0.98, "x", at_least=True)
    return kept and process.returncode == 0


def main() -> int:
    """Run every part; parts named on the command line alone where there are any."""
    wanted = sys.argv[1:] or ["start_up", "container", "flood", "silence", "builder"]
    kept = True
    with tempfile.TemporaryDirectory() as folder:
        environment = overhead.home(Path(folder))
        if "start_up" in wanted:
            kept &= overhead.start_up()
        if {"container", "flood", "silence"} & set(wanted):
            with Engine.connect() as engine, misbehaving.image(engine) as image:
                for part in (overhead.container, overhead.flood, overhead.silence):
                    if part.__name__ in wanted:
                        kept &= part(image, environment)
        if "builder" in wanted:
            kept &= builder()
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
