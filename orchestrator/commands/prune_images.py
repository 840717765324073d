"""`benchdock images prune`: remove images of benchdock that nothing needs any more."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from orchestrator.errors import ExitStatus, ImageError, RequestError
from orchestrator.images import pruning
from orchestrator.images.contract import OnEvent
from orchestrator.images.image_table import Image, ImageTable
from orchestrator.images.pruning import Candidate
from orchestrator.results import needs
from orchestrator.ui.tables import print_table
from orchestrator.units import counted, quantity

Row = dict[str, Any]


def execute(arguments: argparse.Namespace, table: ImageTable, tell: OnEvent) -> ExitStatus:
    """Remove unneeded images of benchdock, by default of the whole table, and show them.

    Raises RequestError, EngineError, and MachineError for results that cannot be read.
    """
    from orchestrator.runtimes.docker.client import Engine

    keep = pruning.KEPT if arguments.keep is None else arguments.keep
    only = [_own(table.image(name)).id for name in arguments.names]
    with Engine.connect() as engine:

        def found() -> tuple[Candidate, ...]:
            results = {} if arguments.ignore_results else needs.images_of_runs()
            return pruning.candidates(engine, table, keep=keep, results=results, only=only)

        if arguments.dry_run:
            done = [_told(one, "kept" if one.why else "would be removed") for one in found()]
        else:
            with pruning.without_builds(table, tell):
                done = list(_removed(found(), engine))
    _show(done, as_json=arguments.json, dry_run=arguments.dry_run)
    failed = any(row["did"] == "failed" for row in done)
    return ExitStatus.MACHINE_CANNOT if failed else ExitStatus.OK


def _own(image: Image) -> Image:
    if image.source == "vendor":
        raise RequestError(
            f"{image.id} is a vendor's image, which `images prune` never removes",
            hint=f"run `docker rmi {image.tag}`",
        )
    return image


def _removed(found: Sequence[Candidate], engine: pruning.StockEngine) -> Iterator[Row]:
    pruning.move_aliases(found, engine)
    for one in found:
        if one.why:
            yield _told(one, "kept")
            continue
        try:
            pruning.remove(one, engine)
        except ImageError as error:
            yield _told(one, "failed") | {"why": error.what}
        else:
            yield _told(one, "removed")


def _told(one: Candidate, did: str) -> Row:
    return {
        "image": one.name,
        "tags": list(one.image.tags),
        "id": one.image.id,
        "created": datetime.fromtimestamp(one.image.created, UTC).isoformat(),
        "size": one.image.size,
        "takes": one.takes,
        "did": did,
        "why": one.why,
    }


def _show(done: Sequence[Row], *, as_json: bool, dry_run: bool) -> None:
    gone = [row for row in done if row["did"] in ("removed", "would be removed")]
    freed = sum(row["takes"] for row in gone)
    whole = sum(row["takes"] for row in done)
    if as_json:
        totals = {"dry_run": dry_run, "takes": whole, "frees": freed}
        print(json.dumps({"schema": 1, **totals, "prune": list(done)}, indent=2))
        return
    print_table(
        ("image", "created", "size", "unshared", "result"),
        [
            (
                row["image"],
                row["created"][:10],
                quantity(row["size"], "bytes"),
                quantity(row["takes"], "bytes"),
                row["did"] + (f": {row['why']}" if row["why"] else ""),
            )
            for row in sorted(done, key=lambda row: (row not in gone, row["image"]))
        ],
    )
    verb = "would be freed" if dry_run else "were freed"
    print(
        f"{counted(len(done), 'image')} of benchdock: {quantity(whole, 'bytes')}, of which "
        f"{quantity(freed, 'bytes')} {verb}"
    )
