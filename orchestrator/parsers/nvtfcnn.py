"""Reads logs of resnet.py and similar scripts (nvutils runner) in NVIDIA's TensorFlow containers
since
18.06.
"""

from __future__ import annotations

import re

from orchestrator.parsers import doubts, vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.headers import ARGUMENT, TF_VERSION, check_end, start
from orchestrator.parsers.tables import DIGITS, LAST_COLUMN, LAST_COLUMN_WIDE, VALUE
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run

program = "nvtfcnn"

_TABLE = "table"  # a note of a run whose table has its head
# The first rows, which DLBS leaves out of its published figures.
FEW_ROWS = 20
WARM_UP_OF_FEW = 2
WARM_UP_OF_MANY = 10


def _table(log: Log, found: Found) -> None:
    del found
    log.begin()
    log.run.notes[_TABLE] = 1
    log.stage = "warmup"


def _row(log: Log, found: Found) -> None:
    """Take the rate of the steps since the row before."""
    step = found.count("step")
    before = log.run.windows.last_key
    steps = step - before[0] if before and before[0] < step else 1
    log.window((step,), found.number("rate"), found.line, samples=steps)


def _tensorflow_2(log: Log, found: Found) -> None:
    other = "this is nvidia-examples/cnn of TensorFlow 2: use `benchdock parse tf_official_models`"
    log.run.fail(other, found.line, kind="unsupported")


def _doubt_xla(run: Run, hints: ParseHints) -> None:
    """Warn if the program used XLA differently than requested."""
    xla = run.facts.get("xla")
    if hints.xla is not None and isinstance(xla, bool) and xla != hints.xla:
        asked = "on" if hints.xla else "off"
        run.warn(f"the log says --use_xla {xla}, but --option xla={asked} was requested")


def _ends_short(run: Run) -> bool:
    """Whether the last row is of fewer steps than the others; most releases never print such a row.

    They print step 1 and the multiples of display_every.
    """
    told = run.facts.get("display_every")
    every = told if isinstance(told, int) else run.windows.usual_distance
    return bool(run.windows.count and every and run.windows.last_key[0] % every)


def _conclude(run: Run, hints: ParseHints) -> None:
    _doubt_xla(run, hints)
    rows = run.windows.count
    first = WARM_UP_OF_FEW if rows < FEW_ROWS else WARM_UP_OF_MANY
    last = int(_ends_short(run))
    why = "warm-up, and a last window that is short" if last else "warm-up"
    mean = run.recompute(first=first, last=last, why=why)
    run.prove_by_windows()
    run.windows_headline(mean, missing="table of Img/sec")
    check_end(run)
    doubts.copies(run)
    doubts.gaps(run)
    if run.notes.get(_TABLE) and run.windows.count and run.windows.first_step > 1:
        run.warn("the table does not begin with step 1: lines are broken or lost")
    if run.facts.get("num_iter") is None:
        doubts.end(run, "the log does not give the number of requested steps")


_ROWS = re.compile(
    rf" *(?P<step>{COUNT}) +\d+\.\d +(?P<rate>\d+\.\d|nan|inf) +{VALUE} +{VALUE} +-?\d+\.\d{{5}}$"
)

FORMAT = Format(
    program=program,
    rules=(
        Rule(b"Step Epoch Img/sec", re.compile(r" *Step Epoch Img/sec +Loss +LR$"), _table),
        Rule(LAST_COLUMN, _ROWS, _row),
        Rule(LAST_COLUMN_WIDE, _ROWS, _row),
        Rule(b"TF 0.0", TF_VERSION, start),
        Rule(
            b" images_per_sec: ",
            re.compile(rf"global_step: {COUNT} images_per_sec: {NUMBER}$"),
            _tensorflow_2,
        ),
        ARGUMENT,
    ),
    conclude=_conclude,
    table=DIGITS,
    has_end=False,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a factory in place of a class)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
