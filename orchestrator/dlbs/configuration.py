"""A configuration of DLBS: parameters, variables and extensions, from a file and options.

The options are DLBS's own: -P sets a parameter, -V a variable, -E appends an extension.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.dlbs.json_text import Steps, Text, listed, shown
from orchestrator.errors import RequestError, nearest, quoted

ROOT_KEYS = ("parameters", "variables", "extensions")
EXTENSION_KEYS = ("condition", "parameters", "cases")
VAR_ORDER = "sys.plan_builder.var_order"

Scalar = str | int | float | bool | None
Value = Scalar | list[Scalar]
Parameters = Mapping[str, Value]


@dataclass(frozen=True, kw_only=True)
class Extension:
    """Changes the benchmarks that `condition` matches; with `cases`, each becomes several.

    `place` is where it stands, for messages.
    """

    place: str
    condition: Parameters = field(default_factory=dict)
    parameters: Parameters = field(default_factory=dict)
    cases: tuple[Parameters, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What DLBS builds its plan from. `traps` are what it does silently with it."""

    parameters: Parameters = field(default_factory=dict)
    variables: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    extensions: tuple[Extension, ...] = ()
    traps: tuple[str, ...] = ()

    def with_options(
        self,
        parameters: Sequence[tuple[str, Text]] = (),
        variables: Sequence[tuple[str, Text]] = (),
        extensions: Sequence[Text] = (),
    ) -> Configuration:
        """Return it with DLBS's options -P, -V and -E applied. Raises RequestError."""
        set_ = {name: _value(text, (), name) for name, text in parameters}
        varied = {name: _values(text, (), name) for name, text in variables}
        swept = {**self.variables, **varied}
        traps = [
            f"-P {name}: {name} is a variable, so its value {shown(set_[name])} has no effect"
            for name in set_
            if name in swept
        ]
        return Configuration(
            parameters={**self.parameters, **set_},
            variables=swept,
            extensions=(*self.extensions, *(_extension(text, ()) for text in extensions)),
            traps=(*self.traps, *traps),
        )


def configuration(text: Text) -> Configuration:
    """Read the configuration that a file contains. Raises RequestError with line and column."""
    _object(text, (), "a configuration")
    _check_keys(text, (), ROOT_KEYS)
    parameters = {
        name: _parameter(text, ("parameters", name), name)
        for name in _object(text, ("parameters",), "parameters")
    }
    variables = {
        name: _values(text, ("variables", name), name)
        for name in _object(text, ("variables",), "variables")
    }
    steps = range(len(_list(text, ("extensions",), "extensions")))
    return Configuration(
        parameters=parameters,
        variables=variables,
        extensions=tuple(_extension(text, ("extensions", step)) for step in steps),
        traps=tuple(_repeated(text)),
    )


def _repeated(text: Text) -> Iterator[str]:
    for place, path in text.repeated():
        yield f"{place}: {quoted(str(path[-1]))} is here a second time; only the last one counts"


def _at(text: Text, path: Steps) -> Any:
    value = text.value
    for step in path:
        value = value[step]
    return value


def _part(text: Text, path: Steps, missing: Any) -> Any:
    """Return a part of an object that has been checked, or what stands for a missing one."""
    if path and isinstance(path[-1], str) and path[-1] not in _at(text, path[:-1]):
        return missing
    return _at(text, path)


def _object(text: Text, path: Steps, name: str) -> dict[str, Any]:
    value = _part(text, path, {})
    if not isinstance(value, dict):
        raise text.mistake(path, f'{name} is {shown(value)}, not an object such as {{"a": 1}}')
    return value


def _list(text: Text, path: Steps, name: str) -> list[Any]:
    value = _part(text, path, [])
    if not isinstance(value, list):
        raise text.mistake(path, f"{name} is {shown(value)}, not a list such as [{{...}}]")
    return value


def _check_keys(text: Text, path: Steps, known: Sequence[str]) -> None:
    for key in _at(text, path):
        if key not in known:
            near = nearest(key, known)
            hint = f"did you mean {near!r}?" if near else f"use one of {', '.join(known)}"
            raise text.mistake((*path, key), f"unknown key {quoted(key)}", hint)


def _extension(text: Text, path: Steps) -> Extension:
    _object(text, path, "an extension")
    _check_keys(text, path, EXTENSION_KEYS)
    cases = range(len(_list(text, (*path, "cases"), "cases")))
    return Extension(
        place=text.place(path),
        condition=_values_of(text, (*path, "condition"), "condition"),
        parameters=_values_of(text, (*path, "parameters"), "parameters"),
        cases=tuple(_values_of(text, (*path, "cases", step), "a case") for step in cases),
    )


def _values_of(text: Text, path: Steps, what: str) -> dict[str, Value]:
    return {name: _value(text, (*path, name), name) for name in _object(text, path, what)}


def _parameter(text: Text, path: Steps, name: str) -> Value:
    """Return a parameter's value, which may stand in an object with type and description."""
    value = _at(text, path)
    if not isinstance(value, dict):
        return _value(text, path, name)
    if "val" not in value:
        raise text.mistake(path, f"the description of {quoted(name)} has no 'val'", "add its value")
    return _value(text, (*path, "val"), name)


def _values(text: Text, path: Steps, name: str) -> tuple[Value, ...]:
    """Return the values of a variable; a single one is a list of one."""
    value = _at(text, path)
    if not isinstance(value, list):
        return (_value(text, path, name),)
    return tuple(_value(text, (*path, step), name) for step in range(len(value)))


def _value(text: Text, path: Steps, name: str) -> Value:
    value = _at(text, path)
    several = value if isinstance(value, list) else [value]
    if any(isinstance(one, dict | list) for one in several):
        raise text.mistake(
            path, f"the value of {quoted(name)} is {shown(value)}", "use a text, a number or a list"
        )
    result: Value = value
    return result


def order(found: Configuration) -> tuple[str, ...]:
    """Return the variables in the order of the loops, outermost first. Raises RequestError."""
    wanted = found.parameters.get(VAR_ORDER, [])
    if not isinstance(wanted, list) or not all(isinstance(name, str) for name in wanted):
        raise RequestError(f"{VAR_ORDER} is {shown(wanted)}, not a list of names")
    first = [name for name in map(str, wanted) if name in found.variables]
    return tuple(dict.fromkeys((*first, *found.variables)))


def empty_variables(found: Configuration) -> str:
    """Name the variables without values, because of which the plan is empty; "" if none."""
    return listed([name for name, values in found.variables.items() if not values])
