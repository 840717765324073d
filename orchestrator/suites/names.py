"""Checks that the frameworks, models and claims of a suite exist."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.errors import RequestError, unknown
from orchestrator.frameworks import catalogue
from orchestrator.run import own_network
from orchestrator.suites.cells import CONTROL
from orchestrator.suites.loading import Loaded
from orchestrator.suites.models import Ordered, Suite, given
from orchestrator.suites.reader import Steps


def check(loaded: Loaded) -> None:
    """Refuse frameworks, models and claims that do not exist. Raises RequestError."""
    found = list(_named(loaded.suite))
    frameworks = []
    for path, key, value in found:
        try:
            if key == "framework":
                frameworks.append(catalogue.framework(value))
            elif key == "claim":
                _check_claim(value)
        except RequestError as error:
            raise loaded.mistake(path, error.what, error.hint) from None
    if any(one.any_network for one in frameworks):
        return
    known = catalogue.all_networks()
    for path, key, value in found:
        if key == "model" and value not in known and own_network.split(value)[1] is None:
            near = unknown("model", value, known, listing="benchdock models")
            raise loaded.mistake(path, near.what, near.hint)


def _check_claim(value: str) -> None:
    from orchestrator.published import collection  # most suites have no claim, and it is large

    collection.claim(value)


def _named(suite: Suite) -> Iterator[tuple[Steps, str, str]]:
    """Yield path, key and value of each framework, model and claim that a suite names."""
    parts: list[tuple[Steps, Ordered | None]] = [(("defaults",), suite.defaults)]
    parts += [((CONTROL, index), run) for index, run in enumerate(suite.control)]
    for name, group in suite.groups.items():
        at = ("groups", name)
        parts += [((*at, part), getattr(group, part)) for part in ("defaults", "matrix", "zip")]
        parts += [((*at, "runs", index), run) for index, run in enumerate(group.runs)]
        parts += [
            ((*at, "override", index, "set"), rule.set) for index, rule in enumerate(group.override)
        ]
    for path, record in parts:
        for key, value in given(record).items():
            if key not in ("model", "framework", "claim"):
                continue
            if isinstance(value, tuple):
                yield from (((*path, key, index), key, one) for index, one in enumerate(value))
            else:
                yield (*path, key), key, value
