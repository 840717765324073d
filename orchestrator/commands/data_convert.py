"""`benchdock data convert`: convert a folder of images."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from orchestrator.commands.data_make import show
from orchestrator.data import converting
from orchestrator.data.conversion import Job
from orchestrator.errors import ExitStatus, Interrupted
from orchestrator.machine import inventory
from orchestrator.signals import interruptible
from orchestrator.store import file_system
from orchestrator.ui.bar import Bar


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Convert. Raises RequestError, DataError, MachineError."""
    job = Job(
        source=Path(arguments.source),
        target=Path(arguments.target),
        to=arguments.to,
        resize=arguments.resize,
        seed=None if arguments.sorted else arguments.shuffle,
        shards=arguments.shards,
        split=arguments.split,
        decode=not arguments.trust,
        skip_bad=arguments.skip_bad,
        threads=arguments.threads or inventory.usable_cpus(),
    )
    bar = Bar(sys.stderr, quiet=arguments.quiet or arguments.json)
    _warn(job, bar)
    try:
        with interruptible():
            found = converting.convert(job, bar)
    except Interrupted:
        bar.note("run the same command again to continue")
        raise
    finally:
        bar.clear()
    show(found, job.target, as_json=arguments.json)
    return ExitStatus.OK


def _warn(job: Job, bar: Bar) -> None:
    """Say that LMDB may hang or fail on a network file system (BVLC/caffe#2709, #5552)."""
    kind = file_system.network(job.target) if job.to == "lmdb" else None
    if kind is not None:
        bar.note(
            f"{job.target} is on a network file system ({kind}), where LMDB may hang or fail; if "
            "it does, convert to a local disk and copy the result"
        )
