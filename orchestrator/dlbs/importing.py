"""Imports a configuration of DLBS: a suite file, and what to know about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.dlbs import defaults
from orchestrator.dlbs.configuration import Configuration, Value, empty_variables
from orchestrator.dlbs.expansion import Benchmark, Expansion, expand
from orchestrator.dlbs.json_text import shown
from orchestrator.dlbs.mapping import OFF, Mapped, is_not_needed, mapped
from orchestrator.dlbs.networks import NotHere
from orchestrator.dlbs.suite_text import Entry, repeated, write
from orchestrator.errors import RequestError
from orchestrator.frameworks import catalogue
from orchestrator.units import counted

MOST_REPEATS = 1000
_OWN_IMAGES = ("dlbs/", "hpe/")


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A suite file, the number of benchmarks in DLBS's plan and of runs, repeats included.

    `notes` say what DLBS does silently and what was not carried over.
    """

    text: str
    benchmarks: int
    runs: int
    notes: tuple[str, ...]


def import_(
    found: Configuration, name: str, environment: Mapping[str, str], *, source: str = ""
) -> Imported:
    """Turn a configuration into a suite called `name`; `source` names its file in a comment.

    Raises RequestError if it is wrong or if no run is left.
    """
    defaults.refuse_unknown(found)
    expansion = expand(found, defaults.DEFAULTS)
    if empty := empty_variables(found):
        raise RequestError(
            f"the plan is empty: the variable {empty} has no values",
            hint="give it a value or remove it",
        )
    set_ = frozenset(defaults.names_set(found))
    on = [one for one in expansion.benchmarks if one.get("exp.status") not in OFF]
    runs, missing = _mapped(on, set_, environment)
    total = len(expansion.benchmarks)
    if not runs:
        raise _nothing(total, len(on), missing)
    entries = repeated((run.keys, run.tags) for run in runs)
    _check_repeats(entries)
    notes = (*_notes(expansion, len(on), missing), *_of_runs(runs, entries, set_))
    head = (f"Imported from {source or 'a command line'} by `benchdock import-dlbs`.", *notes)
    return Imported(
        text=write(name, entries, (_printable(line) for line in head)),
        benchmarks=total,
        runs=len(runs),
        notes=notes,
    )


def _printable(line: str) -> str:
    return line if line.isprintable() else ascii(line)[1:-1]


def _mapped(
    benchmarks: Iterable[Benchmark], set_: frozenset[str], environment: Mapping[str, str]
) -> tuple[list[Mapped], Counter[str]]:
    """Return the runs, and how many benchmarks are not possible by the reason."""
    runs, missing = [], Counter[str]()
    for one in benchmarks:
        try:
            runs.append(mapped(one, set_, environment))
        except NotHere as error:
            missing[str(error)] += 1
    return runs, missing


def _nothing(total: int, on: int, missing: Counter[str]) -> RequestError:
    if not on:
        return RequestError(
            f"all {counted(total, 'benchmark')} of the plan are disabled (exp.status)",
            hint="run `benchdock import-dlbs FILE '-Pexp.status=\"\"'` to import them",
        )
    (why, count), more = missing.most_common(1)[0], len(missing) - 1
    others = f" ({counted(more, 'other reason')} for the rest)" if more else ""
    return RequestError(f"no benchmark can be imported; {count} of {total}: {why}{others}")


def _check_repeats(entries: Sequence[Entry]) -> None:
    most = max(entry.repeat for entry in entries)
    if most > MOST_REPEATS:
        raise RequestError(
            f"one run would be repeated {most:,} times, the limit is {MOST_REPEATS:,}",
            hint="shorten the lists in `variables`",
        )


def _notes(expansion: Expansion, on: int, missing: Counter[str]) -> Iterator[str]:
    yield from expansion.traps
    total = len(expansion.benchmarks)
    if on < total:
        off = total - on
        yield f"{off} of {counted(total, 'benchmark')} are disabled (exp.status) and left out"
    for why, count in missing.items():
        yield f"{count} of {counted(total, 'benchmark')} cannot run here and are left out: {why}"


def _of_runs(
    runs: Sequence[Mapped], entries: Sequence[Entry], set_: frozenset[str]
) -> Iterator[str]:
    yield from dict.fromkeys(note for run in runs for note in run.notes)
    left: dict[str, Value] = {}
    for run in runs:
        left = {**run.left_out, **left}
    for name, value in left.items():
        yield f"{name} ({shown(value)}) has no counterpart and is left out"
    if names := sorted(name for name in set_ if is_not_needed(name)):
        yield f"not needed here: {', '.join(names)}"
    for program in dict.fromkeys(str(run.keys["framework"]) for run in runs):
        vendor = catalogue.framework(program).vendor
        if vendor is not None and vendor.source_help and not vendor.home:
            yield f"{program} needs its own folder ({vendor.source_help}): add source: DIR"
    for image in dict.fromkeys(str(run.keys.get("image", "")) for run in runs):
        if image.startswith(_OWN_IMAGES):
            yield f"the image {image} is built by DLBS: remove it to run in one of benchdock's"
    if len(entries) < len(runs):
        yield (
            f"{counted(len(runs), 'benchmark')} are {counted(len(entries), 'run')} with "
            "repeats: they differ only in what is not needed or left out"
        )
