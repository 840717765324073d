"""The values of one benchmark of DLBS, as texts and numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.dlbs.configuration import Value
from orchestrator.dlbs.expansion import Benchmark
from orchestrator.dlbs.json_text import shown
from orchestrator.dlbs.networks import NotHere
from orchestrator.dlbs.references import References, Unresolved


@dataclass(frozen=True, kw_only=True)
class Source:
    """A benchmark with the names that the configuration sets, and its resolved values."""

    benchmark: Benchmark
    set_: frozenset[str]
    values: References

    def get(self, name: str) -> Value:
        """Return a value. Raises NotHere if it cannot be known."""
        try:
            return self.values.value(name)
        except Unresolved as error:
            raise NotHere(str(error)) from None

    def text(self, name: str) -> str:
        """Return a value as text; "" if it is not set."""
        value = self.get(name) if name in self.set_ and name in self.benchmark else ""
        return "" if value is None else str(value).strip()

    def number(self, name: str) -> int:
        """Return a whole number, DLBS's default if it is not set."""
        value = self.get(name)
        text = str(value)
        if isinstance(value, bool) or not re.fullmatch(r"\d{1,9}(\.0)?", text, re.ASCII):
            raise NotHere(f"{name} is {shown(value)}, not a whole number")
        return int(float(text))


def source(benchmark: Benchmark, set_: frozenset[str], environment: Mapping[str, str]) -> Source:
    """Return the values of a benchmark; `set_` are the names that its configuration sets."""
    known: Benchmark = {"exp.framework_family": family(benchmark)}
    if "exp.framework_family" in set_:
        known = {}
    values = References(benchmark | known, environment)
    return Source(benchmark=benchmark, set_=set_, values=values)


def family(benchmark: Benchmark) -> str:
    """Return DLBS's name for a framework's family: all forks of Caffe are one."""
    name = str(benchmark.get("exp.framework", ""))
    return "caffe" if name.endswith("_caffe") else name
