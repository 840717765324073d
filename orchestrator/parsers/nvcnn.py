"""Reads logs of nvcnn.py and nvcnn_hvd.py in NVIDIA's TensorFlow containers up to about 18.05."""

from __future__ import annotations

import re

from orchestrator.parsers import vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.headers import HEADERS
from orchestrator.parsers.tables import DIGITS, LAST_COLUMN, LAST_COLUMN_WIDE, VALUE
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run
from orchestrator.units import counted

program = "nvcnn"

BURN_IN = 20  # steps, the program's default
# Notes of a run: steps that are left out, and rows of the table that are of them.
_STEPS, _ROWS_OF_THEM = "burn_in_steps", "burn_in"
# HPE's copy prints the network's title, so that its alexnet is not mistaken for NVIDIA's.
_TITLE = "model_title"
_WITH_LRN = "AlexNet"


def _burn_in(log: Log, found: Found) -> None:
    if not found.cut():
        log.run.notes[_STEPS] = found.count()


def _title(log: Log, found: Found) -> None:
    log.run.fact(_TITLE, found.text())


def _table(log: Log, found: Found) -> None:
    del found
    log.begin()
    log.stage = "warmup"


def _row(log: Log, found: Found) -> None:
    step = found.count("step")
    log.window((step,), found.number("rate"), found.line)
    if step <= log.run.notes.get(_STEPS, BURN_IN):
        log.run.notes[_ROWS_OF_THEM] = log.run.windows.count


def _summary(log: Log, found: Found) -> None:
    log.run.take("total", found.number(), found.line)
    log.stage = "done"


def _too_short(log: Log, found: Found) -> None:
    log.run.fail("the run did not get past its burn-in steps", found.line)


def _out_of_memory(log: Log, found: Found) -> None:
    log.run.fail("the program ran out of memory", found.line, kind="out_of_memory")


def _check_title(run: Run, hints: ParseHints) -> None:
    """Refuse HPE's alexnet, which has LRN, if the one without was requested."""
    if run.facts.get(_TITLE) == _WITH_LRN and hints.model == "alexnet_owt":
        run.fail(
            f"the log says {_TITLE} {_WITH_LRN}, which is AlexNet with LRN, not alexnet_owt as "
            "requested: use alexnet as MODEL",
            kind="contradiction",
        )


def _conclude(run: Run, hints: ParseHints) -> None:
    steps = run.notes.get(_STEPS, BURN_IN)
    why = f"the program's {counted(steps, 'burn-in step')}"
    burn_in = run.notes.get(_ROWS_OF_THEM, 0)
    if run.windows.count > burn_in:  # a short run prints no row of a timed step
        run.recompute(first=burn_in, why=why)
    _check_title(run, hints)
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
        Rule(b"Burn-in steps:", re.compile(rf"Burn-in steps: +({COUNT})$"), _burn_in),
        Rule(b"__exp.model_", re.compile(r'__exp\.model_title__="(\w{1,40})"$'), _title),
        *HEADERS,
    ),
    conclude=_conclude,
    table=DIGITS,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a factory in place of a class)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
