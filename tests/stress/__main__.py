"""`make stress`: the long form of the attacks, with its figures. `--engine` hits containers too."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.runtimes.docker.client import Engine
from tests import misbehaving
from tests.stress import answers, arguments, kills, leases, sessions


def measured(name: str, attack: Callable[[], object]) -> None:
    """Carry out one attack and print what came of it."""
    began = time.monotonic()
    found = attack()
    print(f"{name}: {found} in {time.monotonic() - began:.0f} s", flush=True)


def main() -> None:
    """Attack. Raises AssertionError at the first defect, with the seed to repeat it."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__)
    parser.add_argument("--vectors", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=70)
    parser.add_argument("--session-kills", type=int, default=200)
    parser.add_argument("--lease-starts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--engine", action="store_true")
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="benchdock-stress-") as folder:
        root = Path(folder)
        measured("wrong answers", answers.attack)
        home, starts = root / "leases", asked.lease_starts
        measured("starts of runs on GPUs", lambda: leases.attack(starts, asked.seed, home))
        home = root / "kills"
        measured("kills", lambda: kills.attack(asked.kills, asked.seed, home))
        home, hits = root / "sessions", asked.session_kills
        measured("kills of sessions", lambda: sessions.attack(hits, asked.seed, home))
        if asked.engine:
            with Engine.connect() as engine, misbehaving.image(engine) as image:
                more = ["--runtime=docker", f"--image={image}"]
                home = root / "containers"
                measured(
                    "kills of containers",
                    lambda: kills.attack(asked.kills, asked.seed, home, more),
                )
                more_lines = f"  runtime: docker\n  image: {image}"
                home = root / "session-containers"
                measured(
                    "kills of sessions of containers",
                    lambda: sessions.attack(
                        asked.session_kills // 10, asked.seed, home, more_lines
                    ),
                )
                left = [one.name for one in engine.our_containers() if "mine" in one.name]
                sys.exit(f"left behind: {left}") if left else print("no container is left")
        fuzz = root / "arguments"
        fuzz.mkdir()
        measured("arguments", lambda: arguments.attack(asked.vectors, asked.seed, fuzz))


main()
