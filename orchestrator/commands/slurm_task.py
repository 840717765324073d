"""Makes one run of a session on Slurm, as a task of an array; the array's script starts it.

It reads which run from the array's file on the shared path, and files the run's end beside it. All
that it prints goes to the log of the attempt.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from orchestrator.errors import BenchdockError, ExitStatus, Interrupted, machine_fault
from orchestrator.machine import inventory
from orchestrator.paths import slug
from orchestrator.request import Request
from orchestrator.result import Result
from orchestrator.run import benchmark
from orchestrator.run.sharing import Sharing
from orchestrator.signals import interruptible
from orchestrator.slurm import arrays, task
from orchestrator.slurm.task import OnFolder
from orchestrator.ui.plain import PlainView


def main(orders: Path) -> ExitStatus:
    """Make the run of this task. Raises BenchdockError, OSError."""
    given = task.environment()
    heading, order = arrays.read(orders, given.index)
    print(f"{given.array}_{given.index}, attempt {given.attempt}, on {given.node}", flush=True)
    inventory.share_own_dirty(orders.parent / "nodes" / f"{slug(given.node)}.json")
    work = task.Work(orders.parent / "attempts", heading, order, given)
    share = Sharing(wait=heading.wait, allowed=heading.allow_shared)
    statuses = [ExitStatus.OK]

    def run(request: Request, on_folder: OnFolder) -> Result:
        view = PlainView(sys.stdout, sys.stderr)
        result, status = benchmark.run(request, view, on_folder=on_folder, share=share)
        statuses.append(status)
        return result

    def time_is_up(*_: object) -> None:
        work.time_is_up = True
        os.kill(os.getpid(), signal.SIGTERM)

    def taken_over() -> None:
        print("another attempt took over: this one gave no sign of life for too long", flush=True)
        os.kill(os.getpid(), signal.SIGTERM)

    with interruptible():
        signal.signal(signal.SIGUSR1, time_is_up)
        end = work.carry_out(run, taken_over)
    if end is None:
        print("this run has ended already")
        return ExitStatus.OK
    print(f"{end.status}: {end.kind}: {end.message}" if end.kind else end.status)
    return max(statuses[-1], ExitStatus.OK if end.status == "ok" else ExitStatus.BENCHMARK_FAILED)


def entry() -> NoReturn:
    """Run as a program; `orchestrator.start_task` calls it."""
    try:
        status = main(Path(sys.argv[1]))
    except Interrupted as error:
        print(f"benchdock: {error}", file=sys.stderr)
        status = error.exit_status
    except (BenchdockError, OSError) as error:
        known = machine_fault(error) if isinstance(error, OSError) else error
        if known is None:
            raise
        print(f"benchdock: {known}", file=sys.stderr)
        status = ExitStatus.MACHINE_CANNOT
    sys.stdout.flush()
    os._exit(status)
