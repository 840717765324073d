"""Nights for tests, made in memory or written as files."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from orchestrator.nights.record import Night, NightDecision, NightJudgement, NightRun, NightSeries

START = date(2026, 11, 1)
DAY = 86_400.0


def run(throughput: float | None = 100.0, **changes: Any) -> NightRun:
    status = "failed" if throughput is None else "completed"
    told = {"result": "run", "status": status, "throughput": throughput, "seconds": 10.0}
    return NightRun(**{**told, **changes})


def series(key: str = "vgg16-pytorch-training-0a1b2c3d", **changes: Any) -> NightSeries:
    told = {
        "key": key,
        "title": "vgg16 pytorch",
        "model": "vgg16",
        "framework": "pytorch",
        "phase": "training",
        "group": "cnn",
        "runs": tuple(run(100.0 + step) for step in (-0.4, -0.2, 0, 0.2, 0.4)),
        "planned": 5,
        "judgement": NightJudgement(verdict="ok", value=100.0, baseline=100.0, change=0.0),
    }
    return NightSeries(**{**told, **changes})


def night(number: int = 1, *those: NightSeries, **changes: Any) -> Night:
    day = START + timedelta(days=number - 1)
    told = {
        "number": number,
        "night": day,
        "suite": "nightly",
        "session": f"nightly-{day:%Y%m%d}-0130",
        "machine": "machine",
        "started": number * DAY,
        "finished": number * DAY + 3600,
        "series": those or (series(),),
    }
    return Night(**{**told, **changes})


def decision(
    night: int, series: str = "vgg16-pytorch-training-0a1b2c3d", **changes: Any
) -> NightDecision:
    told = {"kind": "accept", "who": "ada", "why": "new driver", "at": 1.0}
    return NightDecision(**{**told, "series": series, "night": night, **changes})
