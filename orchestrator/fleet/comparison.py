"""Compares nodes: each figure of a node with the median of the nodes that have the same hardware.

A node's value is the geometric mean of its passes, the fleet's the median of its nodes. The
interval is that of their difference, in logarithms, as shares of the fleet's: Student's t over
passes, with the spread of the node and of those in the middle, and the degrees of freedom of the
smallest side. It says how well these nodes were measured; how much healthy nodes differ is what the
limit is for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.fleet.record import Figure, NodeRecord
from orchestrator.stats import mean, standard_deviation
from orchestrator.student import quantile_95

# SuperBench's and NVIDIA's own limit; GPUs of one healthy machine differ by up to as much.
LIMIT = 0.05
# With two nodes, nothing says which of them is the slow one.
FEWEST_NODES = 3

Verdict = Literal["ok", "slow", "unclear", "unjudged"]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A figure of a node against the fleet's median; shares of it, below 0 is worse.

    `low` and `high` are None if a side was measured only once.
    """

    node: str
    value: float
    change: float
    low: float | None
    high: float | None
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Row:
    """A figure of all nodes with the same hardware; `median` is the fleet's."""

    name: str
    unit: str
    hardware: str
    median: float
    nodes: tuple[Compared, ...]


def compare(records: Sequence[NodeRecord], limit: float = LIMIT) -> list[Row]:
    """Compare nodes figure by figure, those with the same hardware with each other."""
    groups: dict[str, list[NodeRecord]] = {}
    for record in records:
        groups.setdefault(record.hardware, []).append(record)
    return [row for hardware, group in groups.items() for row in _rows(hardware, group, limit)]


def with_verdict(rows: Sequence[Row], verdict: Verdict) -> dict[str, list[tuple[Row, Compared]]]:
    """Return the figures with a verdict by node, the worst one first."""
    found: dict[str, list[tuple[Row, Compared]]] = {}
    for row in rows:
        for one in row.nodes:
            if one.verdict == verdict:
                found.setdefault(one.node, []).append((row, one))
    for figures in found.values():
        figures.sort(key=lambda pair: pair[1].change)
    return found


def _rows(hardware: str, group: Sequence[NodeRecord], limit: float) -> Iterator[Row]:
    figures: dict[tuple[str, str], dict[str, Figure]] = {}
    for record in group:
        for figure in record.figures:
            if figure.values:
                figures.setdefault((figure.name, figure.unit), {})[record.node] = figure
    for (name, unit), of_nodes in figures.items():
        yield row(name, unit, hardware, {node: one.values for node, one in of_nodes.items()},
                  limit=limit, is_time=next(iter(of_nodes.values())).is_time)  # fmt: skip


def row(
    name: str,
    unit: str,
    hardware: str,
    values: Mapping[str, Sequence[float]],
    *,
    limit: float = LIMIT,
    is_time: bool = False,
) -> Row:
    """Compare one figure of several nodes, or machines; `values` are positive."""
    sign = -1.0 if is_time else 1.0
    logs = {node: [sign * math.log(value) for value in found] for node, found in values.items()}
    ordered = sorted(logs, key=lambda node: mean(logs[node]))
    half = (len(ordered) - 1) // 2
    middle = [logs[node] for node in ordered[half : len(ordered) - half]]
    center = mean([mean(one) for one in middle])
    few = len(ordered) < FEWEST_NODES
    return Row(
        name=name,
        unit=unit,
        hardware=hardware,
        median=math.exp(sign * center),
        nodes=tuple(
            _compared(node, logs[node], middle, sign, None if few else limit) for node in values
        ),
    )


def _compared(
    node: str,
    own: Sequence[float],
    middle: Sequence[Sequence[float]],
    sign: float,
    limit: float | None,
) -> Compared:
    difference = mean(own) - mean([mean(one) for one in middle])
    ends = _interval(own, middle, difference)
    low, high = (None, None) if ends is None else map(_share, ends)
    return Compared(
        node=node,
        value=math.exp(sign * mean(own)),
        change=_share(difference),
        low=low,
        high=high,
        verdict="unjudged" if limit is None else _verdict(_share(difference), high, limit),
    )


def _share(logarithm: float) -> float:
    """Return a difference of logarithms as a share; what is beyond e^700 is infinite anyway."""
    return math.expm1(min(logarithm, 700.0))


def _interval(
    own: Sequence[float], middle: Sequence[Sequence[float]], difference: float
) -> tuple[float, float] | None:
    """Return the 95 % interval of the difference, None if a side has a single value."""
    if any(own is one for one in middle) and len(middle) == 1:
        return 0.0, 0.0
    fewest = min(len(own), *(len(one) for one in middle))
    if fewest < 2:
        return None
    center = math.hypot(*(_error(one) / len(middle) for one in middle))
    reach = quantile_95(fewest - 1) * math.hypot(_error(own), center)
    return difference - reach, difference + reach


def _error(values: Sequence[float]) -> float:
    """Return the standard error of a mean."""
    return standard_deviation(values) / math.sqrt(len(values))


def _verdict(change: float, high: float | None, limit: float) -> Verdict:
    """Judge a node: slow only if even the better end of the interval is beyond the limit."""
    if change >= -limit:
        return "ok"
    return "slow" if high is not None and high < -limit else "unclear"
