"""nvcnn.py and nvcnn_hvd.py of NVIDIA's TensorFlow containers up to about 18.05."""

from __future__ import annotations

import re

from orchestrator.parsers import vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.headers import HEADERS
from orchestrator.parsers.tables import DIGITS, LAST_COLUMN, LAST_COLUMN_WIDE, VALUE
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run

program = "nvcnn"

BURN_IN = 20  # steps, the program's default


def _table(log: Log, found: Found) -> None:
    del found
    log.begin()
    log.stage = "warmup"


def _row(log: Log, found: Found) -> None:
    step = found.count("step")
    log.window((step,), found.number("rate"), found.line)
    if step <= BURN_IN:
        log.run.notes["burn_in"] = log.run.windows.count


def _summary(log: Log, found: Found) -> None:
    log.run.take("total", found.number(), found.line)
    log.stage = "done"


def _too_short(log: Log, found: Found) -> None:
    log.run.fail("the run did not get past its burn-in steps", found.line)


def _out_of_memory(log: Log, found: Found) -> None:
    log.run.fail("the program ran out of memory", found.line, kind="out_of_memory")


def _conclude(run: Run, hints: ParseHints) -> None:
    del hints
    burn_in = run.notes.get("burn_in", 0)
    run.recompute(first=burn_in, why=f"the program's {BURN_IN} burn-in steps")
    run.headline(run.printed.get("total"), estimator="mean_of_rates", missing='line "Images/sec"')


_ROWS = re.compile(
    rf" *(?P<step>{COUNT}) +\d+ +(?P<rate>\d+\.\d|nan|inf) +{VALUE} +-?\d+\.\d{{5}}$"
)

FORMAT = Format(
    program=program,
    rules=(
        Rule(b"/sec", re.compile(r" *Step Epoch Img/sec +Loss +LR$"), _table),
        Rule(LAST_COLUMN, _ROWS, _row),
        Rule(LAST_COLUMN_WIDE, _ROWS, _row),
        Rule(
            b"/sec",
            re.compile(rf"Images/sec: ({NUMBER}) \+/- {NUMBER} \(jitter = {NUMBER}\)"),
            _summary,
        ),
        Rule(b"burn-in phase", re.compile(r"No results, did not get past burn-in"), _too_short),
        Rule(
            b"Out of memory error",
            re.compile(r"Out of memory error detected, exiting"),
            _out_of_memory,
        ),
        *HEADERS,
    ),
    conclude=_conclude,
    table=DIGITS,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a factory in place of a class)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
