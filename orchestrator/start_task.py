"""The first lines of a task of Slurm, before any slow import."""

from __future__ import annotations

from typing import NoReturn

from orchestrator.start import hurry


def entry() -> NoReturn:
    """Run as a program."""
    hurry()
    from orchestrator.commands import slurm_task

    slurm_task.entry()


if __name__ == "__main__":
    entry()
