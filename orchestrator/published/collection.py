"""The collection of throughputs that vendors and others have published, and its filters.

The data is `published.json`, which people edit (docs/published.md). It loads without pydantic, in
milliseconds; `collection_check` checks all of it.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import heapq
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from orchestrator.errors import BenchdockError, RequestError, quoted, unknown
from orchestrator.published import names

DATA = Path(__file__).with_name("published.json")
LISTING = "benchdock published"
SCHEMA = 2

Unit = Literal["images/s", "ms/batch"]

# Why a claim is doubtful; a code may have a word after a colon.
DOUBTS = {
    "repeats": "the same number as of {0}, printed again: probably not measured again",
    "speedup": "the source's own speed-up column contradicts these columns, which are kept",
    "heading": "the section's text names another system than its heading, which is used",
    "container": "the source names the container elsewhere, not beside the numbers",
    "half-tag": "the source names the container's month but not its Python (-py2 or -py3)",
    "tf32": "the source says FP32, but TF32 may have been on: it is the default of CUDA 11 builds "
    "of this framework on this GPU",
    "tf32-default": "the source says FP32, but TF32 is the framework's default on this GPU",
    "precision": "the source does not state the precision",
    "gpu": "the source does not name the GPU",
    "date": "the source gives no year",
    "batch": "the batch was inferred, not stated",
    "batch-name": "the log's folder is named after another batch size than the log states; the "
    "log's is used",
    "rates": "a mean of rates, which is above all samples over all time (by 1.6 % in this log)",
    "gpu-count": "K80 GPUs are counted as in the source; a K80 board holds two",
    "unsupported": "the GPU is newer than the container, whose banner warned",
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where numbers were published. `date` is as exact as the source: a day, a month or a year."""

    url: str
    title: str
    date: str | None
    publisher: str


@dataclass(frozen=True, slots=True)
class Code:
    """The source code that was measured.

    `revision` is a commit or a tag, `date` is the commit's; None if the source does not say.
    """

    repository: str
    folder: str
    revision: str | None = None
    date: str | None = None

    def __str__(self) -> str:
        return f"{self.repository} {self.revision or '(commit not stated)'}"


@dataclass(frozen=True, slots=True)
class Claim:
    """One published number.

    `value` is as published, in `unit`, over all devices. `batch` is per device; None if the source
    does not say. `gpus` is 0 on a CPU, and `gpu` then names the CPU. `program` is what was run,
    `code` its source code if the source says, `network` which variant of the model it builds if
    that is known. `version` is the framework's if no container is known. `conditions` are words
    that `reproduce.toml` explains. `suspect` are codes, see `doubts`.
    """

    id: str
    source: Source
    model: str
    framework: str
    program: str
    container: str | None
    version: str | None
    phase: Literal["training", "inference"]
    precision: str | None
    gpu: str | None
    gpus: int
    system: str | None
    batch: int | None
    value: float
    unit: Unit
    conditions: tuple[str, ...]
    network: str | None
    suspect: tuple[str, ...]
    code: Code | None = None

    @property
    def throughput(self) -> float:
        """Samples per second over all devices."""
        if self.unit == "images/s":
            return self.value
        return 1000 * (self.batch or 1) * max(1, self.gpus) / self.value

    def doubts(self) -> tuple[str, ...]:
        """Return one sentence per reason to doubt this number."""
        return tuple(explain(code) for code in self.suspect)


# A row of the file leaves out what is unknown.
_UNKNOWN: dict[str, Any] = dict.fromkeys(
    ("container", "version", "precision", "gpu", "system", "batch", "network", "code")
)
_KEYS = frozenset(item.name for item in dataclasses.fields(Claim))


@dataclass(frozen=True, kw_only=True)
class Filters:
    """The filters; None matches everything. Words are as the user writes them."""

    model: str | None = None
    framework: str | None = None
    gpu: str | None = None
    precision: str | None = None
    phase: str | None = None
    container: str | None = None

    def given(self) -> dict[str, str]:
        """Return the filters that are set, by name."""
        return {name: word for name, word in dataclasses.asdict(self).items() if word is not None}


def explain(code: str) -> str:
    """Return the sentence for a code of `Claim.suspect`."""
    key, _, word = code.partition(":")
    return DOUBTS[key].format(word)


def _matches_container(asked: str, container: str | None) -> bool:
    """Whether a container matches a filter: by reference, name:tag, name, tag or month."""
    if container is None:
        return False
    short = container.rpartition("/")[2]
    name, _, tag = short.partition(":")
    month = tag.partition("-")[0]
    return asked in (container, short, name, tag, month, f"{name}:{month}")


_TESTS: dict[str, Callable[[str, Claim], bool]] = {
    "model": lambda word, claim: names.model_matches(word, claim.model),
    "framework": lambda word, claim: word == claim.framework,
    "gpu": lambda word, claim: claim.gpu is not None and names.gpu_matches(word, claim.gpu),
    "precision": lambda word, claim: word == claim.precision,
    "phase": lambda word, claim: word == claim.phase,
    "container": lambda word, claim: _matches_container(word, claim.container),
}
_SPELL: dict[str, Callable[[str], str]] = {
    "model": names.model,
    "framework": names.framework,
    "gpu": names.gpu,
    "precision": names.precision,
    "phase": str.lower,
    "container": str.lower,
}


def values(name: str, claims: Iterable[Claim]) -> list[str]:
    """Return the values that a filter can have, sorted."""
    return sorted({value for claim in claims if (value := getattr(claim, name)) is not None})


