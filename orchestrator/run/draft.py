"""What is known of a run while it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from orchestrator.machine.facts import MachineFacts
    from orchestrator.machine.gpu_facts import GpuReport
    from orchestrator.machine.monitor import Monitor
    from orchestrator.paths import RunFolder
    from orchestrator.plan import Plan
    from orchestrator.request import Request
    from orchestrator.result import PageCache
    from orchestrator.run.following import Outcome
    from orchestrator.run.runner import StageClock


@dataclass
class Draft:
    """What is known about a run so far; a result can be filed at any point of it."""

    request: Request
    folder: RunFolder
    clock: StageClock
    gpu: GpuReport
    started: datetime
    notes: tuple[str, ...] = ()
    plan: Plan | None = None
    outcome: Outcome | None = None
    monitor: Monitor | None = None
    cache: PageCache | None = None

    @cached_property
    def machine(self) -> MachineFacts:
        """Look at the machine."""
        from orchestrator.machine.facts import MachineFacts  # not before the program is started

        return MachineFacts.of_this_machine(self.gpu)
