"""The records of a suite file, which a person writes.

Keys of a request keep the names of `Request`; everything else is a closed set. Modules of records
have no `from __future__ import annotations`: pydantic would have to compile every annotation again.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    WithJsonSchema,
    create_model,
)
from pydantic import model_validator as check_model

from orchestrator.errors import RequestError
from orchestrator.request import GpuChoice, Request, StrictRecord, gpu_choice
from orchestrator.units import parse_duration, parse_size

# Written by benchdock, not by a person.
_OWN_KEYS = ("schema_version", "model_file")
KEYS = tuple(name for name in Request.model_fields if name not in _OWN_KEYS)
MOST_REPEATS = 1000
LOWEST_PRIORITY = 9
USUAL_PRIORITY = 5
_NAME = r"^[a-z0-9][a-z0-9-]{0,39}$"


def _duration(value: Any) -> Any:
    return _read(parse_duration, value)


def _size(value: Any) -> Any:
    return _read(parse_size, value)


def _read(convert: Any, value: Any) -> Any:
    if not isinstance(value, str):
        return _number(value)
    try:
        return convert(value)
    except RequestError as error:
        raise ValueError(str(error)) from None


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"it should be a number, not {str(value).lower()}")
    return value


def _share(value: Any) -> Any:
    if isinstance(value, str) and value.endswith("%"):
        try:
            return float(value.removesuffix("%")) / 100
        except ValueError:
            raise ValueError(f"{value[:40]!r} is not a percentage, such as 2%") from None
    return _number(value)


def _gpus(value: Any) -> Any:
    """Read the GPUs as on the command line; a list contains indices and UUIDs."""
    several = value if isinstance(value, list | tuple) and value else (value,)
    if any(not isinstance(one, int | str) or isinstance(one, bool) for one in several):
        raise ValueError("it should be all, none, or GPU indices or UUIDs such as [0, 1]")
    text = ",".join(map(str, several))
    try:
        return gpu_choice(text)
    except ValueError as error:
        raise ValueError(f"{text[:80]!r} {error}") from None


def _texts(value: Any) -> Any:
    """Turn the values of options and variables into text, if only one text can be meant."""
    if not isinstance(value, dict):
        return value
    return {key: _text(key, one) for key, one in value.items()}


def _text(key: Any, value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):  # 1.10 and 1.1 are one number but two texts
        raise ValueError(f"put the value of {key} in quotes: '{value}'")
    return str(value) if isinstance(value, int) else value


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


Duration = Annotated[
    float,
    BeforeValidator(_duration),
    Field(gt=0),
    WithJsonSchema({"type": ["string", "number"], "examples": ["90s", "15m", "5h"]}),
]
Size = Annotated[
    int,
    BeforeValidator(_size),
    Field(gt=0),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["512m", "20GiB"]}),
]
Share = Annotated[
    float,
    BeforeValidator(_share),
    Field(gt=0, lt=1),
    WithJsonSchema({"type": ["string", "number"], "examples": ["2%", 0.02]}),
]
Texts = Annotated[
    dict[str, str],
    BeforeValidator(_texts),
    WithJsonSchema(
        {"type": "object", "additionalProperties": {"type": ["string", "integer", "boolean"]}}
    ),
]
Gpus = Annotated[
    GpuChoice,
    BeforeValidator(_gpus),
    WithJsonSchema(
        {
            "type": ["string", "integer", "array"],
            "items": {"type": ["string", "integer"]},
            "examples": ["all", "none", 0, [0, 1]],
        }
    ),
]
Repeat = Annotated[int, BeforeValidator(_number), Field(ge=1, le=MOST_REPEATS)]
Name = Annotated[str, Field(pattern=_NAME)]

_SPECIAL: dict[str, Any] = {
    "gpus": Gpus,
    "timeout": Duration,
    "first_output_timeout": Duration,
    "silence_timeout": Duration,
    "memory": Size,
    "shm_size": Size,
    "options": Texts,
    "env": Texts,
}


def _kind(name: str) -> Any:
    """Return the type of one value of a key."""
    if name in _SPECIAL:
        return _SPECIAL[name]
    field = Request.model_fields[name]
    kind = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return kind if name == "as_root" else Annotated[kind, BeforeValidator(_given)]


def _given(value: Any) -> Any:
    if value is None:
        raise ValueError("it is empty; remove the key or give it a value")
    if isinstance(value, bool):
        raise ValueError(f"it cannot be {str(value).lower()}")
    return value


def _without_default(schema: dict[str, Any]) -> None:
    """Leave out that a key is null by default: nobody may write that."""
    schema.pop("default", None)


class Ordered(StrictRecord):
    """A record that remembers the order in which its keys were written."""

    _order: tuple[str, ...] = PrivateAttr(default=())

    @check_model(mode="wrap")
    @classmethod
    def _remember(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        record = handler(data)
        if isinstance(data, dict):
            record._order = tuple(data)
        return record


def _made(name: str, text: str, kinds: dict[str, Any]) -> Any:
    fields: dict[str, Any] = {
        key: (kind, Field(default=None, json_schema_extra=_without_default))
        for key, kind in kinds.items()
    }
    return create_model(name, __base__=Ordered, __doc__=text, __module__=__name__, **fields)


if TYPE_CHECKING:

    class Settings(Ordered):
        """Keys of a request with their values."""

    class Axes(Ordered):
        """Keys of a request with the values that they take, one after the other."""

    class Condition(Ordered):
        """Keys of a request with the values, any of which matches."""

else:
    _KINDS = {key: _kind(key) for key in KEYS}
    Settings = _made("Settings", "Keys of a request with their values.", _KINDS)
    Axes = _made(
        "Axes",
        "Keys of a request with the values that they take, one after the other.",
        {key: Annotated[tuple[kind, ...], Field(min_length=1)] for key, kind in _KINDS.items()},
    )
    Condition = _made(
        "Condition",
        "Keys of a request with the values, any of which matches.",
        {
            key: Annotated[
                tuple[kind, ...],
                BeforeValidator(_listed),
                Field(min_length=1),
            ]
            for key, kind in _KINDS.items()
        },
    )


class Run(Settings):
    """One explicit run: keys of a request, or the id of a published claim."""

    claim: str | None = None
    repeat: Repeat | None = None


class Exclude(Condition):
    """Cells that do not run, and why."""

    why: str = ""


class Override(StrictRecord):
    """What changes in the cells and runs that `when` matches."""

    when: Condition
    set: Settings


class Budget(StrictRecord):
    """Limits: seconds of a whole session, seconds of one run, bytes of disk."""

    night: Duration | None = None
    run: Duration | None = None
    disk: Size | None = None


class Gate(StrictRecord):
    """When a series counts as slower than before; shares of the throughput.

    `confirm` are the numbers of further runs with which a suspicion is confirmed.
    """

    slower: Share | None = None
    confirm: Annotated[tuple[Repeat, ...], Field(min_length=1, max_length=5)] | None = None
    ramp: Share | None = None


class Group(StrictRecord):
    """Runs that belong together. Priority 1 runs first if the budget is short."""

    priority: Annotated[int, BeforeValidator(_number), Field(ge=1, le=LOWEST_PRIORITY)] = (
        USUAL_PRIORITY
    )
    tags: tuple[Name, ...] = ()
    defaults: Settings = Settings()
    matrix: Axes | None = None
    zip: Axes | None = None
    runs: tuple[Run, ...] = ()
    exclude: tuple[Exclude, ...] = ()
    override: tuple[Override, ...] = ()
    repeat: Repeat | None = None

    @check_model(mode="after")
    def _has_runs(self) -> Self:
        if self.matrix is None and self.zip is None and not self.runs:
            raise ValueError("it has no matrix, zip or runs, so nothing would run")
        return self


class Suite(StrictRecord):
    """A suite file. `extends` names a file whose keys it takes over."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_version: Literal[1] = Field(alias="schema")
    name: Name
    extends: Annotated[str, Field(min_length=1)] | None = None
    defaults: Settings = Settings()
    repeat: Repeat = 1
    budget: Budget = Budget()
    gate: Gate = Gate()
    control: tuple[Run, ...] = ()
    groups: Annotated[dict[Name, Group], Field(max_length=1000)] = Field(default_factory=dict)


def given(record: Ordered | None, *, without: Iterable[str] = ()) -> dict[str, Any]:
    """Return what a person wrote in a part of a suite, as plain values in its order."""
    if record is None:
        return {}
    names = dict.fromkeys((*record._order, *sorted(record.model_fields_set)))
    return {name: getattr(record, name) for name in names if name not in without}
