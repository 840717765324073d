"""The table of what a claim's program, network and conditions are to us: `reproduce.toml`."""

import functools
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from orchestrator.catalogue import FRAMEWORKS
from orchestrator.errors import BenchdockError
from orchestrator.framework import Framework
from orchestrator.records import first_mistake
from orchestrator.request import StrictRecord

DATA = Path(__file__).with_name("reproduce.toml")
OWN = "benchdock"

Effect = Literal["looser", "none"]


class Launcher(StrictRecord):
    """The row of the framework table that runs a program; options that bring conditions about."""

    program: str
    framework: str
    row: str
    conditions: dict[str, dict[str, str]] = Field(default_factory=dict)


class SameNetwork(StrictRecord):
    """Models that programs of others build exactly as the zoo does. Empty: any."""

    models: tuple[str, ...]
    programs: tuple[str, ...]
    frameworks: tuple[str, ...] = ()
    why: str


class ConditionRule(StrictRecord):
    """What it does to a verdict that a condition cannot be met."""

    name: str
    effect: Effect
    why: str


class Rules(StrictRecord):
    """The whole table."""

    schema_version: Literal[1] = Field(alias="schema")
    launchers: tuple[Launcher, ...] = Field(alias="launcher")
    same_networks: tuple[SameNetwork, ...] = Field(alias="same_network")
    conditions: tuple[ConditionRule, ...] = Field(alias="condition")

    def launcher(self, program: str, framework: str) -> tuple[Launcher, Framework] | None:
        """Return who runs a program, None where no row of the catalogue does."""
        for entry in self.launchers:
            if (entry.program, entry.framework) == (program, framework):
                return (entry, FRAMEWORKS[entry.row]) if entry.row in FRAMEWORKS else None
        if program == OWN and framework in FRAMEWORKS:
            entry = Launcher(program=program, framework=framework, row=framework)
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

    def condition(self, name: str) -> ConditionRule:
        """Return what an unmet condition does; one that nobody described makes it looser."""
        for rule in self.conditions:
            if rule.name == name:
                return rule
        return ConditionRule(name=name, effect="looser", why="nothing here brings it about")


@functools.cache
def load(path: Path = DATA) -> Rules:
    """Read the table. Raises BenchdockError that says what is wrong with it."""
    try:
        return Rules.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise BenchdockError(f"{path.name} is damaged: {first_mistake(error)}") from None
    except (OSError, ValueError) as error:
        raise BenchdockError(f"{path.name} cannot be read: {error}") from None
