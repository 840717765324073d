"""The tagged lines that our programs print, one strictly checked record per event."""

import re
import zlib
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    TypeAdapter,
    ValidationError,
)

TAG = b"::benchdock "
# About 200 000 step times; a program prints a block of steps about every second.
LONGEST_EVENT = 4 << 20

_EXACT = 2**53  # a float cannot hold every integer above this
_AGES = 1e9  # seconds; sums of such times cannot overflow
Count = Annotated[int, Field(ge=0, le=_EXACT)]
Positive = Annotated[int, Field(ge=1, le=_EXACT)]
Time = Annotated[float, Field(ge=0, le=_AGES, allow_inf_nan=False)]


_WORDS = ("nan", "inf", "-inf")


def _named_number(value: object) -> object:
    """JSON has no nan and no infinity, so programs print them as words."""
    return float(value) if isinstance(value, str) and value in _WORDS else value


Number = Annotated[float, BeforeValidator(_named_number)]


class Event(BaseModel):
    """Common fields of all events: exact types, and keys of newer programs are ignored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Begin(Event):
    """What is measured. All keys are kept, even unknown ones.

    `doubts` are what the program itself has to say against its figures, as warnings of the result.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    event: Literal["begin"]
    framework: str
    model: str
    fingerprint: str | None = None
    phase: str
    dtype: str
    batch: Positive
    devices: Positive = 1
    steps: Count | None = None
    warmup: Count | None = None
    doubts: list[str] = []


class Warmup(Event):
    """Steps and seconds of warm-up so far."""

    event: Literal["warmup"]
    steps: Count
    seconds: Time


class Rank(Event):
    """A block of steps as one of several processes saw it.

    It lasted from `began` to `ended`, on the system's monotonic clock. `own` is the median time of
    a step until the process waited for the others.
    """

    began: Time
    ended: Time
    own: Time


class Steps(Event):
    """A block of timed steps; `block_seconds` is the clock around the whole block.

    `ended` is when the block ended, on the system's monotonic clock. `waited` is how long its steps
    waited for data, `cpu_seconds` the CPU time of all the program's processes; `ranks` are those
    processes if there are several.
    """

    event: Literal["steps"]
    first: Count
    seconds: Annotated[list[Time], Field(min_length=1), FailFast()]
    samples: Positive
    block_seconds: Annotated[float, Field(gt=0, le=_AGES, allow_inf_nan=False)] | None = None
    ended: Time | None = None
    waited: Time | None = None
    cpu_seconds: Time | None = None
    ranks: Annotated[list[Rank], Field(min_length=2)] | None = None


class Data(Event):
    """How a program reads images, and digests of the first of them, unless it crops at random.

    All keys are kept.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    event: Literal["data"]
    format: str
    samples: Count | None = None
    labels: str | None = None
    pixels: str | None = None


class End(Event):
    """The result. Numbers that cannot be a throughput are accepted here, and refused with a message
    later.
    """

    event: Literal["end"]
    samples: Annotated[int, Field(ge=-_EXACT, le=_EXACT)]
    seconds: Number
    peak_memory: Count | None = None
    loss: Number | None = None


class Error(Event):
    """Why there will be no result; `signal` killed one of several processes."""

    event: Literal["error"]
    kind: Literal["out_of_memory", "unsupported", "data", "internal"]
    message: str
    signal: Count | None = None


AnyEvent = Begin | Data | Warmup | Steps | End | Error
_Told = Annotated[AnyEvent, Field(discriminator="event")]
_ADAPTER: TypeAdapter[AnyEvent] = TypeAdapter(_Told)


_CHECKSUM = re.compile(rb', "crc": "([0-9a-f]{8})"\}$')
_CHECKSUM_SIZE = len(b', "crc": "01234567"}')


def is_whole(line: bytes) -> bool | None:
    """Whether a line is as it was written; None if it has no checksum.

    A library that writes in between may leave its text in the middle of a line, and a digit among
    digits makes a different number.
    """
    found = _CHECKSUM.search(line[-_CHECKSUM_SIZE:])
    if found is None:
        return None
    return zlib.crc32(line[len(TAG) : -_CHECKSUM_SIZE]) == int(found[1], 16)


def read(line: bytes) -> AnyEvent:
    """Read one line that starts with the tag. Raises ValueError with one line of reasons."""
    try:
        return _ADAPTER.validate_json(line[len(TAG) :])
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{where}: {first['msg']}" if where else first["msg"]) from None
