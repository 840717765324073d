"""How many GPUs that a run does not use are busy meanwhile: they share power, cooling and buses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from orchestrator.machine.gpu_facts import GpuGoneError
from orchestrator.metric import Metric

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.machine.gpu_facts import GpuSample
    from orchestrator.machine.window import Window

BUSY = 0.10  # of the time

COUNT, BUSY_COUNT = "neighbours.count", "neighbours.busy"


class Neighbours:
    """The other GPUs of the machine, by UUID; one that does not answer is not asked again."""

    def __init__(self, uuids: Sequence[str]) -> None:
        self._uuids = list(uuids)
        self._looks: list[tuple[float, int]] = []

    def look(self, sample: Callable[[str], GpuSample], now: float) -> None:
        """Count those that are busy, at a moment of the monotonic clock.

        `sample` raises GpuGoneError.
        """
        busy = 0
        for uuid in tuple(self._uuids):
            try:
                busy += (sample(uuid).utilisation or 0.0) > BUSY
            except GpuGoneError:
                self._uuids.remove(uuid)
        if self._uuids:
            self._looks.append((now, busy))

    def metrics(self, window: Window | None) -> Iterator[tuple[str, Metric]]:
        """Yield how many there are, and how many were busy on average within the window."""
        within = [
            busy for now, busy in self._looks if window is None or window.begin <= now <= window.end
        ]
        if within:
            yield COUNT, Metric(value=len(self._uuids), unit="GPUs")
            yield BUSY_COUNT, Metric(value=sum(within) / len(within), unit="GPUs")
