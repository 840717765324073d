"""What `benchdock tune` tries: the default, other values of each option, and combinations."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends import options as backend_options
from orchestrator.errors import RequestError, unknown
from orchestrator.frameworks.record import Framework
from orchestrator.request import Device, Phase

# Beside options of the program: keys of a request.
COUNTS = ("threads", "batch")
DEFAULT: Mapping[str, str | int] = {}

# Option or key of a request -> value.
Change = Mapping[str, str | int]


@dataclass(frozen=True, kw_only=True)
class Space:
    """The values to try of each option, of `threads` and of `batch`, without the default ones."""

    axes: Mapping[str, tuple[str | int, ...]]

    def singles(self) -> Iterator[Change]:
        """Yield each change of one option."""
        for name, values in self.axes.items():
            yield from ({name: value} for value in values)

    def combinations(self) -> Iterator[Change]:
        """Yield all changes: each option keeps its default or takes one of its values."""
        kept = [(None, *values) for values in self.axes.values()]
        for values in itertools.product(*kept):
            named = zip(self.axes, values, strict=True)
            change = {name: value for name, value in named if value is not None}
            if change:
                yield change

    def without(self, used: Mapping[str, str]) -> Space:
        """Leave out the values that the default run had: they would be tried twice."""
        axes = {
            name: tuple(value for value in values if str(value) != used.get(name))
            for name, values in self.axes.items()
        }
        return Space(axes={name: values for name, values in axes.items() if values})


def of_request(
    framework: Framework,
    base: Mapping[str, Any],
    device: Device,
    counts: Mapping[str, Sequence[int]],
    only: Sequence[str] = (),
) -> Space:
    """Return what can be tried for a request, whose settings are `base`.

    `counts` are the numbers of threads and the batches to try; `only` are the options to try, all
    of them if it is empty. Options that the request fixes are not tried. Raises RequestError.
    """
    declared = backend_options.BY_FRAMEWORK.get(framework.name, ())
    if not declared and not any(counts.values()):
        raise RequestError(
            f"{framework.name} has no options to try",
            hint="use --threads 1,2 or --batch 4,8, or another framework",
        )
    fixed = base.get("options", {})
    able = _able(declared, base.get("phase", "training"), device)
    for name in only:
        if name not in able:
            raise unknown("option", name, able, listing=f"benchdock frameworks {framework.name}")
        if name in fixed:
            raise RequestError(
                f"--only {name} and --option {name} are both given", hint="remove one of them"
            )
    axes: dict[str, tuple[str | int, ...]] = {
        name: values
        for name, values in able.items()
        if name not in fixed and (not only or name in only)
    }
    axes.update({name: tuple(values) for name, values in counts.items() if values})
    return Space(axes=axes)


def _able(
    declared: Iterable[backend_options.Option], phase: Phase, device: Device
) -> dict[str, tuple[str, ...]]:
    """Return the values of each option that means something in a phase and on a device."""
    return {
        one.name: one.values for one in declared if not backend_options.why_not(one, phase, device)
    }


def changed(base: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """Return the keys of a request, with settings `base`, that a change gives a new value."""
    told: dict[str, Any] = {name: value for name, value in change.items() if name in COUNTS}
    options = {name: value for name, value in change.items() if name not in COUNTS}
    if options:
        told["options"] = {**base.get("options", {}), **options}
    return told


def title(change: Change) -> str:
    """Return the words for people."""
    return " ".join(f"{name}={value}" for name, value in change.items()) or "default"
