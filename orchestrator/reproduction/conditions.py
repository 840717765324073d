"""The conditions of a claim's program: which options meet them, and which stay unmet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.frameworks import catalogue
from orchestrator.frameworks.record import Framework
from orchestrator.published.claim_rules import OWN, UNKNOWN_WORD, Aspect, Launcher, Rules
from orchestrator.published.collection import Claim
from orchestrator.reproduction.setup import Condition, Wishes, unmet

_INPUT_SIZE = re.compile(r"(\d+)x(\d+)", re.ASCII)
PIPELINE = "input pipeline"


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a claim requires of the framework that runs it."""

    claim: Claim
    launcher: Launcher
    framework: Framework
    wishes: Wishes
    rules: Rules

    def options(self) -> dict[str, str]:
        """Return the options of the run: the claim's, then the command line's."""
        return {**self._claimed(), **self.wishes.options}

    def unmet(self) -> Iterator[Condition]:
        """Yield what the claim states and the run does not have, and what nobody states."""
        for word in self.claim.conditions:
            if not self._is_met(word):
                rule = self.rules.condition(word)
                yield unmet(rule.aspect, word, self._instead(word), rule.unmet)
        yield from self._unstated()
        yield from self._own_options()

    def _claimed(self) -> dict[str, str]:
        wanted = {
            key: value
            for word in self.claim.conditions
            if not self._is_moot(word)
            for key, value in self.launcher.conditions.get(word, {}).items()
        }
        return {**wanted, **self.wishes.claimed}

    def _is_moot(self, word: str) -> bool:
        """Whether a word is about reading a dataset, and none is read here."""
        return self.wishes.data is None and self.rules.condition(word).aspect == PIPELINE

    def _is_met(self, word: str) -> bool:
        if word == "real":
            return self.wishes.data is not None
        if word == "synthetic":
            return self.wishes.data is None
        if self._is_moot(word) or word in self.launcher.always:
            return True
        if word in self.launcher.conditions:
            wanted = self.launcher.conditions[word]
            return all(self.options().get(key) == value for key, value in wanted.items())
        return self._is_zoo_size(word)

    def _is_zoo_size(self, word: str) -> bool:
        size = _INPUT_SIZE.fullmatch(word)
        if not size or self.framework.networks is not None:
            return False
        shape = tuple(catalogue.draw(self.claim.model).input_shape[1:])
        return shape == tuple(map(int, size.groups()))

    def _instead(self, word: str) -> str:
        """Say what the run has instead of a word."""
        if self.rules.condition(word).aspect == "data":
            return str(self.wishes.data) if self.wishes.data is not None else "synthetic data"
        wanted = self.launcher.conditions.get(word, {})
        given = [f"{key}={self.options().get(key)}" for key in wanted]
        return f"{', '.join(given)} (--option)" if given else f"no option of {self.framework.name}"

    def _unstated(self) -> Iterator[Condition]:
        """Yield the aspects that affect the throughput and that nobody states."""
        words = (*self.claim.conditions, *self.launcher.always)
        stated = {self.rules.condition(word).aspect for word in words}
        for aspect in map(self.rules.aspect, self._asked()):
            if aspect.name not in stated and self._matters(aspect):
                yield unmet(aspect.name, "not stated", self._chosen(aspect), aspect.unstated)

    def _asked(self) -> tuple[str, ...]:
        """Return the aspects that a claim has to state.

        A claim of our own program states its changes by its options, and used synthetic data unless
        it says otherwise.
        """
        if self.claim.program != OWN:
            return self.launcher.asks
        return ("data",) if self.wishes.data is not None else ()

    def _matters(self, aspect: Aspect) -> bool:
        claim = self.claim
        return (
            claim.phase in (aspect.phases or (claim.phase,))
            and claim.precision in (aspect.dtypes or (claim.precision,))
            and claim.gpus >= aspect.from_gpus
            and (not aspect.only_with or bool(set(aspect.only_with) & set(claim.conditions)))
            and not (aspect.name == PIPELINE and self.wishes.data is None)
        )

    def _chosen(self, aspect: Aspect) -> str:
        """Say what the run has for an aspect that nobody states: its options, or its data."""
        if aspect.name == "data":
            return str(self.wishes.data) if self.wishes.data is not None else "synthetic data"
        chosen = {}
        for word, options in self.launcher.conditions.items():
            if self.rules.condition(word).aspect == aspect.name:
                for key in options:
                    default = (
                        self.framework.options[key].default if key in self.framework.options else ""
                    )
                    chosen[key] = self.options().get(key, default)
        given = ", ".join(f"{key}={value}" for key, value in chosen.items() if value)
        return given or f"the default of {self.framework.name}"

    def _own_options(self) -> Iterator[Condition]:
        """Yield options of the command line that the claim does not have."""
        of_claims = {key for options in self.launcher.conditions.values() for key in options}
        claimed = self._claimed()
        for key, value in self.wishes.options.items():
            if key in self.launcher.free or claimed.get(key) == value:
                continue
            if key in of_claims and (key in claimed or self._leaves_unstated(key)):
                continue  # reported by its word, or as not stated
            yield unmet("flag", "not stated", f"{key}={value} (--option)", UNKNOWN_WORD)

    def _leaves_unstated(self, key: str) -> bool:
        """Whether an option affects an aspect that the claim has to state."""
        words = (word for word, options in self.launcher.conditions.items() if key in options)
        return any(self.rules.condition(word).aspect in self._asked() for word in words)
