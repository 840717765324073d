"""Records of nodes with figures of our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from orchestrator.fleet.record import Figure, Launch, NodeRecord, Seen

BEGAN = datetime(2026, 4, 5, 6, 7, 8, tzinfo=UTC)
CONTROL = "control resnet50 training, pytorch, float32"
COPY = "CPU copying memmove, 2 at once"
HARDWARE = "2 CPUs Some CPU"


def spread(level: float, cv: float = 0.005, count: int = 5, seed: int = 1) -> tuple[float, ...]:
    """Return values of so many passes around a level."""
    random = Random(seed)
    return tuple(level * (1 + random.gauss(0, cv)) for _ in range(count))


def record(node: str, **told: Any) -> NodeRecord:
    """Return a record; `figures` maps names to values in samples/s."""
    figures: Mapping[str, Sequence[float]] = told.pop("figures", {CONTROL: spread(100)})
    return NodeRecord(
        **{
            "node": node,
            "machine": f"m{node}",
            "benchdock": "1.2.3",
            "started": BEGAN,
            "finished": BEGAN + timedelta(seconds=60),
            "hardware": HARDWARE,
            "passes": 5,
            "figures": tuple(
                Figure(name=name, unit="samples/s", source="control", values=tuple(values))
                for name, values in figures.items()
            ),
            **told,
        }
    )


def fleet(
    count: int, slow: Mapping[int, float] | None = None, cv: float = 0.005
) -> list[NodeRecord]:
    """Return nodes n1, n2, ...; a factor below 1 makes one slow."""
    return [
        record(
            f"n{number}",
            figures={
                CONTROL: spread(100 * (slow or {}).get(number, 1.0), cv, seed=number),
                COPY: spread(9e9, cv, seed=100 + number),
            },
        )
        for number in range(1, count + 1)
    ]


def launch(*nodes: str, **told: Any) -> Launch:
    """Return who started a check on nodes, a second before they began."""
    return Launch(
        **{
            "benchdock": "1.2.3",
            "host": "login",
            "partition": "bench",
            "started": BEGAN - timedelta(seconds=1),
            "asked": nodes,
            "seen": {
                node: Seen(
                    began=BEGAN + timedelta(seconds=0.4), ended=BEGAN + timedelta(seconds=60.4)
                )
                for node in nodes
            },
            **told,
        }
    )
