"""Random argument vectors: none may end in a bug, and no run may stay without result.

Everything is in this process. Programs are replaced by one that prints a line and ends; there is no
engine, and pip fetches nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.arguments.all import build_parser
from orchestrator.cli import main
from orchestrator.errors import ExitStatus
from orchestrator.images import environments
from orchestrator.paths import PROJECT, RunFolder
from orchestrator.run import benchmark
from orchestrator.run.place import Place
from orchestrator.runtimes.contract import Exit
from orchestrator.runtimes.host import host_pip
from orchestrator.runtimes.host.host_pip import PipError

# What looks like a value to some option and is none to another.
# They print a script, take half a minute, write a crontab, and measure without a run.
_LEFT_OUT = ("completion", "demo", "nightly", "probe")
WORDS = (
    "", "0", "1", "-1", "2", "7", "1e9", "1e400", "nan", "inf", "0x10", "1_000", "\u0663", "4g",
    "1k", "-5m", "90s", "10m", "99999999999999999999", "all", "none", "0,1", ",", "0,,1", "auto",
    "host", "docker", "training", "inference", "float32", "float16", "tf32", "bfloat16", "int8",
    "P1", "P2", "resnet50", "resnet18", "vgg16", "alexnet", "deep_mnist", "x", "./x.onnx",
    "x.prototxt", "pytorch", "tensorflow", "mxnet", "caffe2", "custom", "onnxruntime", "openvino",
    "tensorrt", "trtexec", "nvtfcnn", "nvidia_caffe", "tf_cnn_benchmarks", "horovod_pytorch",
    "timm", "caffe_time", "parity", "pytorch-cpu", "python:3", "a/b:c@sha256:0", ":", "UPPER",
    "a b", "a=b", "=", "k=v", "threads=1", "echo 1", "echo 'fps=1'", "echo '", "{batch} {model}",
    "{nope}", "{", "a\nb", "\x00", "\x1b[31m", "\udcff", "\u2028", "x" * 5000, "/", "/dev/null",
    "/dev/zero", ".", "..", "/absent", "~nouser/x", "(.*)", "(", "fps=(.)", "(a+)+$", "(?P<x>",
    "samples/s", "last", "mean", "bash", "zsh", "claim.yaml", "--", "-", "-h", "--help",
    "--version", "--json", "--dry-run", "--quiet", "--verbose", "--fore",
)  # fmt: skip
# Taken together these make runs that start.
RUNS = (
    ("run", "mine", "-f", "custom", "--runtime=host", "--command=echo 1", "--pattern=(.)"),
    ("run", "resnet18", "-f", "pytorch", "--runtime=host", "--gpus=none"),
    ("run", "vgg16", "-f", "tensorflow", "--gpus=none", "--batch=2"),
)


class _Instant:
    """A runtime whose program has printed a line and ended when it is looked at."""

    name = "instant"

    @contextmanager
    def start(self, plan, *, run_id):
        script = next(word for word in plan.argv if word.endswith("launcher.sh"))
        RunFolder(Path(script).parent).log.write_text("1\n")
        yield self

    def wait(self, timeout):
        return Exit(code=0)

    def stop(self, grace):
        return Exit(code=143)

    def collect_output(self, destination, limit):
        destination.touch()

    def notes(self):
        return ()

    def root(self):
        return None


def _no_pip(*_, **__):
    raise PipError("no package index answers")


def _ready(*_):
    return Place(runtime="host", reason="test", python="python3", code=PROJECT), _Instant()


@contextmanager
def surroundings(folder: Path) -> Iterator[None]:
    """Give benchdock a home and a working folder, and nothing that takes time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCHDOCK_HOME", str(folder / "home"))
        patch.setenv("DOCKER_HOST", f"unix://{folder}/no.sock")
        patch.setattr(benchmark, "ready_place", _ready)
        patch.setattr(host_pip, "run", _no_pip)
        patch.setattr(environments, "_make", _no_pip)
        patch.setattr("orchestrator.run.following.POLL_SECONDS", 0.0)
        patch.setattr("orchestrator.machine.monitor.Monitor._before", lambda _: None)
        # The parser takes most of the time, and the disk the rest.
        patch.setattr("orchestrator.cli.build_parser", functools.cache(build_parser))
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(os, "fdatasync", lambda _: None)
        (folder / "work").mkdir()
        patch.chdir(folder / "work")
        yield


def options() -> dict[str, list[str]]:
    """Return every command with its options, as the parser has them."""
    parser = build_parser()
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return {
        name: sorted(one._option_string_actions)
        for name, one in commands.choices.items()
        if name not in _LEFT_OUT
    }


def vectors(number: int, seed: int) -> Iterator[list[str]]:
    """Yield random argument vectors."""
    chance = random.Random(seed)
    known = options()
    for _ in range(number):
        if chance.random() < 0.4:
            words = list(chance.choice(RUNS))
            command = "run"
        else:
            command = chance.choice(sorted(known))
            words = [command] if chance.random() < 0.97 else [chance.choice(WORDS)]
        for _ in range(chance.randrange(5)):
            word = chance.choice(WORDS)
            if known[command] and chance.random() < 0.7:
                option = chance.choice(known[command])
                words += [f"{option}={word}"] if chance.random() < 0.5 else [option, word]
            else:
                words.insert(chance.randrange(1, len(words) + 1), word)
        yield words


def status_of(words: list[str]) -> int:
    """Run a command; what it prints is dropped."""
    sink = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
        try:
            return main(words)
        except SystemExit as end:  # --help and --version
            return int(end.code or 0)


def attack(number: int, seed: int, folder: Path) -> tuple[Counter[int], int]:
    """Try vectors; return how often each status came and how many runs were filed.

    Raises AssertionError with the first vector that is a bug or leaves a run without result.
    """
    seen: Counter[int] = Counter()
    filed = 0
    runs = folder / "home" / "runs"
    with surroundings(folder):
        for words in vectors(number, seed):
            status = status_of(words)
            assert status != ExitStatus.BUG, f"a bug: {words}"
            seen[status] += 1
            for run in os.scandir(runs) if runs.exists() else ():
                # A parity's folder holds no result: its cells are what comes of it.
                if words[0] != "parity":
                    assert (Path(run.path) / "result.json").is_file(), f"not filed: {words}"
                    filed += 1
                shutil.rmtree(run.path)
    return seen, filed
