"""`benchdock images`: what images there are, and how they come to be here."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.containers import listed
from orchestrator.containers.overview import span
from orchestrator.errors import EngineError, ExitStatus, ImageError, RequestError, unknown
from orchestrator.images import base_images, image_table, pins, store, wheelhouse
from orchestrator.images.builder import Event
from orchestrator.images.image_table import ImageRow, ImageTable
from orchestrator.images.interpreters import NoInterpreterError
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import Outlet

if TYPE_CHECKING:
    from orchestrator.engine.client import Engine

_FACTS = ("python", "CUDA", "driver from", "GPUs")
# What was done with an image, as a document's row and as a line.
Done = tuple[dict[str, Any], str]
_FAILED = "failed"
# Not asked for by name, and not possible on this machine.
_LEFT_OUT = "left out"


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Do as the action says. Raises RequestError, ImageError, EngineError, MachineError."""
    _check_options(arguments)
    if arguments.all:
        from orchestrator.commands import vendor_images

        vendor_images.show(as_json=arguments.json)
        return ExitStatus.OK
    table = image_table.load()
    if arguments.action == "list":
        _list(table, _rows(table, arguments.names, default=table.images.values()), arguments)
        return ExitStatus.OK
    match arguments.action:
        case "fetch":
            done = _fetch(table, arguments.names, arguments.source)
        case "build":
            rows = _built_rows(table, arguments.names)
            done = _build(table, rows, force=arguments.force, named=bool(arguments.names))
        case "pull":
            done = _pull(table, arguments.names)
        case "pin":
            done = _pin(table, _vendors_rows(table, arguments.names))
        case _:
            done = _bootstrap(table, arguments.names, force=arguments.force)
    told = []
    for one, text in done:
        told.append(one)
        if not arguments.json:
            print(text, flush=True)
    if arguments.json:
        print(json.dumps({"schema": 1, arguments.action: told}, indent=2))
    failed = any(one.get("did") == _FAILED for one in told)
    return ExitStatus.MACHINE_CANNOT if failed else ExitStatus.OK


def _check_options(arguments: argparse.Namespace) -> None:
    """Refuse an option that the action has no use for. Raises RequestError."""
    action = arguments.action
    for option, given, actions in (
        ("--from", arguments.source is not None, ("fetch",)),
        ("--force", arguments.force, ("build", "bootstrap")),
        ("--all", arguments.all, ("list",)),
    ):
        if given and action not in actions:
            raise RequestError(
                f"{option} is for `images {'` and `images '.join(actions)}` alone",
                hint=f"remove it from `images {action}`",
            )
    if arguments.all and arguments.names:
        raise RequestError("--all lists the whole catalogue", hint="use `benchdock images --all`")


def _rows(
    table: ImageTable, names: Sequence[str], *, default: Sequence[ImageRow] | Any
) -> list[ImageRow]:
    return [table.row(name) for name in names] if names else list(default)


def _built_rows(table: ImageTable, names: Sequence[str]) -> list[ImageRow]:
    """Return the rows that are built here: those named, else the CPU's that compile nothing."""
    ours = [
        row
        for row in table.images.values()
        if row.source == "build" and row.device == "cpu" and not row.compiled
    ]
    chosen = _rows(table, names, default=ours)
    for row in chosen:
        if row.source != "build":
            raise RequestError(
                f"{row.id} is a vendor's image and is not built here",
                hint=f"`benchdock images pull {row.id}` gets it",
            )
    return chosen


def _say(text: str) -> None:
    Outlet(sys.stderr).line(text)


def _tell(event: Event) -> None:
    _say(event.text if event.kind == "line" else f"== {event.text}")


def _fetch(table: ImageTable, names: Sequence[str], source: str | None) -> Iterator[Done]:
    if source is not None and not Path(source).is_dir():
        raise RequestError(f"there is no folder {source}", hint="give --from a folder with wheels")
    rows = _built_rows(table, names)
    for row in rows if names else [row for row in rows if row.lock]:
        folder = wheelhouse.fetch(row, table, _say, source=Path(source) if source else None)
        yield {"image": row.id, "wheels": str(folder)}, f"{row.id}: wheels are in {folder}"


def _build(
    table: ImageTable, rows: Sequence[ImageRow], *, force: bool, named: bool
) -> Iterator[Done]:
    """Build images; one that was not named is left out if its base needs a Python not here."""
    from orchestrator.engine.client import Engine

    policy = store.Policy.FORCE if force else store.Policy.AUTO
    with Engine.connect() as engine:
        for row in rows:
            try:
                ready = store.ensure(row, table, engine, policy, _tell)
            except NoInterpreterError as error:
                if named:
                    raise
                told = {"image": row.id, "did": _LEFT_OUT, "why": str(error)}
                yield told, f"{row.id}: {_LEFT_OUT}: {error}"
                continue
            told = {"image": row.id, "did": ready.did, "reference": ready.reference, "id": ready.id}
            yield told, f"{row.id}: {ready.did} {ready.reference} {ready.id}"