def resolve(
    filters: Filters, claims: Sequence[Claim], *, known: dict[str, Iterable[str]] | None = None
) -> Filters:
    """Return the filters in our spelling.

    `known` are further names that exist although nothing was published for them. Raises
    RequestError with the nearest word for an unknown one.
    """
    resolved = {}
    for name, word in filters.given().items():
        spelled = _SPELL[name](word)
        more = list((known or {}).get(name, ()))
        if spelled not in more and not any(_TESTS[name](spelled, claim) for claim in claims):
            error = unknown(name, spelled, [*choices(name, claims), *more], listing=LISTING)
            raise RequestError(f"unknown {name} {quoted(word)}", hint=error.hint)
        resolved[name] = spelled
    return Filters(**resolved)


def find(claims: Iterable[Claim], filters: Filters) -> tuple[Claim, ...]:
    """Return the claims that match every filter (in our spelling, see `resolve`), in order."""
    given = filters.given().items()
    return tuple(
        claim for claim in claims if all(_TESTS[name](word, claim) for name, word in given)
    )


def nearest(claims: Sequence[Claim], filters: Filters) -> tuple[str, ...]:
    """Say what exists if nothing matches every filter: what is left without one of them."""
    given = filters.given()
    if len(given) == 1:
        ((name, word),) = given.items()
        close = difflib.get_close_matches(word, choices(name, claims), n=4, cutoff=0.5)
        return (f"the nearest are {', '.join(close)}",) if close else ()
    sentences = []
    for name, word in given.items():
        rest = find(claims, dataclasses.replace(filters, **{name: None}))
        if rest:
            there = choices(name, rest)
            close = difflib.get_close_matches(word, there, n=6, cutoff=0.0)
            more = ", ..." if len(there) > len(close) else ""
            sentences.append(
                f"without --{name} {word} there are {len(rest)}, with {', '.join(close)}{more}"
                if close
                else f"without --{name} {word} there are {len(rest)}"
            )
    return tuple(sentences)


def choices(name: str, claims: Iterable[Claim]) -> list[str]:
    """Return what the user may type for a filter."""
    found = values(name, claims)
    return [value.rpartition("/")[2] for value in found] if name == "container" else found


def claim(claim_id: str, claims: Sequence[Claim] | None = None) -> Claim:
    """Return the claim with an id. Raises RequestError with the nearest id."""
    claims = load() if claims is None else claims
    for row in claims:
        if row.id == claim_id:
            return row
    words = set(claim_id.lower().split("-"))
    # Comparing with thousands of long ids letter by letter would take seconds.
    near = heapq.nlargest(40, claims, key=lambda row: len(words & set(row.id.split("-"))))
    # Without a filter an overview is printed, which has no ids.
    listing = f"{LISTING} --model NAME"
    raise unknown("claim", claim_id, [row.id for row in near], listing=listing)


@functools.cache
def load(path: Path = DATA) -> tuple[Claim, ...]:
    """Read the collection. Raises BenchdockError that names the claim with the mistake."""
    try:
        return _claims(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise BenchdockError(
            f"{path.name} is damaged: {reason}",
            hint=f"run `benchdock published --check {path.name}` to list every mistake in it",
        ) from None


def _claims(data: dict[str, Any]) -> tuple[Claim, ...]:
    if data["schema"] != SCHEMA:
        raise ValueError(f"schema {data['schema']!r} is not {SCHEMA}")
    sources = {name: Source(**{"date": None, **row}) for name, row in data["sources"].items()}
    codes = {name: Code(**row) for name, row in data["code"].items()}
    rows: dict[str, Claim] = {}
    for number, row in enumerate(data["claims"], start=1):
        name = f"claim {row.get('id', number)}"
        if row.keys() - _KEYS:
            raise ValueError(f"{name} has an unknown key {min(row.keys() - _KEYS)!r}")
        try:
            claim = _claim(row, sources, codes, data["networks"])
        except KeyError as error:
            raise ValueError(f"{name}: {error} is missing") from None
        if claim.id in rows:
            raise ValueError(f"{name} is a duplicate")
        _check(claim)
        rows[claim.id] = claim
    return tuple(rows.values())


def _claim(
    row: dict[str, Any],
    sources: dict[str, Source],
    codes: dict[str, Code],
    networks: dict[str, str],
) -> Claim:
    values = _UNKNOWN | row
    values["source"] = sources[row["source"]]
    if "code" in row:
        values["code"] = codes[row["code"]]
    if "network" in row:
        values["network"] = networks[row["network"]]
    for name in ("conditions", "suspect"):
        values[name] = tuple(row.get(name, ()))
    missing = _KEYS - values.keys()
    if missing:
        raise KeyError(min(missing))
    return Claim(**values)


def _check(row: Claim) -> None:
    if row.phase not in ("training", "inference") or row.unit not in ("images/s", "ms/batch"):
        raise ValueError(f"claim {row.id}: phase {row.phase!r}, unit {row.unit!r}")
    if not row.value > 0 or row.gpus < 0 or (row.batch is not None and row.batch < 1):
        raise ValueError(f"claim {row.id}: {row.value} {row.unit}, {row.gpus} GPUs, {row.batch}")
    if unexplained := {code.partition(":")[0] for code in row.suspect} - DOUBTS.keys():
        raise ValueError(f"claim {row.id}: unknown doubt {unexplained.pop()!r}")
