"""Finds the differences between two results' conditions, most important first."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.facts import GROUPS, Group
from orchestrator.plan import Plan
from orchestrator.result import Result
from orchestrator.results.compared import FACTS
from orchestrator.units import quantity

# Differences in the monitor's figures are reported from this share on, or these many degrees.
_NOTEWORTHY = 0.10
_LONGEST = 200


@dataclass(frozen=True, kw_only=True)
class Change:
    """One fact that differs; `before` and `after` are text for the user.

    `follows` names another change that explains this one: then it is not an independent variable.
    """

    group: Group
    name: str
    before: str
    after: str
    follows: str = ""


def differences(a: Result, b: Result) -> tuple[Change, ...]:
    """Return what differs, most important first."""
    found = [*_facts(a, b)]
    found += _settings(a, b)
    changed = {change.name for change in found}
    resolved = [_explained(change, changed) for change in found]
    resolved += _options(a, b, resolved)
    resolved += _script(a, b, resolved)
    resolved += _seen(a, b)
    # sorted() is stable: the order of the tables is kept within a group.
    return tuple(sorted(resolved, key=lambda change: GROUPS.index(change.group)))


def unrecorded(a: Result, b: Result) -> tuple[str, ...]:
    """Name the facts that only one of the two results records."""
    pairs = ((fact.name, fact.value(a), fact.value(b)) for fact in FACTS)
    return tuple(name for name, one, other in pairs if (one is None) != (other is None))


def _facts(a: Result, b: Result) -> Iterator[Change]:
    for fact in FACTS:
        before, after = fact.value(a), fact.value(b)
        if before is None or after is None or fact.key(before) == fact.key(after):
            continue
        yield Change(
            group=fact.group,
            name=fact.name,
            before=_written(before, fact.unit),
            after=_written(after, fact.unit),
        )


_FOLLOWS: Mapping[str, tuple[str, ...]] = {fact.name: fact.follows for fact in FACTS}


def _explained(change: Change, changed: Collection[str]) -> Change:
    cause = next((name for name in _FOLLOWS.get(change.name, ()) if name in changed), "")
    return Change(**{**vars(change), "follows": cause}) if cause else change


def _settings(a: Result, b: Result) -> Iterator[Change]:
    """Yield the differences in environment variables and limits, one line each."""
    if a.plan is None or b.plan is None:
        return
    for name, one, other in (
        ("variable", a.plan.environment, b.plan.environment),
        ("limit", _limits(a.plan), _limits(b.plan)),
    ):
        yield from _of_mappings("settings", name, one, other)


def _limits(plan: Plan) -> dict[str, object]:
    return plan.limits.model_dump(mode="json", exclude={"ulimits"}) | {
        f"ulimit {one.name}": f"{one.soft}:{one.hard}" for one in plan.limits.ulimits
    }


def _options(a: Result, b: Result, changes: Collection[Change]) -> Iterator[Change]:
    """Yield the differences in the program's options: as used, else as requested.

    An option that nobody requested is the program's choice, which follows from something else.
    """
    asked = [dict(r.request.options) if r.request else {} for r in (a, b)]
    used = [r.program.options for r in (a, b)]
    cause = next(
        (c.name for c in changes if c.group in ("work", "program", "hardware", "image")), ""
    )
    if used[0] is not None and used[1] is not None:
        for change in _of_mappings("program", "option", used[0], used[1]):
            key = change.name.partition(" ")[2]
            by_request = asked[0].get(key) != asked[1].get(key)
            yield change if by_request else Change(**{**vars(change), "follows": cause})
        asked = [
            {name: text for name, text in options.items() if name not in (of_program or ())}
            for options, of_program in zip(asked, used, strict=True)
        ]
    yield from _of_mappings("program", "option", asked[0], asked[1])


def _of_mappings(
    group: Group, name: str, one: Mapping[str, object], other: Mapping[str, object]
) -> Iterator[Change]:
    for key in sorted({*map(str, one), *map(str, other)}):
        before, after = one.get(key), other.get(key)
        if before != after:
            yield Change(
                group=group,
                name=f"{name} {key}",
                before=_written(before),
                after=_written(after),
            )


def _script(a: Result, b: Result, changes: Collection[Change]) -> Iterator[Change]:
    """Yield the launcher script if it differs and nothing else explains that."""
    if a.plan is None or b.plan is None:
        return
    one, other = (normal_script(result.plan, result.run) for result in (a, b) if result.plan)
    if one == other:
        return
    telling = ("network", "work", "program", "image", "settings")
    cause = next((change.name for change in changes if change.group in telling), "")
    lines = len(set(one.splitlines()) ^ set(other.splitlines()))
    yield Change(
        group="settings",
        name="launcher script",
        before="-",
        after=f"{lines} lines differ",
        follows=cause,
    )


_COMMENT = re.compile(r"^#(?!!).*\n", re.MULTILINE)
_VENV = re.compile(r"\S*/venvs/([^/\s]+)/bin/python")


def normal_script(plan: Plan, run: str | None) -> str:
    """Return a plan's script without what identifies this run: its id, folder and comments."""
    script = _COMMENT.sub("", plan.script)
    folder = plan.argv[-1].rpartition("/")[0] if plan.argv else ""
    for word, put in ((folder, "RUN"), (run or "", "RUN")):
        script = script.replace(word, put) if word else script
    return _VENV.sub(r"VENVS/\1/bin/python", script)


def _seen(a: Result, b: Result) -> Iterator[Change]:
    """Yield the monitor's means that differ noticeably."""
    for name in sorted(a.monitor.keys() & b.monitor.keys()):
        one, other = a.monitor[name], b.monitor[name]
        if one.unit != other.unit or not name.endswith(".mean"):
            continue
        if abs(other.value - one.value) > _NOTEWORTHY * max(abs(one.value), abs(other.value), 1):
            yield Change(
                group="state",
                name=name.removesuffix(".mean"),
                before=quantity(one.value, one.unit),
                after=quantity(other.value, other.unit),
            )


def _written(value: object, unit: str = "") -> str:
    if value is None:
        return "-"
    if isinstance(value, (list, tuple)):
        parts = [_written(one, unit) for one in value]
        text = " ".join(parts) if len(set(parts)) > 1 else (parts or ["-"])[0]
        text = f"{len(parts)} x {text}" if len(set(parts)) == 1 and len(parts) > 1 else text
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, (int, float)) and unit:
        text = quantity(value, unit) if unit != "per device" else f"{value} {unit}"
    else:
        text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
