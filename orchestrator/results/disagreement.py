"""Two parts of a bundle that state different values of one fact."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.errors import quoted


@dataclass(frozen=True)
class Disagreement:
    """A fact, a part with the value that it states, and another part with another value."""

    fact: str
    one: str
    says: object
    other: str
    tells: object

    def __str__(self) -> str:
        """Return it as one line for the user."""
        says, tells = _shown(self.says), _shown(self.tells)
        return f"{self.fact} is {says} in {self.one} and {tells} in {self.other}"


def _shown(value: object) -> str:
    return "missing" if value in (None, "", ()) else quoted(str(value))
