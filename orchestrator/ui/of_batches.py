"""The result of a search for the fastest batch, as a table."""

from __future__ import annotations

from orchestrator.run.batches import NEAR, Found, Tried
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import clean
from orchestrator.units import PERCENT, SAMPLES_PER_SECOND, quantity, share

_TITLES = ("batch", "throughput", "CV", "runs", "")


def show(found: Found) -> None:
    """Print what each batch gave, and which one to use."""
    print()
    print_table(_TITLES, [_row(one, found.best) for one in found.tried], right=(0, 1, 2, 3))
    best, enough = found.best, found.enough
    if best is None or enough is None:
        return
    print(f"\nthe fastest batch is {best.batch}: {_throughput(best)}")
    if enough is not best:
        print(f"batch {enough.batch} is as fast within {share(NEAR)}: {_throughput(enough)}")
    for result in best.results:
        if result.verdict is not None and result.verdict.trust != "valid":
            print(clean(f"note: {result.run} is {result.verdict.in_words()}"))


def _row(one: Tried, best: Tried | None) -> tuple[str, ...]:
    spread = "-" if one.spread is None else quantity(100 * one.spread, PERCENT)
    told = "fastest" if one is best else one.failure
    return str(one.batch), _throughput(one), spread, str(len(one.throughputs)), told


def _throughput(one: Tried) -> str:
    return "-" if one.median is None else quantity(one.median, SAMPLES_PER_SECOND)
