"""`benchdock images export`: write an image to a file for programs without an engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import MachineError, RequestError
from orchestrator.images import exporting, store
from orchestrator.images.contract import BuildEvent, OnEvent
from orchestrator.images.image_table import ImageTable
from orchestrator.units import BYTES, quantity

_SUFFIXES = {"oci": ".tar", "sqsh": ".sqsh"}


def done(
    table: ImageTable, names: Sequence[str], form: str | None, tell: OnEvent
) -> Iterator[tuple[dict[str, Any], str]]:
    """Write an image and yield what happened.

    Raises RequestError, ImageError, EngineError or MachineError; no file is left then.
    """
    from orchestrator.runtimes.docker.client import Engine

    if form is None:
        raise RequestError(
            "`images export` needs a format", hint="use --format oci, or --format sqsh for pyxis"
        )
    if not 1 <= len(names) <= 2:
        raise RequestError(
            f"`images export` takes one image and one file, not {len(names)} names",
            hint=f"use `benchdock images export pytorch-cpu --format {form} FILE`",
        )
    name, file = names[0], _file(names, form)
    if form == "sqsh":
        exporting.enroot()  # before an image is built for nothing
    with Engine.connect() as engine:
        ready = store.resolve(name, table, engine, store.Policy.AUTO, tell)
        tell(BuildEvent("stage", f"writing {ready.reference} to {file}"))
        if form == "oci":
            exporting.oci(engine, ready.reference, file)
        else:
            exporting.sqsh(ready.reference, file)
    size = file.stat().st_size
    told = {
        "image": ready.image.id if ready.image else None,
        "did": "exported",
        "reference": ready.reference,
        "id": ready.id,
        "format": form,
        "file": str(file),
        "bytes": size,
    }
    yield told, f"{name}: exported {ready.reference} to {file} ({quantity(size, BYTES)})"


def _file(names: Sequence[str], form: str) -> Path:
    """Return the file to write. Raises MachineError if it is there or its folder is not."""
    image = names[0].rpartition("/")[2].replace(":", "-")
    file = Path(names[1] if len(names) > 1 else f"{image}{_SUFFIXES[form]}").expanduser().absolute()
    if form == "sqsh" and file.suffix != _SUFFIXES[form]:
        raise RequestError(
            f"{file.name} does not end in .sqsh, by which pyxis knows such a file",
            hint=f"use {file.stem}.sqsh",
        )
    if file.exists():
        raise MachineError(f"{file} is there already", hint="remove it, or use another name")
    if not file.parent.is_dir():
        raise MachineError(f"the folder {file.parent} does not exist", hint="make it first")
    return file
