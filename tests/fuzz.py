"""Mutates logs and looks for figures that a parser invents: `python -m tests.fuzz 500000`.

A log that is cut, whose lines are broken, whose numbers are wrong, or into which another run wrote,
may give a failure, the figure of the whole log, or another figure with a doubt; never another
figure in silence, and never an exception.
"""

import io
import json
import math
import random
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orchestrator.parsers import ParseHints, parse
from orchestrator.result import Measurement
from tests.support import sample_logs

SEED = 20171101
WRONG = (b"inf", b"1e999", b"nan", b"-1", b"0", b"0.00", b"1,234.56", b"9" * 400, b"1e-320")
_NUMBER = re.compile(rb"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")
_SAYS_CUT = re.compile(
    r"printed so far|no summary|does not say that|only \d+ (?:windows|line)|not every worker"
    r"|cannot be read"
)
_TOLERANCE = 1e-4  # relative
_ALWAYS = re.compile("standard deviation|own mean|reading data|times printed|windows give")


@dataclass(frozen=True)
class Base:
    """A log, how it is read, and what it gives while it is whole."""

    name: str
    program: str
    log: bytes
    hints: ParseHints
    whole: Measurement


@dataclass(frozen=True)
class Mutant:
    """A log that was changed, in a few words how, and whose figures it may give."""

    log: bytes
    how: str
    base: Base
    other: Measurement | None = None

    @property
    def wholes(self) -> list[Measurement]:
        """What the whole logs give that are in it."""
        return [self.base.whole, *([self.other] if self.other else [])]


def _value(found: Measurement) -> float | None:
    metric = found.metrics.get("throughput")
    return metric.value if metric is not None and found.failure is None else None


def _values(found: Measurement) -> list[float]:
    """Return the throughput of a log, or of each of its runs."""
    runs = [block["metrics"].get("throughput") for block in found.begin.blocks or ()]
    value = _value(found)
    return [*([] if value is None else [value]), *(run["value"] for run in runs if run)]


def bases() -> list[Base]:
    """Return the sample logs of the tests; `custom` reads what its user says."""
    logs = [
        (name, row["program"], sample_logs.log(name), sample_logs.hints(name))
        for name, row in sample_logs.INDEX.items()
        if row["program"] != "custom"
    ]
    return [Base(*log, _parse(log[1], log[2], log[3])) for log in logs]


def _parse(program: str, log: bytes, hints: ParseHints) -> Measurement:
    return parse(program, io.BytesIO(log), hints)


def cut(base: Base, _all: list[Base], chance: random.Random) -> Mutant:
    """End the log at any byte, with a line end or without."""
    place = chance.randrange(len(base.log))
    end = chance.choice((b"", b"\n"))
    return Mutant(base.log[:place] + end, f"cut at {place}, {end!r}", base)


def break_line(base: Base, _all: list[Base], chance: random.Random) -> Mutant:
    """Break a line in two at any byte."""
    place = chance.randrange(len(base.log))
    return Mutant(base.log[:place] + b"\n" + base.log[place:], f"broken at {place}", base)


def numbers(log: bytes) -> list[re.Match[bytes]]:
    """Return the numbers in a log."""
    return list(_NUMBER.finditer(log))


def wrong_number(base: Base, _all: list[Base], chance: random.Random) -> Mutant:
    """Replace a number by one that cannot be."""
    number = chance.choice(numbers(base.log))
    wrong = chance.choice(WRONG)
    log = base.log[: number.start()] + wrong + base.log[number.end() :]
    return Mutant(log, f"{number[0]!r} at {number.start()} made {wrong[:9]!r}", base)


def blend(base: Base, everyone: list[Base], chance: random.Random) -> Mutant:
    """Let another run of the program write into the log, line between line."""
    other = chance.choice([each for each in everyone if each.program == base.program])
    left = [each.log.splitlines(keepends=True) for each in (base, other)]
    lines: list[bytes] = []
    while any(left):
        lines.append(chance.choice([each for each in left if each]).pop(0))
    single = _parse(other.program, other.log, base.hints)
    return Mutant(b"".join(lines), f"blended with {other.name}", base, single)


MUTATIONS: tuple[Callable[[Base, list[Base], random.Random], Mutant], ...] = (
    cut,
    break_line,
    wrong_number,
    blend,
)


def _doubts(found: Measurement) -> set[str]:
    """Return the warnings, without the figures of those that any log may have."""
    return {
        re.sub(r"[\d.,]+", "#", text) if _ALWAYS.search(text) else text for text in found.warnings
    }


def complaint(mutant: Mutant, kind: str) -> str:
    """Return what is wrong with what a parser makes of a mutant, "" if nothing is."""
    base = mutant.base
    try:
        found = _parse(base.program, mutant.log, base.hints)
        json.loads(found.model_dump_json())
    except Exception:  # any exception is what is looked for
        return traceback.format_exc(limit=-3)
    value = _value(found)
    if value is None or _is_doubted(mutant, kind, found):
        return ""
    if not 0 < value < math.inf:
        return f"a throughput of {value}"
    known = [each for whole in mutant.wholes for each in _values(whole)]
    if any(math.isclose(value, each, rel_tol=_TOLERANCE) for each in known):
        return ""
    return f"{value:.6g} in silence, not {' or '.join(f'{each:.6g}' for each in known)}"


def _is_doubted(mutant: Mutant, kind: str, found: Measurement) -> bool:
    """Whether the result says that it is not of a complete log."""
    if kind == "cut":
        # Nothing tells a log that ends with an epoch from a whole one.
        told = _SAYS_CUT.search("\n".join(found.warnings))
        return told is not None or _ends_an_epoch(mutant.log)
    return bool(_doubts(found) - set().union(*map(_doubts, mutant.wholes)))


def _ends_an_epoch(log: bytes) -> bool:
    """Whether a log of timm ends with the last step of an epoch."""
    last = log.rstrip(b"\n").rpartition(b"\n")[2]
    return b"(100%)]" in last and b"Data: " in last


def mutants(count: int, seed: int = SEED) -> Iterator[tuple[str, Mutant]]:
    """Yield so many mutants of all logs with their kinds."""
    chance, everyone = random.Random(seed), bases()
    for number in range(count):
        mutation = MUTATIONS[number % len(MUTATIONS)]
        base = everyone[(number // len(MUTATIONS)) % len(everyone)]
        yield mutation.__name__, mutation(base, everyone, chance)


def main(count: int) -> int:
    """Try so many mutants, print what they gave, and return an exit status."""
    began, wrong, shown = time.monotonic(), Counter[str](), Counter[str]()
    for kind, mutant in mutants(count):
        if found := complaint(mutant, kind):
            base = mutant.base
            wrong[kind] += 1
            shown[f"{kind} {base.program}"] += 1
            if shown[f"{kind} {base.program}"] <= 3:
                print(f"{kind}: {base.name}, {mutant.how}: {found}", flush=True)
    print(f"{count} mutants in {time.monotonic() - began:.0f} s, complaints: {dict(wrong)}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000))
