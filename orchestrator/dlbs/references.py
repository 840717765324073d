"""Resolves `${name}` in the values of one benchmark, as DLBS does.

A name is a parameter of the benchmark or else an environment variable. A list is one text, with
blanks between its members. A Python expression `$(...)$` is refused: a configuration may come from
anybody.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.dlbs.configuration import Value
from orchestrator.dlbs.expansion import EXPRESSION, REFERENCE
from orchestrator.errors import quoted


class Unresolved(ValueError):  # noqa: N818 - it says what is wrong with a value
    """A value that cannot be known; the message says why."""


class References:
    """The values of a benchmark. `used` are the names whose values were needed."""

    def __init__(self, benchmark: Mapping[str, Value], environment: Mapping[str, str]) -> None:
        self._benchmark = benchmark
        self._environment = environment
        self.used: set[str] = set()

    def value(self, name: str) -> Value:
        """Return a parameter's value without references. Raises Unresolved."""
        return self._value(name, ())

    def _value(self, name: str, around: tuple[str, ...]) -> Value:
        if name in around:
            raise Unresolved(f"{quoted(name)} depends on itself")
        self.used.add(name)
        value = self._benchmark[name]
        if isinstance(value, list):
            value = " ".join(map(str, value))
        return self._resolved(value, (*around, name)) if isinstance(value, str) else value

    def _resolved(self, text: str, around: tuple[str, ...]) -> str:
        """Replace the innermost references until there are none: names may contain references."""
        if EXPRESSION in text:
            raise Unresolved(f"{quoted(around[-1])} has a Python expression, {quoted(text)}")
        while REFERENCE.search(text):
            text = REFERENCE.sub(lambda found: self._text(found[1], around), text)
        return text

    def _text(self, name: str, around: tuple[str, ...]) -> str:
        if name in self._benchmark:
            return str(self._value(name, around))
        if name not in self._environment:
            raise Unresolved(
                f"{quoted(around[-1])} needs ${{{name}}}, which is neither a parameter nor an "
                "environment variable"
            )
        value = self._environment[name]
        if REFERENCE.search(value):
            raise Unresolved(f"the environment variable {name} contains a reference")
        return value
