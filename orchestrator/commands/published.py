"""`benchdock published`: list published benchmark results."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import ExitStatus
from orchestrator.published import collection
from orchestrator.published.collection import Claim, Filters
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import clean
from orchestrator.units import counted

# GPUs for which the collection has no result although they exist: asking for one is not a mistake.
_OTHER_GPUS = frozenset(
    {"l4", "l40", "l40s", "a2", "a16", "a40", "h100-nvl", "h200-nvl", "gh200", "b100", "b200"}
    | {"b300", "gb200", "gb300", "rtx-3060", "rtx-3080", "rtx-4070", "rtx-4080", "rtx-5080"}
    | {"rtx-a5000", "gtx-1080", "gtx-1070", "titan-rtx", "titan-xp"}
)
_FILTERS = ("model", "framework", "gpu", "precision", "phase", "container")
_MONTHLY = re.compile(r"\b\d\d\.(?:0[1-9]|1[0-2])\b", re.ASCII)


def describe(claim: Claim) -> dict[str, Any]:
    """Return a claim as plain values; `throughput` in samples/s over all devices."""
    source = claim.source
    return {
        "id": claim.id,
        "model": claim.model,
        "network": claim.network,
        "framework": claim.framework,
        "program": claim.program,
        "code": dataclasses.asdict(claim.code) if claim.code else None,
        "container": claim.container,
        "version": claim.version,
        "phase": claim.phase,
        "precision": claim.precision,
        "gpu": claim.gpu,
        "gpus": claim.gpus,
        "system": claim.system,
        "batch": claim.batch,
        "throughput": {"value": claim.throughput, "unit": "samples/s"},
        "published": {"value": claim.value, "unit": claim.unit},
        "conditions": list(claim.conditions),
        "suspect": list(claim.doubts()),
        "source": {
            "url": source.url,
            "title": source.title,
            "date": source.date,
            "publisher": source.publisher,
        },
    }


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Print the claims that match the filters; without a filter an overview; with --check all
    mistakes.
    """
    if arguments.check is not None:
        return _check(collection.DATA if arguments.check is True else Path(arguments.check))
    claims = collection.load()
    asked = Filters(**{name: getattr(arguments, name) for name in _FILTERS})
    filters = collection.resolve(asked, claims, known=_known(asked, claims))
    found = collection.find(claims, filters)
    near = () if found else collection.nearest(claims, filters)
    if arguments.json:
        rows = [describe(claim) for claim in found]
        print(json.dumps({"schema": 1, "claims": rows, "nearest": list(near)}, indent=2))
    elif not found:
        _print_nothing(filters, near)
    elif filters.given():
        _print_claims(found)
    else:
        _print_overview(claims)
    return ExitStatus.OK


def _check(path: Path) -> ExitStatus:
    """Print every mistake in a collection. Raises RequestError if it cannot be read."""
    from orchestrator.published import collection_check

    found = collection_check.mistakes(path)
    for mistake in found:
        print(clean(mistake))
    print(f"{path.name}: {counted(len(found), 'mistake') if found else 'no mistakes'}")
    return ExitStatus.BAD_REQUEST if found else ExitStatus.OK


def _known(asked: Filters, claims: Sequence[Claim]) -> dict[str, Iterable[str]]:
    """Return benchdock's names, which are valid even without published results; the zoo only when
    needed.
    """
    known: dict[str, Iterable[str]] = {
        "gpu": _OTHER_GPUS,
        "precision": ("float32", "tf32", "float16", "bfloat16", "int8"),
    }
    if asked.container and _MONTHLY.search(asked.container):
        known["container"] = (asked.container.lower(),)
    if asked.model and asked.model not in {claim.model for claim in claims}:
        from backends import zoo

        known["model"] = zoo.names()
    if asked.framework and asked.framework not in {claim.framework for claim in claims}:
        from orchestrator.frameworks.catalogue import OURS

        known["framework"] = [one.name for one in OURS]
    return known


def _print_nothing(filters: Filters, near: Sequence[str]) -> None:
    what = ", ".join(f"{name} {word}" for name, word in filters.given().items())
    print(f"no published result has {what}")
    for sentence in near:
        print(f"  {sentence}")
    if not near:
        print("  `benchdock published` lists all")


def _print_claims(found: Sequence[Claim]) -> None:
    print_table(
        ("claim", "program", "samples/s", "date", "conditions", "doubts"),
        [
            (
                claim.id,
                claim.program,
                f"{claim.throughput:,.1f}",
                claim.source.date or "-",
                " ".join(claim.conditions) or "-",
                " ".join(claim.suspect) or "-",
            )
            for claim in found
        ],
        right=(2,),
    )
    for heading, notes in (
        ("doubts", {code: collection.explain(code) for claim in found for code in claim.suspect}),
        ("networks", {f"{c.model} of {c.program}": c.network for c in found if c.network}),
        ("sources", {c.source.publisher: _repository(c) for c in found}),
    ):
        if notes:
            print(f"\n{heading}:")
            for name, text in notes.items():
                print(f"  {name}: {text}")


def _repository(claim: Claim) -> str:
    """Return the repository's address without the path of the file."""
    return "/".join(claim.source.url.split("/")[:5])


def _print_overview(claims: Sequence[Claim]) -> None:
    groups: dict[tuple[str, str], list[Claim]] = collections.defaultdict(list)
    for claim in claims:
        groups[claim.source.publisher, claim.program].append(claim)
    print_table(
        ("publisher", "program", "claims", "frameworks", "models", "GPUs"),
        [
            (
                publisher,
                program,
                f"{len(group):,}",
                _some(claim.framework for claim in group),
                _some(claim.model for claim in group),
                _some(claim.gpu for claim in group if claim.gpu),
            )
            for (publisher, program), group in groups.items()
        ],
        right=(2,),
    )
    print("\nfilters:")
    print_table(
        ("option", "values"),
        [(f"--{name}", " ".join(collection.choices(name, claims))) for name in _FILTERS],
    )
    print(f"\n{len(claims):,} claims; try `benchdock published --model resnet50 --gpu v100`")


def _some(words: Iterable[str]) -> str:
    unique = list(dict.fromkeys(words))
    return " ".join(unique[:4]) + (f" +{len(unique) - 4}" if len(unique) > 4 else "")
