"""Which GPUs each series of a suite gets: always the same, so that its numbers can be compared.

Two GPUs of one kind differ by more than 1 %. What was chosen is kept in the home folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from orchestrator.machine.gpu_facts import GpuReport
from orchestrator.paths import sessions, write_aside
from orchestrator.record_files import read_json
from orchestrator.suites.planning import Row

_LARGEST = 64 * 2**20
Places = dict[str, tuple[str, ...]]


def choose(rows: Sequence[Row], report: GpuReport, kept: Mapping[str, Sequence[str]]) -> Places:
    """Return the GPUs of each series by its digest, none on the CPU.

    A request that names GPUs has those. Others stay where they were before (`kept`), if these GPUs
    are still there; new ones go where the least is to do.
    """
    load = {gpu.uuid: 0.0 for gpu in report.gpus}
    kinds = {gpu.uuid: gpu.name for gpu in report.gpus}
    places: Places = {}
    new: list[Row] = []
    for row in rows:
        digest, usual = row.cell.digest, row.decided.gpus
        before = tuple(kept.get(digest, ()))
        if not _may_move(row, kinds):
            places[digest] = usual
        elif len(before) == len(usual) and _of_one_kind(before, usual, kinds):
            places[digest] = before
        else:
            new.append(row)
            continue
        _add(load, places[digest], row)
    for row in sorted(new, key=lambda row: -len(row.decided.gpus)):  # large before small
        count, kind = len(row.decided.gpus), kinds[row.decided.gpus[0]]
        free = sorted((uuid for uuid in load if kinds[uuid] == kind), key=load.__getitem__)
        order = list(load)
        places[row.cell.digest] = tuple(sorted(free[:count], key=order.index))
        _add(load, places[row.cell.digest], row)
    return places


def _may_move(row: Row, kinds: Mapping[str, str]) -> bool:
    """Whether any GPUs of one kind will do."""
    gpus = row.decided.gpus
    named = "gpus" in row.cell.settings or row.cell.claim is not None
    return bool(gpus) and not named and all(uuid in kinds for uuid in gpus)


def _of_one_kind(before: Iterable[str], usual: Iterable[str], kinds: Mapping[str, str]) -> bool:
    return {kinds.get(uuid) for uuid in before} == {kinds[uuid] for uuid in usual}


def _add(load: dict[str, float], gpus: Iterable[str], row: Row) -> None:
    for uuid in gpus:
        if uuid in load:
            load[uuid] += row.runs * (1.0 if row.seconds is None else row.seconds)


def kept() -> Mapping[str, Sequence[str]]:
    """Return what was chosen in earlier sessions; nothing if that cannot be read."""
    told = read_json(sessions() / "gpus.json", _LARGEST)
    if not isinstance(told, dict):
        return {}
    return {key: gpus for key, gpus in told.items() if isinstance(gpus, list)}


def keep(places: Places) -> None:
    """Keep what was chosen. If it cannot be written, the next session chooses again."""
    news = {digest: list(gpus) for digest, gpus in places.items() if gpus}
    with suppress(OSError):
        write_aside(sessions() / "gpus.json", json.dumps({**kept(), **news}, indent=1) + "\n")
