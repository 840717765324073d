"""Finds how many samples one query of trtexec has.

With an implicit batch (Caffe and UFF models up to release 8) trtexec counts samples as queries.
With an explicit one (ONNX, everything since 10) a query is a whole batch, whose size is the leading
dimension of the inputs. A loaded engine prints `Batch: 1` in either case. Quotes leave the options
out: then more queries than inferences, according to the printed times, mean an implicit batch.
"""

from __future__ import annotations

import math
import re
from typing import Any

from orchestrator.parsers.numbers import Line
from orchestrator.parsers.run import Run

EXPLICIT = "explicit"
# Facts that are only kept until the run's end.
_SHAPES = "input_shapes"
_ASKED_BATCH = "batch_asked"
_LOADS = "loads_engine"
_OLD = "release_5_or_before"
# The bound shapes are more reliable than the requested ones.
_SOURCES = ("binding", "inference", "shapes", "optShapes")
_ASKED = re.compile(r"--(?P<source>shapes|optShapes)=(?P<shapes>\S{1,2000})")
_COMMAND_BATCH = re.compile(r"--batch[= ](\d{1,9})(?!\S)")
_CERTAINLY_TWO = 1.9
_SHAPE = re.compile(r"(?:.*[=:])?(\d{1,9}(?:x\d{1,9})*)$")


def read_command(facts: dict[str, Any], command: str) -> None:
    """Read the command that trtexec repeats in its banners."""
    if not command:
        return
    facts[_LOADS] = "--loadEngine" in command
    facts[_ASKED_BATCH] = int(match[1]) if (match := _COMMAND_BATCH.search(command)) else 1
    for asked in _ASKED.finditer(command):
        read_shapes(facts, asked["source"], asked["shapes"])


def read_option(run: Run, text: str, line: Line) -> None:
    """Read the text after `Batch: ` since release 6: a number, or Explicit."""
    run.same("batch_option", int(text) if text.isdecimal() else EXPLICIT, line)


def known_batch(run: Run) -> int | None:
    """Return the batch of an inference, if the lines so far give it."""
    option = run.facts.get("batch_option")
    if isinstance(option, int) and option > 1:
        return option
    return _leading(run.facts.get(_SHAPES, {}), certain=option == EXPLICIT) or (
        run.facts.get(_ASKED_BATCH) if run.facts.get(_OLD) else None
    )


def read_shapes(facts: dict[str, Any], source: str, text: str) -> None:
    """Read `1x3x224x224`, or `a:1x3x224x224,b:1x5`."""
    for part in text.strip("'\"").split(","):
        if match := _SHAPE.match(part):
            shape = [int(size) for size in match[1].split("x")]
            facts.setdefault(_SHAPES, {}).setdefault(source, []).append(shape)


def mark_old(facts: dict[str, Any]) -> None:
    """Remember that a line is of a release that only has implicit batches."""
    facts[_OLD] = True


def samples_per_query(run: Run, *, queries: float) -> int | None:
    """Return the factor for the printed queries; None if the log does not give it.

    Sets the fact `batch`, samples per inference, if the log gives it. `queries` are those in the
    time of one inference, 0 if unknown.
    """
    facts, option = run.facts, run.facts.get("batch_option")
    shapes, asked = facts.pop(_SHAPES, {}), facts.pop(_ASKED_BATCH, None)
    loads, old = facts.pop(_LOADS, None), facts.pop(_OLD, False)
    implicit = option if isinstance(option, int) and option > 1 else None
    if option is None and _CERTAINLY_TWO <= queries < math.inf:
        implicit = round(queries)
    batch = implicit or _leading(shapes, certain=option == EXPLICIT)
    if batch is None and old:
        batch = asked
    if batch is None and option == 1 and not shapes and loads is False:
        batch = 1
    if batch:
        run.fact("batch", batch)
    # Before release 8 a throughput with an explicit batch is printed as 0.
    counts_samples = option != EXPLICIT and run.printed.get("throughput", 0.0) > 0
    return 1 if counts_samples or implicit else run.batch


def _leading(shapes: dict[str, list[list[int]]], *, certain: bool) -> int | None:
    """Return the first dimension of the inputs, None if they have no common one."""
    for source in _SOURCES:
        found = shapes.get(source, [])
        if not found:
            continue
        # An implicit batch is not a dimension: what leads channels x height x width is not a batch.
        if source == "binding" and not certain and any(len(shape) == 3 for shape in found):
            return 1 if all(shape[0] in (1, 3) for shape in found) else None
        leading = {shape[0] for shape in found}
        return leading.pop() if len(leading) == 1 else None
    return None
