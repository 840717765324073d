"""Arranges runs in groups: a matrix if they are a full product, else one run per line."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

# The keys by whose values runs are split in groups, the first ones first.
_RANK = ("framework", "model", "phase", "dtype", "gpus", "batch")
# Other keys may depend on these.
_DECIDING = ("framework", "model")

Run = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Runs that belong together: each is `defaults` and a cell of `matrix`, or one of `runs`.

    `override` changes the cells that have the value of a key: (key, value, what changes).
    """

    runs: tuple[Run, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    matrix: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    override: tuple[tuple[str, Any, Run], ...] = ()


def arrange(runs: Sequence[Run]) -> list[Group]:
    """Return groups that have exactly these runs, which differ from each other."""
    whole = _product(runs)
    if whole is not None:
        return [whole]
    for key in sorted(_varying(runs), key=lambda key: (_rank(key), key)):
        parts = _split(runs, key)
        if len(parts) == len(runs):
            continue
        groups = [_product(part) for part in parts]
        if all(group is not None for group in groups):
            return [group for group in groups if group is not None]
    common = constant(runs)
    rest = tuple({key: run[key] for key in run if key not in common} for run in runs)
    return [Group(defaults=common, runs=rest)]


def constant(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the keys that have the same value in all runs."""
    return {
        key: value
        for key, value in runs[0].items()
        if all(key in run and frozen(run[key]) == frozen(value) for run in runs)
    }


def frozen(value: Any) -> Hashable:
    """Return a value that can be compared and stored in a set; 1 and True stay different."""
    if isinstance(value, dict):
        return tuple((key, frozen(one)) for key, one in sorted(value.items()))
    if isinstance(value, list):
        return tuple(map(frozen, value))
    return type(value), value


def _rank(key: str) -> int:
    return _RANK.index(key) if key in _RANK else len(_RANK)


def _varying(runs: Sequence[Run]) -> list[str]:
    """Return the other keys, the one that changes least often first: the order of the loops."""
    common = constant(runs)
    names = dict.fromkeys(key for run in runs for key in run if key not in common)
    changes = {
        name: sum(_cell(a, name) != _cell(b, name) for a, b in pairwise(runs)) for name in names
    }
    return sorted(names, key=lambda name: changes[name])


def _cell(run: Run, key: str) -> Hashable:
    return frozen(run[key]) if key in run else None


def _split(runs: Sequence[Run], key: str) -> list[list[Run]]:
    """Split runs by the value of a key; values with the same other keys stay together."""
    parts: dict[Hashable, list[Run]] = {}
    for run in runs:
        parts.setdefault(_cell(run, key), []).append(run)
    alike: dict[Hashable, list[Run]] = {}
    for part in parts.values():
        others = frozenset(frozen({name: run[name] for name in run if name != key}) for run in part)
        alike.setdefault(others, []).extend(part)
    return list(alike.values())


def _product(runs: Sequence[Run]) -> Group | None:
    """Return the matrix whose cells are these runs; None if they are not a full product."""
    common, varying = constant(runs), _varying(runs)
    determined = _determined(runs, varying)
    axes = [key for key in varying if key not in determined]
    if any(key not in run for run in runs for key in axes):
        return None
    if not axes:
        return Group(defaults=common, runs=({},)) if len(runs) == 1 else None
    values = {key: list({frozen(run[key]): run[key] for run in runs}.values()) for key in axes}
    if math.prod(len(several) for several in values.values()) != len(runs):
        return None
    there = {tuple(frozen(run[key]) for key in axes) for run in runs}
    cells = itertools.product(*(map(frozen, several) for several in values.values()))
    if any(cell not in there for cell in cells):
        return None
    return Group(
        defaults=common, matrix=values, override=tuple(_overrides(runs, determined, values))
    )


def _determined(runs: Sequence[Run], varying: Sequence[str]) -> dict[str, str]:
    """Return the keys, such as the image, whose value follows from framework or model; with it."""
    found: dict[str, str] = {}
    for key in varying:
        for other in _DECIDING:
            if key not in _RANK and other in varying and _follows(runs, key, other):
                found.setdefault(key, other)
    return found


def _follows(runs: Sequence[Run], key: str, other: str) -> bool:
    """Whether all runs with the same value of `other` have the same value of `key`."""
    seen: dict[Hashable, Hashable] = {}
    return all(
        other in run and seen.setdefault(_cell(run, other), _cell(run, key)) == _cell(run, key)
        for run in runs
    )


def _overrides(
    runs: Sequence[Run], determined: Mapping[str, str], axes: Mapping[str, Sequence[Any]]
) -> Iterator[tuple[str, Any, Run]]:
    """Yield what each value of an axis sets, in the order of the axis."""
    for axis in dict.fromkeys(determined.values()):
        first = {_cell(run, axis): run for run in reversed(runs)}
        for value in axes[axis]:
            run = first[frozen(value)]
            if set_ := {key: run[key] for key in run if determined.get(key) == axis}:
                yield axis, value, set_
