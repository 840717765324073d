"""`benchdock images`: what images there are, and how they come to be here."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import EngineError, ExitStatus, RequestError, unknown
from orchestrator.images import base_images, image_table, store, wheelhouse
from orchestrator.images.builder import Event
from orchestrator.images.image_table import ImageRow, ImageTable
from orchestrator.ui.tables import print_table

if TYPE_CHECKING:
    from orchestrator.engine.client import Engine


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """List, fetch, build or bootstrap. Raises RequestError, ImageError, EngineError."""
    if arguments.all:
        _list_all(arguments)
        return ExitStatus.OK
    table = image_table.load()
    if arguments.source is not None and arguments.action != "fetch":
        raise RequestError("--from belongs to `images fetch`")
    match arguments.action:
        case "list":
            _list(table, _rows(table, arguments.names, default=table.images.values()), arguments)
        case "fetch":
            source = Path(arguments.source) if arguments.source is not None else None
            rows = _built_rows(table, arguments.names)
            for row in rows if arguments.names else [row for row in rows if row.lock]:
                folder = wheelhouse.fetch(row, table, _say, source=source)
                print(f"{row.id}: wheels are in {folder}")
        case "build":
            _build(table, _built_rows(table, arguments.names), force=arguments.force)
        case _:
            _bootstrap(table, arguments.names, force=arguments.force)
    return ExitStatus.OK


def _list_all(arguments: argparse.Namespace) -> None:
    if arguments.action != "list" or arguments.names:
        raise RequestError("--all lists the whole catalogue", hint="use `benchdock images --all`")
    from orchestrator.commands import vendor_images

    vendor_images.show(as_json=arguments.json)


def _rows(
    table: ImageTable, names: Sequence[str], *, default: Sequence[ImageRow] | Any
) -> list[ImageRow]:
    return [table.row(name) for name in names] if names else list(default)


def _built_rows(table: ImageTable, names: Sequence[str]) -> list[ImageRow]:
    """Return the rows that are built here: those named, else the CPU's."""
    ours = [row for row in table.images.values() if row.source == "build" and row.device == "cpu"]
    chosen = _rows(table, names, default=ours)
    for row in chosen:
        if row.source != "build":
            raise RequestError(
                f"{row.id} is a vendor's image and is not built here",
                hint=f"`docker pull {row.reference}` gets it",
            )
    return chosen


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _tell(event: Event) -> None:
    _say(event.text if event.kind == "line" else f"== {event.text}")


def _build(table: ImageTable, rows: Sequence[ImageRow], *, force: bool) -> None:
    from orchestrator.engine.client import Engine

    policy = store.Policy.FORCE if force else store.Policy.AUTO
    with Engine.connect() as engine:
        for row in rows:
            ready = store.ensure(row, table, engine, policy, _tell)
            print(f"{row.id}: {ready.did} {ready.reference} {ready.id}")


def _bootstrap(table: ImageTable, names: Sequence[str], *, force: bool) -> None:
    from orchestrator.engine.client import Engine

    for name in names:
        if name not in table.bases:
            raise unknown("base image", name, table.bases, listing="benchdock images bootstrap")
    wanted = names or sorted({row.base for row in table.images.values() if row.base})
    with Engine.connect() as engine:
        for name in wanted:
            did = base_images.bootstrap(table.bases[name], engine, _say, force=force)
            print(f"{name}: {did}")


def _list(table: ImageTable, rows: Sequence[ImageRow], arguments: argparse.Namespace) -> None:
    engine, why = _engine()
    described = [_describe(row, table, engine) for row in rows]
    if arguments.json:
        print(json.dumps({"schema": 1, "engine": why, "images": described}, indent=2))
        return
    print_table(
        ("image", "framework", "version", "device", "python", "source", "size", "here"),
        [
            (
                row["id"],
                row["framework"],
                row["version"],
                row["device"],
                row["python"],
                row["reference"] or row["base"],
                row["size"],
                row["state"] + (f": {row['reason']}" if row["reason"] else ""),
            )
            for row in described
        ],
    )
    if engine is None:
        print(f"\nwhat is here is unknown: {why}")


def _engine() -> tuple[Engine | None, str]:
    from orchestrator.engine.client import Engine

    try:
        engine = Engine.connect()
    except EngineError as error:
        return None, str(error)
    return engine, f"{engine.name} {engine.version}"


def _describe(row: ImageRow, table: ImageTable, engine: Engine | None) -> dict[str, Any]:
    state = store.state(row, table, engine) if engine is not None else None
    return {
        **row.model_dump(mode="json"),
        "tag": row.tag,
        "state": state.kind if state else "unknown",
        "reason": state.reason if state else "",
        "image_id": state.found.id if state and state.found else None,
        "image_digest": state.found.digest if state and state.found else None,
    }
