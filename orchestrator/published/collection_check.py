"""Finds every mistake in a collection of published results, for the people who edit it."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError

from orchestrator.errors import RequestError, nearest
from orchestrator.published import claim_rules, names
from orchestrator.published.claim_file import ClaimCode, Day, Name
from orchestrator.published.claim_rules import Rules
from orchestrator.published.collection import DOUBTS, SCHEMA
from orchestrator.record_files import first_mistake, refuse_stream
from orchestrator.request import LARGEST_BATCH, Dtype, Phase, StrictRecord

Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,109}$")]
_TABLES = ("networks", "code", "sources", "claims")


class SourceRow(StrictRecord):
    """Where numbers were published. `date` is as exact as the source."""

    url: Annotated[str, StringConstraints(pattern=r"^https://\S+$")]
    title: Name
    date: Day | None = None
    publisher: Name


class ClaimRow(StrictRecord):
    """One published number, without what the source does not state.

    `source`, `code` and `network` are names in the tables above the claims.
    """

    id: Id
    source: Name
    model: Name
    network: Name | None = None
    framework: Name
    program: Name
    code: Name | None = None
    container: Annotated[str, StringConstraints(pattern=r"^\S+:\S+$")] | None = None
    version: Name | None = None
    phase: Phase
    precision: Dtype | None = None
    gpu: Name | None = None
    gpus: Annotated[int, Field(ge=0, le=1024)]
    system: Name | None = None
    batch: Annotated[int, Field(ge=1, le=LARGEST_BATCH)] | None = None
    value: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    unit: Literal["images/s", "ms/batch"]
    conditions: tuple[Name, ...] = ()
    suspect: tuple[Name, ...] = ()


def mistakes(path: Path) -> tuple[str, ...]:
    """Return every mistake in a file, in order; none if it is correct. Raises RequestError."""
    refuse_stream(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_repeats)
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        return (f"cannot read {path.name}: {error}",)
    if not isinstance(data, dict) or any(
        not isinstance(data.get(name), list if name == "claims" else dict) for name in _TABLES
    ):
        return (f"{path.name} must have {', '.join(_TABLES[:-1])} (objects) and claims (a list)",)
    return tuple(_found(data, claim_rules.load()))


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"duplicate {twice[0]!r}")
    return dict(pairs)


def _found(data: dict[str, Any], rules: Rules) -> Iterator[str]:
    if data.get("schema") != SCHEMA:
        yield f"schema {data.get('schema')!r} is not {SCHEMA}"
    for name, row in data["sources"].items():
        yield from _wrong(SourceRow, row, f"source {name}")
    for name, row in data["code"].items():
        yield from _wrong(ClaimCode, row, f"code {name}")
    sound = []
    for number, row in enumerate(data["claims"], start=1):
        known = row.get("id", number) if isinstance(row, dict) else number
        wrong = list(_wrong(ClaimRow, row, f"claim {known}"))
        yield from wrong or (f"claim {known}: {what}" for what in _about(row, data, rules))
        sound += [] if wrong else [row]
    for name, count in Counter(row["id"] for row in sound).items():
        if count > 1:
            yield f"claim {name} appears {count} times"
    if len(sound) == len(data["claims"]):
        yield from _unused(data, sound)


def _wrong(kind: type[StrictRecord], row: object, name: str) -> Iterator[str]:
    try:
        kind.model_validate_json(json.dumps(row), strict=True)
    except ValidationError as error:
        yield f"{name}: {first_mistake(error)}"


def _about(row: dict[str, Any], data: dict[str, Any], rules: Rules) -> Iterator[str]:
    """Yield mistakes of a claim regarding the rest of the file, and regarding our names."""
    for key, table in (("source", "sources"), ("code", "code"), ("network", "networks")):
        if key in row:
            yield from _unknown(key, row[key], data[table])
    words = row.get("conditions", [])
    known = {rule.name: rule.aspect for rule in rules.conditions}
    for word in words:
        yield from _unknown("condition", word, known)
    for aspect, count in Counter(known[word] for word in words if word in known).items():
        if count > 1:
            yield f"its conditions name the {aspect} {count} times"
    for code in row.get("suspect", []):
        yield from _unknown("doubt", str(code).partition(":")[0], DOUBTS)
    if row.get("gpus") and "gpu" in row and names.gpu(str(row["gpu"])) != row["gpu"]:
        yield f"gpu {row['gpu']!r} must be written {names.gpu(str(row['gpu']))!r}"
    if row.get("unit") == "ms/batch" and "batch" not in row:
        yield "ms/batch needs a batch"


def _unknown(what: str, word: object, known: Iterable[str]) -> Iterator[str]:
    words = list(known)
    if word not in words:
        near = nearest(str(word), words)
        yield f"unknown {what} {word!r}" + (f"; did you mean {near!r}?" if near else "")


def _unused(data: dict[str, Any], rows: list[dict[str, Any]]) -> Iterator[str]:
    for key, table in (("source", "sources"), ("code", "code"), ("network", "networks")):
        used = {row.get(key) for row in rows}
        yield from (f"no claim uses {key} {name}" for name in data[table] if name not in used)
