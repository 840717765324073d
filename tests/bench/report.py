"""`make bench-report` measures reports; exit status 1 if a limit is missed.

CPU seconds of judging one night and of making the pages, the sizes of the pages, and, if Chromium
is there, when it first paints.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random

from orchestrator.cli import main as benchdock
from orchestrator.nights import files, judge, past
from orchestrator.nights.record import Night, NightJudgement, NightRun, NightSeries
from tests.bench.pairs import report
from tests.support import chromium

REPEATS, DAY = 5, 86_400.0


def series(number: int, random: Random, night: int) -> NightSeries:
    level = 100.0 + number
    values = [level * (1 + random.gauss(0, 0.01)) for _ in range(REPEATS)]
    value = sorted(values)[REPEATS // 2]
    return NightSeries(
        key=f"model{number}-framework-training-{number:08x}",
        title=f"model{number} training framework{number % 7}",
        group=f"framework{number % 7}",
        framework=f"framework{number % 7}",
        planned=REPEATS,
        runs=tuple(
            NightRun(
                result=f"run-{night}-{number}-{repeat}",
                status="completed",
                throughput=one,
                started=night * DAY + 10.0 * number,
                seconds=9.0,
            )
            for repeat, one in enumerate(values)
        ),
        judgement=NightJudgement(
            verdict="ok",
            sentence="within the limit",
            value=value,
            baseline=level,
            change=value / level - 1,
            limit=0.02,
            resolution=0.02,
            run_noise=0.01,
            night_noise=0.003,
            nights=30,
        ),
    )


def write(count: int, nights: int) -> None:
    random = Random(1)
    first = date(2026, 1, 1)
    for number in range(1, nights + 1):
        files.write(
            Night(
                number=number,
                night=first + timedelta(days=number),
                suite="bench",
                session=f"bench-{number}",
                machine="machine",
                started=number * DAY,
                finished=number * DAY + 3600,
                facts={"driver": "575.57.08"},
                series=tuple(series(one, random, number) for one in range(count)),
            )
        )


def judged() -> float:
    """Return the CPU seconds of judging the last night against all before it."""
    nights = list(files.newest("bench"))
    tonight, before = nights[0], past.of(nights[1:], "machine")
    start = time.process_time()
    for one in tonight.series:
        judge(before.history(one.key), past.counted(one), lambda count: [])
    return time.process_time() - start


def painted(page: Path) -> float | None:
    """Return the milliseconds to the first contentful paint, None without Chromium."""
    with chromium.browser() as started:
        if started is None:
            return None
        tab = started.new_page()
        tab.goto(page.as_uri())
        tab.wait_for_timeout(500)
        entries = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        return float(tab.evaluate(entries))


@dataclass(frozen=True, kw_only=True)
class Size:
    """A suite, and the limits of its report: seconds of CPU, megabytes, milliseconds."""

    series: int
    nights: int
    judged: float
    made: float
    whole: float
    first: float
    painted: float


SIZES = (
    Size(series=40, nights=180, judged=10, made=3, whole=1, first=1, painted=1000),
    Size(series=1000, nights=180, judged=10, made=120, whole=30, first=4, painted=3000),
)


def measure(size: Size) -> bool:
    """Make nights and their report; return whether all limits were kept."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BENCHDOCK_HOME"] = f"{folder}/home"
        write(size.series, size.nights)
        judging = judged()
        start = time.process_time()
        assert benchdock(["report", "-o", f"{folder}/report"]) == 0
        made = time.process_time() - start
        root = Path(folder, "report")
        pages = [one for one in root.rglob("*") if one.is_file() and one.name != "plotly.min.js"]
        whole = sum(one.stat().st_size for one in pages) / 1e6
        first = (root / "index.html").stat().st_size / 1e6
        paint = [painted(one) for one in (root / "index.html", next((root / "series").iterdir()))]
    print(f"{size.series} series x {size.nights} nights")
    kept = [
        report("judging the last night", judging, size.judged, "s of CPU"),
        report("making the report", made, size.made, "s of CPU"),
        report("all pages beside plotly", whole, size.whole, "MB"),
        report("the first page", first, size.first, "MB"),
    ]
    for what, value in zip(("the first page", "a series"), paint, strict=True):
        if value is None:
            print(f"  {chromium.missing()}")
        else:
            kept.append(report(f"first paint of {what}", value, size.painted, "ms"))
    return all(kept)


if __name__ == "__main__":
    kept = [measure(size) for size in SIZES]
    sys.exit(0 if all(kept) else 1)
