"""The summary of several runs, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.metric import INTERVAL
from orchestrator.run.series import Series, folder_of
from orchestrator.ui.text import clean
from orchestrator.ui.words import Row, subject
from orchestrator.units import PERCENT, counted, quantity


def show(series: Series) -> None:
    """Print the runs and their summary."""
    print(f"\n{len(series.measured)} of {counted(series.asked, 'run')} measured")
    rows = list(_rows(series))
    width = max(len(label) for label, _ in rows)
    for label, text in rows:
        print(clean(f"  {label:<{width}}  {text}"))


def _rows(series: Series) -> Iterator[Row]:
    yield "what", subject(series.results[0])
    for number, result in enumerate(series.results, start=1):
        told = result.metrics.get("throughput")
        kind = result.failure.kind if result.failure else "no throughput"
        figure = quantity(told.value, told.unit) if told else f"failed: {kind}"
        yield f"run {number}", f"{figure}, {folder_of(result)}"
    yield from _summary(series)
    if len(series.measured) > 1:
        names = " ".join(result.run or "" for result in series.measured)
        yield "compare", f"benchdock compare {names} --against RUN..."


def _summary(series: Series) -> Iterator[Row]:
    metrics = series.metrics()
    if "throughput" not in metrics:
        return
    written = {name: quantity(metric.value, metric.unit) for name, metric in metrics.items()}
    count = len(series.measured)
    if "throughput_cv" not in metrics:
        yield "throughput", f"{written['throughput']} (one run says nothing about variation)"
        return
    unit = f" {metrics['throughput'].unit}"
    low, high = (written.get(name, "").removesuffix(unit) for name in INTERVAL)
    reach = f"{low} to {high}" if high else f"at least {low}"
    yield (
        "throughput",
        f"{written['throughput']} (95 % interval over {count} whole runs: {reach})",
    )
    spread = quantity(100 * metrics["throughput_cv"].value, PERCENT)
    yield "median", f"{written['throughput_median']}; the runs' CV is {spread}"
