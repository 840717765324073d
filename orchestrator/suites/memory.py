"""Skips larger batches of a request that ran out of memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.suites import state
from orchestrator.suites.cells import Cell, digest_of
from orchestrator.suites.state import Ended, Key
from orchestrator.suites.turns import Turn

KIND = "out_of_memory"


class OutOfMemory:
    """The smallest batch of each request that ran out of memory."""

    def __init__(self, every: Iterable[Turn], ended: Mapping[Key, Ended]) -> None:
        self._smallest: dict[str, int | None] = {}
        if any(end.kind == KIND for end in ended.values()):
            for turn in every:
                if (end := ended.get(state.key_of(turn))) is not None:
                    self.learn(turn, end)

    def learn(self, turn: Turn, end: Ended) -> None:
        """Remember a run that ran out of memory."""
        if end.kind != KIND:
            return
        request, batch = _request(turn.cell), turn.cell.settings.get("batch", end.batch)
        known = self._smallest.get(request)
        self._smallest[request] = batch if known is None else min(known, batch or known)

    def why_not(self, turn: Turn) -> str:
        """Say why a run would run out of memory too, or "".

        A batch that benchdock chooses is only skipped if that same batch did not fit.
        """
        if not self._smallest:
            return ""
        request = _request(turn.cell)
        if request not in self._smallest:
            return ""
        smallest, batch = self._smallest[request], turn.cell.settings.get("batch")
        if smallest is not None and batch is not None and batch < smallest:
            return ""
        return f"batch {smallest or 'unknown'} of the same request ran out of memory"


def _request(cell: Cell) -> str:
    """Return what identifies a request apart from its batch."""
    settings = {key: value for key, value in cell.settings.items() if key != "batch"}
    return digest_of(settings if cell.claim is None else {**settings, "claim": cell.claim})
