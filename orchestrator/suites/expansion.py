"""Turns a suite into its cells, one per request."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from orchestrator.errors import RequestError
from orchestrator.frameworks import catalogue
from orchestrator.suites import names, products, rules
from orchestrator.suites.cells import (
    CONTROL,
    Cell,
    Excluded,
    Expansion,
    Origin,
    Settings,
    as_part,
    content_of,
    digest_of_content,
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
            if (told := as_part(key, value)) in seen:
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
        every = []
        for settings, content in self._combined(group, base, at):
            every.append(settings)
            rule = rules.first(excludes, settings) if excludes else None
            if rule is not None:
                self.excluded.append(Excluded(settings, origin, rule.path, rule.why))
                continue
            changed = rules.changed(settings, overrides) if overrides else settings
            told = content if changed is settings else content_of(changed)
            self._add(changed, told, origin, repeat)
        return every

    def _combined(
        self, group: Group, base: Settings, path: Steps
    ) -> Iterator[tuple[Settings, str]]:
        try:
            yield from products.combined(group, base, self._usual_phase)
        except KeyError as missing:
            raise self._incomplete(missing.args[0], path) from None

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
            settings = {**usual, **own}
            content = content_of({**settings, "claim": run.claim})
            self._add(settings, content, origin, times, run.claim)
            return own
        settings = self._with_phase(over(base, own), origin.path)
        changed = rules.changed(settings, overrides)
        self._add(changed, content_of(changed), origin, times)
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
        for key in ("framework", "model"):
            if key not in settings:
                raise self._incomplete(key, path)
        if "phase" not in settings:
            settings["phase"] = self._usual_phase(settings["framework"])
        return settings

    def _incomplete(self, key: str, path: Steps) -> RequestError:
        return self.loaded.mistake(path, f"a run needs a {key}", f"add {key}: NAME")

    def _usual_phase(self, framework: str) -> str:
        if framework not in self._phases:
            self._phases[framework] = catalogue.default_phase(framework)
        return self._phases[framework]

    def _add(
        self,
        settings: Settings,
        content: str,
        origin: Origin,
        repeat: int,
        claim: str | None = None,
    ) -> None:
        digest = digest_of_content(content)
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


def _keys_that_vary(group: Group) -> tuple[str, ...]:
    """Return the keys by which the cells of a group differ, in the order of the file."""
    axes = {**given(group.matrix), **given(group.zip)}
    in_runs = dict.fromkeys(key for run in group.runs for key in given(run, without=_OF_RUN))
    varying = [key for key, values in axes.items() if len(values) > 1]
    return tuple(dict.fromkeys((*varying, *in_runs)))
