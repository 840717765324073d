"""Builds the benchmarks of a configuration as DLBS does, and says where it surprises.

DLBS's rules: the product of all variables; then each extension in turn changes the benchmarks that
its condition matches, and sees what the ones before it did. In a condition a missing parameter
counts as a match, a text is a regular expression for the beginning of the value, the members of a
list are compared, and anything else must be equal.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.dlbs.configuration import Configuration, Extension, Parameters, Value, order
from orchestrator.dlbs.json_text import listed, shown
from orchestrator.errors import RequestError, quoted

MOST_BENCHMARKS = 100_000
REFERENCE = re.compile(r"\$\{([^{}]+)\}")
EXPRESSION = "$("
_SPECIAL = re.compile(r"[][\\^$|?*+(){}]")  # shows that a pattern is meant as one
_MATCHED = re.compile(r"\$\{__condition\.([^{}]+)_(\d+)\}")

Benchmark = dict[str, Value]


@dataclass(kw_only=True)
class Traps:
    """What DLBS did silently, by the extension that did it; collected while it is applied."""

    absent: dict[tuple[str, str], None] = field(default_factory=dict)
    prefixes: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def told(self) -> tuple[str, ...]:
        """Return one sentence for each."""
        missing = (
            f"{place}: no parameter is called {quoted(name)}, and DLBS ignores such a condition: "
            "the extension applies without it"
            for place, name in self.absent
        )
        longer = (
            f"{place}: the condition {quoted(name)}: {quoted(text)} also matches {quoted(value)}, "
            "because it is a pattern for the beginning"
            for (place, name, text), value in self.prefixes.items()
        )
        return (*missing, *longer)


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """The benchmarks in DLBS's order, and what it did silently on the way."""

    benchmarks: tuple[Benchmark, ...]
    traps: tuple[str, ...]


def expand(found: Configuration, defaults: Parameters) -> Expansion:
    """Build all benchmarks. `defaults` are DLBS's parameters that the configuration does not set.

    Raises RequestError if DLBS would break off, or if there are too many.
    """
    names = order(found)
    _check_size(math.prod(len(found.variables[name]) for name in names))
    traps = Traps()
    base = {**defaults, **found.parameters}
    benchmarks: list[Benchmark] = []
    for values in itertools.product(*(found.variables[name] for name in names)):
        first = base | dict(zip(names, values, strict=True))
        benchmarks += _extended(first, found.extensions, traps)
        _check_size(len(benchmarks))
    return Expansion(benchmarks=tuple(benchmarks), traps=(*found.traps, *traps.told()))


def _check_size(count: int) -> None:
    if count > MOST_BENCHMARKS:
        raise RequestError(
            f"the configuration makes {count:,} benchmarks or more, the limit is "
            f"{MOST_BENCHMARKS:,}",
            hint="shorten the lists in `variables`",
        )


def _extended(first: Benchmark, extensions: Iterable[Extension], traps: Traps) -> list[Benchmark]:
    """Return what all extensions make of one benchmark."""
    benchmarks = [first]
    for extension in extensions:
        before, benchmarks = benchmarks, []
        for one in before:
            benchmarks += _applied(one, extension, traps)
            _check_size(len(benchmarks))
    return benchmarks


def _applied(one: Benchmark, extension: Extension, traps: Traps) -> list[Benchmark]:
    """Return what an extension makes of one benchmark: itself if the condition does not match."""
    matched = _match(one, extension, traps)
    if matched is None:
        return [one]
    base = one | _with_matches(extension.parameters, matched, extension)
    if not extension.cases:
        return [base]
    return [base | _with_matches(case, matched, extension) for case in extension.cases]


def _match(one: Benchmark, extension: Extension, traps: Traps) -> dict[str, str] | None:
    """Return the matched texts by "name_number", None if the condition does not match."""
    matched: dict[str, str] = {}
    absent = [name for name in extension.condition if name not in one]
    longer: dict[tuple[str, str, str], str] = {}
    # DLBS looks at all values before it compares any.
    for name in extension.condition:
        if name in one:
            _refuse_derived(name, one[name], extension)
    for name, wanted in extension.condition.items():
        if name in absent:
            continue
        value = one[name]
        if isinstance(wanted, str) and wanted:
            match = _pattern(wanted, name, extension).match(_text(name, value, extension))
            if match is None:
                return None
            matched |= {f"{name}_{n}": str(text) for n, text in enumerate(match.groups(), 1)}
            if match[0] != value and not _SPECIAL.search(wanted):
                longer[extension.place, name, wanted] = str(value)
        elif value not in (wanted if isinstance(wanted, list) else [wanted]):
            return None
        matched[f"{name}_0"] = str(value)
    traps.absent |= {(extension.place, name): None for name in absent}
    traps.prefixes = longer | traps.prefixes
    return matched


def _refuse_derived(name: str, value: Value, extension: Extension) -> None:
    derived = isinstance(value, str) and (REFERENCE.search(value) or EXPRESSION in value)
    if derived:
        raise RequestError(
            f"{extension.place}: a condition on {quoted(name)}, whose value {shown(value)} depends "
            "on others; DLBS refuses it too",
            hint="use the parameters that it depends on",
        )


def _pattern(text: str, name: str, extension: Extension) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise RequestError(
            f"{extension.place}: the condition {quoted(name)}: {quoted(text)} is not a regular "
            f"expression: {error}"
        ) from None


def _text(name: str, value: Value, extension: Extension) -> str:
    if isinstance(value, str):
        return value
    raise RequestError(
        f"{extension.place}: the condition on {quoted(name)} is a text, but its value is "
        f"{shown(value)}; DLBS breaks off here",
        hint="remove the quotes in the condition",
    )


def _with_matches(
    parameters: Parameters, matched: Mapping[str, str], extension: Extension
) -> Benchmark:
    """Return an extension's parameters with what its condition matched in them."""

    def put(found: re.Match[str]) -> str:
        key = f"{found[1]}_{found[2]}"
        if key not in matched:
            known = listed([f"${{__condition.{key}}}" for key in matched]) or "nothing"
            raise RequestError(
                f"{extension.place}: {quoted(found[0])} does not exist; the condition gives {known}"
            )
        return matched[key]

    def filled(value: Any) -> Any:
        if isinstance(value, list):
            return [filled(one) for one in value]
        return _MATCHED.sub(put, value) if isinstance(value, str) else value

    return {name: filled(value) for name, value in parameters.items()}
