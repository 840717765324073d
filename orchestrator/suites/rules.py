"""The rules of a group: which cells are left out, and what changes in others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.errors import RequestError, nearest, quoted
from orchestrator.suites.cells import USUAL, Settings, over, shown
from orchestrator.suites.loading import Loaded
from orchestrator.suites.models import Group, Ordered, given
from orchestrator.suites.reader import Steps


class Rule:
    """A condition of exact values, and how many cells it matched.

    `news` is what it sets; `why` is the reason to leave a cell out.
    """

    def __init__(
        self, path: Steps, condition: Ordered, *, news: Settings | None = None, why: str = ""
    ) -> None:
        self.path = path
        self.news = news or {}
        self.why = why
        self.values = given(condition, without=("why",))
        self.matched = 0
        self._tests = tuple((key, values, USUAL.get(key)) for key, values in self.values.items())

    def matches(self, settings: Settings) -> bool:
        """Whether all keys have one of the values; counts it."""
        for key, values, usual in self._tests:
            if settings.get(key, usual) not in values:
                return False
        self.matched += 1
        return True


def excludes(path: Steps, group: Group) -> list[Rule]:
    """Return the rules that leave cells out."""
    return [
        Rule((*path, "exclude", index), rule, why=rule.why)
        for index, rule in enumerate(group.exclude)
    ]


def overrides(path: Steps, group: Group) -> list[Rule]:
    """Return the rules that change cells and runs."""
    return [
        Rule((*path, "override", index), rule.when, news=given(rule.set))
        for index, rule in enumerate(group.override)
    ]


def first(rules: Iterable[Rule], settings: Settings) -> Rule | None:
    """Return the first rule that matches."""
    return next((rule for rule in rules if rule.matches(settings)), None)


def changed(settings: Settings, rules: Iterable[Rule]) -> Settings:
    """Apply overrides in the order of the file."""
    for rule in rules:
        if rule.matches(settings):
            settings = over(settings, rule.news)
    return settings


def check_used(loaded: Loaded, rules: Iterable[Rule], cells: Sequence[Settings]) -> None:
    """Refuse a rule that matches nothing, which is a typing mistake. Raises RequestError."""
    for rule in rules:
        if not rule.matched:
            raise _unused(loaded, rule, cells)


def _unused(loaded: Loaded, rule: Rule, cells: Sequence[Settings]) -> RequestError:
    inner: Steps = (*rule.path, "when") if "override" in rule.path else rule.path
    for key, values in rule.values.items():
        there = {shown(cell.get(key, USUAL.get(key))): None for cell in cells}
        if any(shown(value) in there for value in values):
            continue
        told = shown(values[0])
        near = nearest(told, there)
        hint = f"did you mean {near!r}?" if near else f"use one of {', '.join(there)}"[:200]
        what = f"nothing in this group has {key} {quoted(told)}"
        return loaded.mistake((*inner, key), what, hint if there else "remove the rule")
    return loaded.mistake(rule.path, "nothing in this group matches all of it", "remove the rule")
