"""Measures reports: `python -m tests.bench.report SERIES NIGHTS`.

Prints CPU seconds of judging one night and of making the pages, the sizes of the pages, and, if
Chromium is there, when it first paints.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from random import Random

from orchestrator.nights import files, judge, past
from orchestrator.nights.record import Night, NightJudgement, NightRun, NightSeries

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
    from tests.support.chromium import browser

    with browser() as chromium:
        if chromium is None:
            return None
        tab = chromium.new_page()
        tab.goto(page.as_uri())
        tab.wait_for_timeout(500)
        entries = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        return float(tab.evaluate(entries))


def main(count: int, nights: int) -> None:
    from orchestrator.cli import main as benchdock

    with tempfile.TemporaryDirectory() as folder:
        os.environ["BENCHDOCK_HOME"] = f"{folder}/home"
        write(count, nights)
        print(f"judging {count} series x {nights} nights: {judged():.2f} s of CPU")
        start = time.process_time()
        benchdock(["report", "-o", f"{folder}/report"])
        print(f"report: {time.process_time() - start:.2f} s of CPU")
        pages = [one for one in Path(folder, "report").rglob("*") if one.name != "plotly.min.js"]
        total = sum(one.stat().st_size for one in pages if one.is_file())
        index = Path(folder, "report", "index.html")
        print(f"all pages {total / 1e6:.2f} MB, the first one {index.stat().st_size / 1e6:.2f} MB")
        print(f"first paint of the first page: {painted(index)} ms")
        print(f"of a series: {painted(next(iter(Path(folder, 'report', 'series').iterdir())))} ms")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
