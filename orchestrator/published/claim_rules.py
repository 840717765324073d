"""The table that maps claims' programs, networks and conditions to ours: `reproduce.toml`."""

import functools
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from orchestrator.errors import BenchdockError
from orchestrator.frameworks.catalogue import FRAMEWORKS
from orchestrator.frameworks.record import Framework
from orchestrator.record_files import first_mistake
from orchestrator.request import Dtype, Phase, StrictRecord

DATA = Path(__file__).with_name("reproduce.toml")
OWN = "benchdock"

# Effect of an unmet condition: "looser" widens the tolerance, "none" leaves nothing to compare.
Effect = Literal["looser", "none"]
Share = Annotated[float, Field(gt=0.05, le=0.5)]


class Consequence(StrictRecord):
    """The effect of an unmet condition on the verdict: `tolerance` belongs to "looser"."""

    effect: Effect
    tolerance: Share | None = None
    why: str

    @model_validator(mode="after")
    def _tolerance_is_stated(self) -> "Consequence":
        if (self.tolerance is not None) is not (self.effect == "looser"):
            raise ValueError(
                "a looser effect must have a tolerance, and no other effect may have one"
            )
        return self


class Launcher(StrictRecord):
    """The entry of the framework table that runs a program.

    `asks` are the aspects that a claim has to state, `conditions` says which options make a word
    true, `always` are words that are always true, and `free` are options that affect no aspect,
    each with the reason. Code older than `since` has other flags: `since_why` says which. Claims of
    older code are refused too, unless `claims_of_older` lets later code replace it.
    """

    program: str
    framework: str
    name: str
    since: str = ""
    since_why: str = ""
    claims_of_older: bool = False
    asks: tuple[str, ...] = ()
    always: tuple[str, ...] = ()
    conditions: dict[str, dict[str, str]] = Field(default_factory=dict)
    free: dict[str, str] = Field(default_factory=dict)


class SameNetwork(StrictRecord):
    """Models that others' programs build exactly as the zoo does. Empty: any."""

    models: tuple[str, ...]
    programs: tuple[str, ...]
    frameworks: tuple[str, ...] = ()
    why: str


class Aspect(StrictRecord):
    """Something that a claim has to state, and the effect on the verdict if nobody states it.

    It is required in the listed `phases` and `dtypes` (all if empty), from `from_gpus` GPUs on, and
    if `only_with` is empty or one of the claim's words.
    """

    name: str
    unstated: Consequence
    phases: tuple[Phase, ...] = ()
    dtypes: tuple[Dtype, ...] = ()
    from_gpus: int = 0
    only_with: tuple[str, ...] = ()


class ConditionRule(StrictRecord):
    """A word in claims: the aspect that it settles, and the effect if it is not met."""

    name: str
    aspect: str
    unmet: Consequence


UNKNOWN_WORD = Consequence(
    effect="none", why="benchdock can neither meet this condition nor estimate its effect"
)


class Rules(StrictRecord):
    """The whole table."""

    schema_version: Literal[2] = Field(alias="schema")
    launchers: tuple[Launcher, ...] = Field(alias="launcher")
    same_networks: tuple[SameNetwork, ...] = Field(alias="same_network")
    aspects: tuple[Aspect, ...] = Field(alias="aspect")
    conditions: tuple[ConditionRule, ...] = Field(alias="condition")

    def launcher(self, program: str, framework: str) -> tuple[Launcher, Framework] | None:
        """Return what runs a program, None if no framework of the catalogue does."""
        for entry in self.launchers:
            if (entry.program, entry.framework) == (program, framework):
                return (entry, FRAMEWORKS[entry.name]) if entry.name in FRAMEWORKS else None
        if program == OWN and framework in FRAMEWORKS:
            entry = Launcher(program=program, framework=framework, name=framework, asks=("data",))
            return entry, FRAMEWORKS[framework]
        return None

    def same_network(self, model: str, program: str, framework: str) -> str:
        """Say why a program's model is the zoo's of that name, or ""."""
        for entry in self.same_networks:
            if (
                model in entry.models
                and program in (entry.programs or (program,))
                and framework in (entry.frameworks or (framework,))
            ):
                return entry.why
        return ""

    def condition(self, word: str) -> ConditionRule:
        """Return the rule for a word; an undescribed word leaves nothing to compare."""
        for rule in self.conditions:
            if rule.name == word:
                return rule
        return ConditionRule(name=word, aspect="flag", unmet=UNKNOWN_WORD)

    def aspect(self, name: str) -> Aspect:
        """Return an aspect that a launcher requires. Raises KeyError."""
        return {aspect.name: aspect for aspect in self.aspects}[name]


@functools.cache
def load(path: Path = DATA) -> Rules:
    """Read the table. Raises BenchdockError that says what is wrong with it."""
    try:
        return Rules.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise BenchdockError(f"{path.name} is damaged: {first_mistake(error)}") from None
    except (OSError, ValueError) as error:
        raise BenchdockError(f"cannot read {path.name}: {error}") from None
