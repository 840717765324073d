"""The cells of a group's `matrix` and `zip`, each with its content as text.

Settings and texts of half of the axes are made once, not once per cell: for 100,000 cells that
takes a third of the time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from orchestrator.suites.cells import Settings, as_content, as_part, over
from orchestrator.suites.models import Group, given

PhaseOf = Callable[[str], str]


class _Axis(NamedTuple):
    """Keys that vary together, and the rows of values that they take."""

    keys: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def combined(group: Group, base: Settings, phase_of: PhaseOf) -> Iterator[tuple[Settings, str]]:
    """Yield settings and content of each cell, the first axis outermost and pairs innermost.

    Without a phase, each framework has its usual one. Raises KeyError if a key is missing that
    every run needs.
    """
    axes = _axes(group, base, phase_of)
    keys = tuple(itertools.chain.from_iterable(axis.keys for axis in axes))
    for needed in ("framework", "model"):
        if needed not in keys:
            raise KeyError(needed)
    in_order = itemgetter(*sorted(range(len(keys)), key=keys.__getitem__))
    half = len(axes) // 2
    inner = _rows(axes[half:])
    for settings, parts in _rows(axes[:half]):
        yield from [
            (settings | more, as_content(in_order(parts + others))) for more, others in inner
        ]


def _rows(axes: Sequence[_Axis]) -> list[tuple[Settings, tuple[str, ...]]]:
    """Return all combinations: settings, and each of them as a part of the content."""
    keys = [key for axis in axes for key in axis.keys]
    flat = itertools.chain.from_iterable
    rows = itertools.product(*(axis.rows for axis in axes))
    texts = itertools.product(*map(_texts, axes))
    return [
        (dict(zip(keys, flat(row), strict=True)), tuple(flat(parts)))
        for row, parts in zip(rows, texts, strict=True)
    ]


def _axes(group: Group, base: Settings, phase_of: PhaseOf) -> list[_Axis]:
    """Return the axes; what does not vary is the first one, with a single row."""
    matrix, pairs = given(group.matrix), given(group.zip)
    varying = {**matrix, **pairs}
    usual = {key: value for key, value in over(base, varying).items() if key not in varying}
    axes = [_Axis((key,), tuple((value,) for value in values)) for key, values in matrix.items()]
    if pairs:
        axes.append(_Axis(tuple(pairs), tuple(zip(*pairs.values(), strict=True))))
    axes.insert(0, _Axis(tuple(usual), (tuple(usual.values()),)))
    if "phase" in usual or "phase" in varying:
        return axes
    return [_with_phase(axis, phase_of) if "framework" in axis.keys else axis for axis in axes]


def _with_phase(axis: _Axis, phase_of: PhaseOf) -> _Axis:
    at = axis.keys.index("framework")
    return _Axis((*axis.keys, "phase"), tuple((*row, phase_of(row[at])) for row in axis.rows))


def _texts(axis: _Axis) -> list[list[str]]:
    return [list(map(as_part, axis.keys, row)) for row in axis.rows]
