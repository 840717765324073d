"""Recorded facts: typed fields that any version of benchdock may have written.

The annotation of a field says what the fact means, its unit, how `benchdock compare` ranks it and
how this machine's value is read. Comparisons, the table in docs/results.md and the record of this
machine are made from these annotations, so a new fact is one new field.

Modules of records have no `from __future__ import annotations`: pydantic would have to compile
every annotation again.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, cast, get_args

from pydantic import (
    ConfigDict,
    GetCoreSchemaHandler,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import core_schema

from orchestrator.request import LenientRecord

# Most important first: a network matters more than a batch, a batch more than a driver, a driver
# more than a load average.
Group = Literal[
    "network", "work", "program", "hardware", "image", "system", "settings", "state"
]  # fmt: skip
GROUPS: tuple[Group, ...] = get_args(Group)


@dataclass(frozen=True)
class Fact:
    """What is known about a field beside its type.

    `compare` shows a fact that has a `label`, in its `group`, ranked like its field in the record.
    `follows` are the labels of facts whose change explains a change of this one. `planned` is the
    field of a plan that states the same, and then counts. `read` returns the value from the source
    of `Facts.read`.
    """

    meaning: str
    label: str = ""
    group: Group = "state"
    unit: str = ""
    follows: tuple[str, ...] = ()
    planned: str = ""
    read: Callable[[Any], object] | None = None


def _known(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    try:
        return validate(value)
    except ValidationError:
        return None


# A value of another type counts as unknown: it must not make a whole result unreadable.
KNOWN = WrapValidator(_known)
Text = Annotated[StrictStr | None, KNOWN]
Texts = Annotated[tuple[StrictStr, ...] | None, KNOWN]
Count = Annotated[StrictInt | None, KNOWN]
Number = Annotated[StrictInt | StrictFloat | None, KNOWN]
Numbers = Annotated[tuple[StrictInt | StrictFloat, ...] | None, KNOWN]
Flag = Annotated[StrictBool | None, KNOWN]
Values = Annotated[dict[str, Any] | None, KNOWN]


def _write(record: "Facts", serialize: Callable[["Facts"], dict[str, Any]]) -> dict[str, Any]:
    absent = record._absent()
    return {name: value for name, value in serialize(record).items() if name not in absent}


class Facts(LenientRecord):
    """A record of facts; None is unknown. It keeps the facts of other versions of benchdock.

    It is written with the keys that it was made with: unknown is not the same as not recorded.
    """

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    # Not `@model_serializer`: every run would wait for the import of its module.
    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        written = core_schema.wrap_serializer_function_ser_schema(_write)
        return cast(core_schema.CoreSchema, {**handler(source), "serialization": written})

    @classmethod
    def made_of(cls, values: Mapping[str, Any]) -> Self:
        """Make a record of values of the right types.

        They are not validated: that would build pydantic's schema before a run starts.
        """
        return cast(Self, cls.model_construct(**values))

    @classmethod
    def read(cls, source: object) -> Self:
        """Read the facts whose annotation says how from a source."""
        facts = facts_of(cls)
        return cls.made_of({name: fact.read(source) for name, fact in facts if fact.read})

    def stated(self) -> dict[str, Any]:
        """Return the facts that this record was made with, by name."""
        absent = self._absent()
        return {name: value for name, value in self if name not in absent}

    def _absent(self) -> set[str]:
        return type(self).model_fields.keys() - self.model_fields_set


def facts_of(record: type[Facts]) -> Iterator[tuple[str, Fact]]:
    """Yield name and annotation of a record's fields."""
    for name, field in record.model_fields.items():
        for note in field.metadata:
            if isinstance(note, Fact):
                yield name, note


def registry(record: type[Facts]) -> Iterator[tuple[tuple[str, ...], Fact]]:
    """Yield path and annotation of a record's facts and those of the records in it."""
    for name, fact in facts_of(record):
        within = _record_in(record.model_fields[name].annotation)
        if within is None:
            yield (name,), fact
        else:
            yield from (((name, *path), found) for path, found in registry(within))


def _record_in(annotation: object) -> type[Facts] | None:
    if isinstance(annotation, type) and issubclass(annotation, Facts):
        return annotation
    return next(filter(None, map(_record_in, get_args(annotation))), None)


def at(record: object, path: tuple[str, ...]) -> Any:
    """Return the value at a path of a record, None if unknown; of several records, a list."""
    if not path or record is None:
        return record
    if isinstance(record, tuple):
        return [at(one, path) for one in record if one is not None]
    return at(getattr(record, path[0]), path[1:])
