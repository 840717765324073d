"""The steps of the check, in order of importance, each as a command of benchdock."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

TYPES = ("float32", "tf32", "bfloat16", "float16")
NETWORKS = ("resnet50_v1.5", "vgg16", "deep_speech2")
PHASES = ("training", "inference")
# Published for one H200: images/s of resnet50_v1.5 in training, by number type.
PUBLISHED = (("float16", 3078.0), ("tf32", 2259.0))
LARGE_BATCH = 1024
# Known of one H200: FLOP/s in bfloat16, bytes/s of a copy.
KNOWN = {"multiply": 790e12, "copy": 4.3e12}
PAIRS = 3


@dataclass(frozen=True)
class Step:
    """One command: its words after `benchdock`, and at most how many seconds it may take.

    It is skipped if fewer than `reserve` seconds would be left for what comes after it. `monitored`
    runs it without the monitor if it is False.
    """

    name: str
    words: tuple[str, ...]
    seconds: float = 60.0
    reserve: float = 0.0
    monitored: bool = True


def steps(device: str, python: str) -> Iterator[Step]:
    """Yield all steps for "gpu", or a short rehearsal of each for "cpu"."""
    where: tuple[str, ...] = ("--runtime", "host", *(("--python", python) if python else ()))
    where += ("--gpus", "0" if device == "gpu" else "none")
    # First, so that every result has its share of the ceiling.
    yield Step("probe", ("probe", *where, "--seconds", "3s" if device == "gpu" else "100ms"), 90)
    yield from _runs(device, where)
    if device == "gpu":
        yield from _published(where)
    yield from _places(device, where)
    yield from _parity(device, where)
    yield from _pairs(device, where)
    if device == "gpu":
        yield from _zoo(where)


def _runs(device: str, where: tuple[str, ...]) -> Iterator[Step]:
    """Yield the runs of each network, phase and number type."""
    if device == "cpu":
        small = ("run", "deep_mnist", "-f", "pytorch", "--steps", "20", "--threads", "1", *where)
        yield Step("deep_mnist training float32", (*small, "--phase", "training"))
        return
    for network, phase, dtype in itertools.product(NETWORKS, PHASES, TYPES):
        words = ("run", network, "-f", "pytorch", "--phase", phase, "--dtype", dtype)
        yield Step(f"{network} {phase} {dtype}", (*words, "--steps", "60", *where), reserve=200)


def _published(where: tuple[str, ...]) -> Iterator[Step]:
    for dtype, published in PUBLISHED:
        words = ("run", "resnet50_v1.5", "-f", "pytorch", "--phase", "training", "--dtype", dtype)
        large = ("--batch", str(LARGE_BATCH), "--steps", "40", *where)
        name = f"published {published:.0f} images/s, {dtype}"
        yield Step(name, (*words, *large), 90, reserve=120)


def _places(device: str, where: tuple[str, ...]) -> Iterator[Step]:
    """Yield runs that copy their batch in each step."""
    for place in ("pageable", "pinned") if device == "gpu" else ("pageable",):
        network = "resnet50_v1.5" if device == "gpu" else "deep_mnist"
        words = ("run", network, "-f", "pytorch", "--data-place", place, "--steps", "60", *where)
        yield Step(f"batch in {place} memory", words, reserve=100)


def _parity(device: str, where: tuple[str, ...]) -> Iterator[Step]:
    types = ("float16", "bfloat16") if device == "gpu" else ("float32",)
    networks = ("resnet18", "deep_mnist") if device == "gpu" else ("deep_mnist",)
    for dtype in types:
        words = ("parity", *networks, "-f", "pytorch", "--dtype", dtype, *where)
        yield Step(f"parity {dtype}", words, 90, reserve=70)


def _pairs(device: str, where: tuple[str, ...]) -> Iterator[Step]:
    """Yield runs with and without the monitor in turn, each order as often."""
    network, dtype = ("resnet50_v1.5", "bfloat16") if device == "gpu" else ("deep_mnist", "float32")
    words: tuple[str, ...] = ("run", network, "-f", "pytorch", "--phase", "training", *where)
    words += ("--dtype", dtype)
    words += ("--steps", "100" if device == "gpu" else "20")
    words += () if device == "gpu" else ("--threads", "1")
    for number in range(PAIRS if device == "gpu" else 1):
        first = number % 2 == 0
        for monitored in (first, not first):
            name = f"pair {number + 1} with{'' if monitored else 'out'} monitor"
            yield Step(name, words, monitored=monitored)


def _zoo(where: tuple[str, ...]) -> Iterator[Step]:
    """Yield the rest of the zoo, as far as the time allows."""
    from backends import zoo

    for network in zoo.names():
        if network not in NETWORKS:
            words = ("run", network, "-f", "pytorch", "--dtype", "bfloat16", "--steps", "30")
            yield Step(f"zoo {network}", (*words, *where))
