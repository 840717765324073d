"""Runs that only have a throughput, for tests of tables and charts."""

from typing import Any

from orchestrator.result import Metric
from orchestrator.results.summary import Summary
from tests.support.run_folders import stored


def summary(throughput=100.0, *, unit="samples/s", **changes):
    """Return a run of vgg16 with this throughput, None for none."""
    usual: dict[str, Any] = {
        "run": "r",
        "folder": "/r",
        "status": "ok",
        "started": None,
        "model": "vgg16",
        "framework": "pytorch",
        "phase": "training",
        "dtype": "float32",
        "batch": 32,
        "device": "gpu",
        "devices": 1,
        "throughput": throughput and Metric(value=throughput, unit=unit),
    }
    return Summary(**usual | changes)


def store(name, throughput=100.0, *, failure=None, monitor=None, **planned):
    """Store a run of vgg16 with this throughput, or one that failed."""
    metrics = {"throughput": Metric(value=throughput, unit="samples/s")}
    stored(
        name,
        planned={"model": "vgg16"} | planned,
        status="failed" if failure else "ok",
        failure=failure,
        metrics={} if failure else metrics,
        monitor=monitor or {},
    )


def store_sweep(failure):
    """Store runs of two frameworks; one cell has three of them, one run failed."""
    made = [
        *(("pytorch", 8, value) for value in (100.0, 120.0, 104.0)),
        *(("pytorch", 16, 150.0), ("mxnet", 8, 90.0), ("mxnet", 32, 400.0)),
    ]
    for number, (framework, batch, value) in enumerate(made):
        store(f"20260101T00000{number}-x", value, framework=framework, batch=batch)
    store("20260101T000009-x", failure=failure)
