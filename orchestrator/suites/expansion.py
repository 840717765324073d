"""Turns a suite into its cells, one per request."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from orchestrator.errors import RequestError
from orchestrator.frameworks import catalogue
from orchestrator.suites import names, rules
from orchestrator.suites.cells import (
    CONTROL,
    Cell,
    Excluded,
    Expansion,
    Origin,
    Settings,
    as_json,
    digest_of,
    over,
    shown,
)
from orchestrator.suites.loading import Loaded, written
from orchestrator.suites.models import Group, Run, given
from orchestrator.suites.reader import Steps
from orchestrator.suites.rules import Rule
from orchestrator.units import counted

# Without --max-runs. A night of a minute each has 500.
MOST_RUNS = 100_000
# What the user may add to a published claim; the first ones also come from the defaults.
_CLAIM_DEFAULTS = ("data", "source", "runtime", "timeout", "steps", "warmup")
CLAIM_KEYS = (*_CLAIM_DEFAULTS, "batch", "image", "options")
_OF_RUN = ("claim", "repeat")


def expand(loaded: Loaded, *, most: int = MOST_RUNS) -> Expansion:
    """Return the cells of a suite.

    Raises RequestError, for a suite of more than `most` cells before making any.
    """
    for name, group in loaded.suite.groups.items():
        _check_axes(loaded, ("groups", name), group)
    _check_size(loaded, most)
    names.check(loaded)
    work = _Work(loaded)
    usual = given(loaded.suite.defaults)
    for index, run in enumerate(loaded.suite.control):
        work.add_run(run, Origin((CONTROL, index), CONTROL, 0), usual, None, ())
    for name, group in loaded.suite.groups.items():
        work.add_group(name, group)
    if not work.cells:
        raise loaded.mistake(("groups",), "every run is excluded, so nothing would run", key=True)
    return Expansion(tuple(work.cells), tuple(work.excluded), work.merged)


def _check_size(loaded: Loaded, most: int) -> None:
    total = 0
    for name, group in loaded.suite.groups.items():
        total += len(group.runs)
        if group.matrix is not None or group.zip is not None:
            lengths = [len(values) for values in given(group.matrix).values()]
            pairs = next((len(values) for values in given(group.zip).values()), 1)
            total += math.prod(lengths) * pairs
        if total > most:
            raise loaded.mistake(
                ("groups", name),
                f"{total:,} runs are more than {most:,}",
                f"use shorter lists or --max-runs {total}",
                key=True,
            )


def _check_axes(loaded: Loaded, path: Steps, group: Group) -> None:
    """Refuse axes that contradict each other or repeat a value. Raises RequestError."""
    matrix, pairs = given(group.matrix), given(group.zip)
    both = {key: (*path, "matrix", key) for key in matrix}
    for key, values in pairs.items():
        at: Steps = (*path, "zip", key)
        if key in both:
            raise loaded.mistake(at, "this key is in the matrix too", "remove one of them")
        both[key] = at
        first, length = next((name, len(one)) for name, one in pairs.items())
        if len(values) != length:
            what = f"it has {counted(len(values), 'value')}, and {first} has {length}"
            hint = "give both lists the same length, or use matrix for all combinations"
            raise loaded.mistake(at, what, hint)
    if "gpus" in both and "devices" in both:
        what = "gpus says which GPUs, devices how many"
        raise loaded.mistake(both["devices"], what, "remove one of them")
    for key, values in matrix.items():
        seen: set[str] = set()
        for index, value in enumerate(values):
            if (told := as_json(key, value)) in seen:
                what = f"{shown(value)} is in the list twice"
                raise loaded.mistake((*path, "matrix", key, index), what, "remove one")
            seen.add(told)


@dataclass
class _Work:
    """The cells so far; `_seen` says where each content comes from."""

    loaded: Loaded
    cells: list[Cell] = field(default_factory=list)
    excluded: list[Excluded] = field(default_factory=list)
    merged: int = 0
    _seen: dict[str, Steps] = field(default_factory=dict)
    _phases: dict[str, str] = field(default_factory=dict)

    def add_group(self, name: str, group: Group) -> None:
        """Add the cells of the matrix, then the runs."""
        path: Steps = ("groups", name)
        base = over(given(self.loaded.suite.defaults), given(group.defaults))
        excludes, overrides = rules.excludes(path, group), rules.overrides(path, group)
        combined = self._add_cells(group, path, base, excludes, overrides)
        rules.check_used(self.loaded, excludes, combined)
        axes = _keys_that_vary(group)
        told = [
            self.add_run(
                run,
                Origin((*path, "runs", index), name, group.priority, group.tags, axes),
                base,
                group.repeat,
                overrides,
            )
            for index, run in enumerate(group.runs)
        ]
        rules.check_used(self.loaded, overrides, [*combined, *told])

    def _add_cells(
        self,
        group: Group,
        path: Steps,
        base: Settings,
        excludes: Sequence[Rule],
        overrides: Sequence[Rule],
    ) -> list[Settings]:
        """Add the cells of a matrix; return all of them, those that are excluded too."""
        if group.matrix is None and group.zip is None:
            return []
        at: Steps = (*path, "matrix" if group.matrix is not None else "zip")
        origin = Origin(at, str(path[1]), group.priority, group.tags, _keys_that_vary(group))
        repeat = group.repeat or self.loaded.suite.repeat
        combined = []
        for cell in _combined(group, base):
            settings = self._with_phase(cell, at)
            combined.append(settings)
            rule = next((rule for rule in excludes if rule.matches(settings)), None)
            if rule is not None:
                self.excluded.append(Excluded(settings, origin, rule.path, rule.why))
                continue
            self._add(rules.changed(settings, overrides), origin, repeat, None)
        return combined

    def add_run(
        self,
        run: Run,
        origin: Origin,
        base: Settings,
        repeat: int | None,
        overrides: Iterable[Rule],
    ) -> Settings:
        """Add an explicit run; return its settings."""
        own = given(run, without=_OF_RUN)
        times = run.repeat or repeat or self.loaded.suite.repeat
        if run.claim is not None:
            self._check_claim(origin.path, own)
            usual = {key: base[key] for key in _CLAIM_DEFAULTS if key in base}
            self._add({**usual, **own}, origin, times, run.claim)
            return own
        settings = self._with_phase(over(base, own), origin.path)
        self._add(rules.changed(settings, overrides), origin, times, None)
        return settings

    def _check_claim(self, path: Steps, own: Settings) -> None:
        for key in own:
            if key not in CLAIM_KEYS:
                raise self.loaded.mistake(
                    (*path, key),
                    f"the claim decides its {key}",
                    f"remove it; a claim only takes {', '.join(CLAIM_KEYS)}",
                    key=True,
                )

    def _with_phase(self, settings: Settings, path: Steps) -> Settings:
        """Fill in the phase, which a rule may ask for. Raises RequestError."""
        framework = settings.get("framework")
        if framework is None or "model" not in settings:
            key = "framework" if framework is None else "model"
            raise self.loaded.mistake(path, f"a run needs a {key}", f"add {key}: NAME")
        if "phase" not in settings:
            if framework not in self._phases:
                self._phases[framework] = catalogue.default_phase(framework)
            settings["phase"] = self._phases[framework]
        return settings

    def _add(self, settings: Settings, origin: Origin, repeat: int, claim: str | None) -> None:
        digest = digest_of(settings if claim is None else {**settings, "claim": claim})
        first = self._seen.setdefault(digest, origin.path)
        if len(self._seen) > len(self.cells):
            self.cells.append(Cell(settings, digest, repeat, origin, claim))
        elif first == origin.path:
            self.merged += 1
        else:
            raise self._twice(first, origin.path)

    def _twice(self, first: Steps, path: Steps) -> RequestError:
        place = self.loaded.place(first)
        where = f"{written(first)} (line {place.line})" if place else written(first)
        what = f"this is the same run as one of {where}"
        return self.loaded.mistake(path, what, "remove one of them")


def _combined(group: Group, base: Settings) -> Iterator[Settings]:
    """Yield the product of the axes, the first one outermost and the pairs of `zip` innermost."""
    matrix, pairs = given(group.matrix), given(group.zip)
    axes = {**matrix, **pairs}
    usual = {key: value for key, value in over(base, axes).items() if key not in axes}
    keys, values = (*usual, *axes), tuple(usual.values())
    if not pairs:
        for product in itertools.product(*matrix.values()):
            yield dict(zip(keys, values + product, strict=True))
        return
    zipped = tuple(zip(*pairs.values(), strict=True))
    for *outer, pair in itertools.product(*matrix.values(), zipped):
        yield dict(zip(keys, (*values, *outer, *pair), strict=True))


def _keys_that_vary(group: Group) -> tuple[str, ...]:
    """Return the keys by which the cells of a group differ, in the order of the file."""
    axes = {**given(group.matrix), **given(group.zip)}
    in_runs = dict.fromkeys(key for run in group.runs for key in given(run, without=_OF_RUN))
    varying = [key for key, values in axes.items() if len(values) > 1]
    return tuple(dict.fromkeys((*varying, *in_runs)))
