"""Renders the script that sbatch gets for an array."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from orchestrator.paths import PROJECT
from orchestrator.run import launcher
from orchestrator.slurm.arrays import STARTING, Array
from orchestrator.slurm.site import Options, Site

TASK = "orchestrator.start_task"
# Exit status of a task on a node that does not see the session's folder.
NOT_SHARED = 72
# Before the time limit, so that the run is stopped and filed. Slurm may signal a minute earlier.
BEFORE_LIMIT = 60


@dataclass(frozen=True, kw_only=True)
class Script:
    """What a script needs; `limit` is that of a run in seconds, 0 without one.

    At `most` so many tasks run at once, 0 for all; `exclude` are nodes that may not be used.
    """

    session: str
    name: str
    array: Array
    site: Site
    home: Path
    orders: Path
    logs: Path
    limit: float = 0.0
    most: int = 0
    exclude: tuple[str, ...] = ()
    command: tuple[str, ...] = (sys.executable, "-m", TASK)
    code: Path = PROJECT

    def render(self) -> str:
        """Return the script."""
        return launcher.rendered(
            "slurm.sbatch.j2",
            {
                "session": self.session,
                "options": tuple(self.options()),
                # The site's own lines are bash already.
                "setup": tuple(map(Markup, self.site.setup)),
                "orders": self.orders,
                "logs": self.logs,
                "home": self.home,
                "command": self.command,
                "not_shared": NOT_SHARED,
            },
        )

    def options(self) -> Iterator[str]:
        """Yield the options of sbatch, benchdock's own last: of two equal ones the last counts."""
        for name, value in self._chosen().items():
            if value is not False:
                yield f"--{name}" if value is True else f"--{name}={value}"
        most = f"%{self.most}" if self.most else ""
        yield f"--job-name={self.name}"
        yield f"--array=0-{len(self.array.turns) - 1}{most}"
        yield "--nodes=1"
        yield "--ntasks=1"
        # The task itself writes a log for each attempt.
        yield "--output=/dev/null"
        yield "--requeue"
        yield f"--signal=B:USR1@{BEFORE_LIMIT}"
        yield f"--chdir={self.code}"

    def _chosen(self) -> Options:
        site, usual = self.site, dict[str, str | int | bool]()
        if self.limit:
            usual["time"] = math.ceil((self.limit + STARTING) / 60)
        if self.array.gpus:
            usual["gres"] = f"{site.gres}:{self.array.gpus}"
        else:
            usual["exclusive"] = True
        told = {**usual, **site.sbatch, **(site.gpu if self.array.gpus else site.cpu)}
        if self.exclude:
            more = (str(told["exclude"]),) if told.get("exclude") else ()
            told["exclude"] = ",".join((*more, *self.exclude))
        return told
