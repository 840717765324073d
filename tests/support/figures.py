"""Runs that only have a throughput, for tests of tables and charts."""

from typing import Any

from orchestrator.paths import RunFolder, runs
from orchestrator.result import Metric, Result
from orchestrator.results.summary import Summary
from orchestrator.run.filing import to_json
from tests.fakes import plan
from tests.support import stand_in


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


def store(name, throughput=100.0, *, failure=None, **planned):
    """Store a run of vgg16 with this throughput, or one that failed."""
    metrics = {"throughput": Metric(value=throughput, unit="samples/s")}
    folder = RunFolder(runs() / name)
    folder.root.mkdir(parents=True)
    result = Result(
        benchdock="0.1.0",
        run=name,
        status="failed" if failure else "ok",
        failure=failure,
        request=stand_in.request(),
        plan=plan(**{"model": "vgg16", "batch": 2} | planned),
        metrics={} if failure else metrics,
    )
    folder.result.write_text(to_json(result), encoding="utf-8")


def store_sweep(failure):
    """Store runs of two frameworks; one cell has three of them, one run failed."""
    made = [
        *(("pytorch", 8, value) for value in (100.0, 120.0, 104.0)),
        *(("pytorch", 16, 150.0), ("mxnet", 8, 90.0), ("mxnet", 32, 400.0)),
    ]
    for number, (framework, batch, value) in enumerate(made):
        store(f"20260101T00000{number}-x", value, framework=framework, batch=batch)
    store("20260101T000009-x", failure=failure)
