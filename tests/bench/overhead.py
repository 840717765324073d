"""Overhead of benchdock itself: start-up, a container around nothing, a flood, a silent hour."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.pairs import command, in_turn, report, seconds, spread
from tests.misbehaving import RUN_OPTIONS

BENCHDOCK = str(Path(sys.executable).with_name("benchdock"))
FLOOD = 500_000_000


def start_up() -> bool:
    """`--help` and `models`, against an interpreter that does nothing."""
    nothing = command(sys.executable, "-c", "pass")
    kept = True
    for words, limit in ((("--help",), 0.15), (("models",), 0.30)):
        pair = in_turn(command(BENCHDOCK, *words), nothing, 15)
        ours, theirs = pair.medians
        name = f"benchdock {words[0]} ({pair.ratio:.1f} x `python -c pass`, {theirs:.3f} s)"
        kept &= report(name, ours, limit, "s")
    return kept


def run_words(image: str, behaviour: str, *more: str) -> tuple[str, ...]:
    """Return the command that runs a behaviour of the test image."""
    return (sys.executable, "-m", "tests.misbehaving", "run", *RUN_OPTIONS, f"--image={image}",
            f"--option=behaviour={behaviour}", "--json", *more)  # fmt: skip


def container(image: str, environment: dict[str, str]) -> bool:
    """A run of a program that does nothing, against `docker run --rm` of the same image."""
    words = (BENCHDOCK, "run", *RUN_OPTIONS, f"--image={image}", "--json")
    ours = command(*words, environment=environment)
    program = ("bash", "-c", "python3 --batch=2 --model=m")
    theirs = command("docker", "run", "--rm", image, *program)
    pair = in_turn(ours, theirs, 9)
    print(f"      benchdock {spread(pair.ours)}, docker run --rm {spread(pair.theirs)}")
    return report("a no-op container, added to `docker run --rm`", pair.difference, 0.20, "s")


def flood(image: str, environment: dict[str, str]) -> bool:
    """500 MB of lines from a container to a parsed result: speed, memory, every byte."""
    peak_before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    out = b""

    def run() -> None:
        nonlocal out
        words = run_words(image, "lines")
        out = subprocess.run(words, check=True, capture_output=True, env=environment).stdout

    took = seconds(run)
    result = json.loads(out)
    log = Path(environment["BENCHDOCK_HOME"], "runs", result["run"], "log.txt")
    size = log.stat().st_size
    kept = report("500 MB from container to result", size / took / 1e6, 250, "MB/s", at_least=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    if peak_before / 1024 < peak:
        kept &= report("peak memory of benchdock meanwhile", peak, 150, "MiB")
    kept &= report("bytes of the flood that differ", float(_differs(log)), 0, "")
    log.unlink()
    return kept


def _differs(log: Path) -> bool:
    """Compare the log between its first and its last two lines with what `yes` prints."""
    line = (
        b"a line of a log that nobody tagged, one hundred characters of it with its end, "
        b"which is right here\n"
    )
    expected = hashlib.sha256()
    repeated = line * 10_000
    whole, rest = divmod(FLOOD, len(repeated))
    for _ in range(whole):
        expected.update(repeated)
    expected.update(repeated[:rest])
    found = hashlib.sha256()
    with log.open("rb") as stream:
        stream.readline()
        left = FLOOD
        while left and (block := stream.read(min(left, 1 << 20))):
            found.update(block)
            left -= len(block)
    return found.digest() != expected.digest()


def silence(image: str, environment: dict[str, str]) -> bool:
    """CPU that benchdock takes while a container says nothing, from two runs of unlike length."""
    spent = []
    for timeout in (5, 35):
        words = run_words(image, "stalls", f"--timeout={timeout}")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begin = time.perf_counter()
        subprocess.run(words, check=False, capture_output=True, env=environment)
        wall = time.perf_counter() - begin
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        spent.append((cpu, wall))
    (short_cpu, short_wall), (long_cpu, long_wall) = spent
    share = 100 * (long_cpu - short_cpu) / (long_wall - short_wall)
    return report("CPU of benchdock while a container computes silently", share, 1, "%")


def home(folder: Path) -> dict[str, str]:
    """Return the environment of a benchdock with a home of its own."""
    return {**os.environ, "BENCHDOCK_HOME": str(folder)}