def _pull(table: ImageTable, names: Sequence[str]) -> Iterator[Done]:
    from orchestrator.engine.client import Engine

    if not names:
        raise RequestError(
            "`images pull` needs the images to pull",
            hint="name some of `benchdock images`, or references such as "
            "nvcr.io/nvidia/pytorch:24.06-py3",
        )
    with Engine.connect() as engine:
        for name in names:
            ready = store.pull(name, table, engine, _tell)
            told = {
                "image": ready.row.id if ready.row else None,
                "did": ready.did,
                "reference": ready.reference,
                "id": ready.id,
                "digest": ready.digest,
            }
            yield told, f"{name}: {ready.did} {ready.reference} {ready.digest or ready.id}"


def _vendors_rows(table: ImageTable, names: Sequence[str]) -> list[ImageRow]:
    """Return the rows of vendors' images: those named, else all."""
    every = [row for row in table.images.values() if row.source == "vendor"]
    chosen = _rows(table, names, default=every)
    for row in chosen:
        if row.source != "vendor":
            raise RequestError(
                f"{row.id} is built here and is in no registry", hint="name images of vendors"
            )
    return chosen


def _pin(table: ImageTable, rows: Sequence[ImageRow]) -> Iterator[Done]:
    """Ask the registries for the digests of tags; a pin stays if its registry tells none."""
    from orchestrator.engine.client import Engine

    kept = {
        row.reference: table.digests[row.reference]
        for row in table.images.values()
        if row.reference in table.digests
    }
    with Engine.connect() as engine:
        for row in rows:
            try:
                digest = engine.registry_digest(row.reference)
            except ImageError as error:
                told = {"image": row.id, "did": _FAILED, "reference": row.reference}
                yield told | {"why": str(error)}, f"{row.id}: {_FAILED}: {error}"
                continue
            before = kept.get(row.reference)
            did = "unchanged" if before == digest else "renewed" if before else "pinned"
            kept[row.reference] = digest
            told = {"image": row.id, "did": did, "reference": row.reference, "digest": digest}
            yield told, f"{row.id}: {did} {row.reference} {digest}"
    pins.save(kept)


def _bootstrap(table: ImageTable, names: Sequence[str], *, force: bool) -> Iterator[Done]:
    """Make base images; without names those of our images that this machine can make."""
    from orchestrator.engine.client import Engine

    for name in names:
        if name not in table.bases:
            raise unknown("base image", name, table.bases)
    wanted = names or sorted({row.base for row in table.images.values() if row.base})
    with Engine.connect() as engine:
        for name in wanted:
            try:
                did = base_images.bootstrap(table.bases[name], table, engine, _say, force=force)
            except NoInterpreterError as error:
                if names:
                    raise
                told = {"image": name, "did": _LEFT_OUT, "why": str(error)}
                yield told, f"{name}: {_LEFT_OUT}: {error}"
                continue
            yield {"image": name, "did": did}, f"{name}: {did}"


def _list(table: ImageTable, rows: Sequence[ImageRow], arguments: argparse.Namespace) -> None:
    engine, why = _engine()
    described = [_describe(row, table, engine) for row in rows]
    if arguments.json:
        print(json.dumps({"schema": 1, "engine": why, "images": described}, indent=2))
        return
    print_table(
        ("image", "framework", "version", "device", *_FACTS, "source", "size", "run yet", "here"),
        [
            (
                row["id"],
                row["framework"],
                row["version"],
                row["device"],
                row["python"],
                row["cuda"] or "-",
                row["driver"] or "-",
                span(row["compute_capabilities"]) or "-",
                row["reference"] or row["base"],
                row["size"],
                "never" if row["never_run"] else "yes",
                row["state"] + (f": {row['reason']}" if row["reason"] else ""),
            )
            for row in described
        ],
    )
    if any(row["never_run"] for row in described):
        print(
            "\nrun yet: never = nobody has run it with benchdock on a GPU; what it supports is "
            "read from its vendor's notes or its packages"
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
    facts = listed.facts_of(row)
    return {
        **row.model_dump(mode="json"),
        "cuda": facts.cuda or None,
        "driver": facts.driver or None,
        "driver_branches": list(facts.driver_branches),
        "compute_capabilities": list(facts.architectures),
        "tag": row.tag,
        "pinned": table.digests.get(row.reference),
        "state": state.kind if state else "unknown",
        "reason": state.reason if state else "",
        "image_id": state.found.id if state and state.found else None,
        "image_digest": state.found.digest if state and state.found else None,
    }
