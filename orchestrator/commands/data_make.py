"""`benchdock data make`: make images or features."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from orchestrator.data import features, making
from orchestrator.data.manifest import Manifest
from orchestrator.data.pixels import Recipe
from orchestrator.errors import ExitStatus, Interrupted, RequestError
from orchestrator.machine import inventory
from orchestrator.signals import interruptible
from orchestrator.ui.bar import Bar
from orchestrator.ui.text import clean
from orchestrator.units import counted

_USUAL_SIZE = (500, 375)
_USUAL_CLASSES = 10


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Make them. Raises RequestError, MachineError."""
    bar = Bar(sys.stderr, quiet=arguments.quiet or arguments.json)
    try:
        with interruptible():
            found = _make(arguments, bar)
    except Interrupted:
        bar.note("run the same command again to continue")
        raise
    finally:
        bar.clear()
    show(found, Path(arguments.folder), as_json=arguments.json)
    return ExitStatus.OK


def _make(arguments: argparse.Namespace, bar: Bar) -> Manifest:
    target, threads = Path(arguments.folder), arguments.threads or inventory.usable_cpus()
    if arguments.model is None:
        width, height = arguments.size or _USUAL_SIZE
        recipe = Recipe(width, height, arguments.classes or _USUAL_CLASSES, arguments.seed)
        return making.make(making.Order(recipe, arguments.samples), target, bar, threads=threads)
    for option, value in (("--classes", arguments.classes), ("--size", arguments.size)):
        if value is not None:
            raise RequestError(
                f"{option} does not apply to features for {arguments.model}",
                hint=f"remove {option}",
            )
    order = features.Order(arguments.model, arguments.samples, arguments.seed)
    return features.make(order, target, bar, threads=threads)


def show(found: Manifest, folder: Path, *, as_json: bool) -> None:
    """Print what a dataset is."""
    if as_json:
        print(found.model_dump_json(indent=2, by_alias=True, exclude_none=True))
        return
    text = f"{folder}: {counted(found.samples, 'sample')}"
    if found.classes:
        classes = len(found.classes)
        text += f" of {classes} classes" if classes > 1 else " of one class"
    print(clean(f"{text}, {found.format}"))
    if found.turned:
        print(f"  the EXIF orientation of {counted(found.turned, 'image')} was set to 1")
    for what, count in found.unusual.items():
        print(f"  {counted(count, f'{what} image')}")
    if found.skipped:
        print(f"  {counted(found.skipped, 'bad image')} left out: see benchdock-skipped.txt")
    print(f"  digest of the samples: {found.samples_digest}")
