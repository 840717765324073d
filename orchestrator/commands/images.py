"""`benchdock images`: list, fetch, build, pull, export and pin images."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import EngineError, ExitStatus, ImageError, RequestError, unknown
from orchestrator.images import base_images, image_table, pins, store, wheelhouse
from orchestrator.images.contract import BuildEvent
from orchestrator.images.image_table import Image, ImageTable
from orchestrator.images.interpreters import NoInterpreterError
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import Outlet
from orchestrator.vendor_images import listed
from orchestrator.vendor_images.overview import span

if TYPE_CHECKING:
    from orchestrator.runtimes.docker.client import Engine

_FACTS = ("python", "CUDA", "driver from", "GPUs")
# What happened to an image: the key in a document and the word in a line.
Done = tuple[dict[str, Any], str]
_FAILED = "failed"
# Not asked for by name, and not possible on this machine.
_LEFT_OUT = "left out"


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Run the chosen action. Raises RequestError, ImageError, EngineError, MachineError."""
    _check_options(arguments)
    if arguments.all:
        from orchestrator.commands import vendor_images

        vendor_images.show(as_json=arguments.json)
        return ExitStatus.OK
    table = image_table.load()
    if arguments.action == "list":
        _list(table, _rows(table, arguments.names, default=table.images.values()), arguments)
        return ExitStatus.OK
    if arguments.action == "prune":
        from orchestrator.commands import prune_images

        return prune_images.execute(arguments, table, _tell)
    match arguments.action:
        case "export":
            from orchestrator.commands import export_image

            done = export_image.done(table, arguments.names, arguments.format, _tell)
        case "fetch":
            done = _fetch(table, arguments.names, arguments.source)
        case "build":
            rows = _built(table, arguments.names)
            done = _build(table, rows, force=arguments.force, named=bool(arguments.names))
        case "pull":
            done = _pull(table, arguments.names)
        case "pin":
            done = _pin(table, _vendors(table, arguments.names))
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
    """Refuse an option that does not apply to the action. Raises RequestError."""
    action = arguments.action
    for option, given, actions in (
        ("--from", arguments.source is not None, ("fetch",)),
        ("--force", arguments.force, ("build", "bootstrap")),
        ("--all", arguments.all, ("list",)),
        ("--keep", arguments.keep is not None, ("prune",)),
        ("--ignore-results", arguments.ignore_results, ("prune",)),
        ("--dry-run", arguments.dry_run, ("prune",)),
        ("--format", arguments.format is not None, ("export",)),
    ):
        if given and action not in actions:
            raise RequestError(
                f"{option} only works with `images {'` and `images '.join(actions)}`",
                hint=f"remove {option}",
            )
    if arguments.all and arguments.names:
        raise RequestError(
            "--all lists all images and takes no names", hint="use `benchdock images --all`"
        )


def _rows(
    table: ImageTable, names: Sequence[str], *, default: Sequence[Image] | Any
) -> list[Image]:
    return [table.image(name) for name in names] if names else list(default)


def _built(table: ImageTable, names: Sequence[str]) -> list[Image]:
    """Return the named images that are built here, by default all CPU images that build quickly."""
    ours = [
        image
        for image in table.images.values()
        if image.source == "build" and image.device == "cpu" and not image.compiled
    ]
    chosen = _rows(table, names, default=ours)
    for image in chosen:
        if image.source != "build":
            raise RequestError(
                f"{image.id} is a vendor's image and cannot be built",
                hint=f"run `benchdock images pull {image.id}` to get it",
            )
    return chosen


def _say(text: str) -> None:
    Outlet(sys.stderr).line(text)


def _tell(event: BuildEvent) -> None:
    before = {"line": "", "stage": "== ", "warning": "warning: "}
    _say(before[event.kind] + event.text)


def _fetch(table: ImageTable, names: Sequence[str], source: str | None) -> Iterator[Done]:
    if source is not None and not Path(source).is_dir():
        raise RequestError(
            f"the folder {source} does not exist", hint="use --from with a folder of wheels"
        )
    rows = _built(table, names)
    for image in rows if names else [image for image in rows if image.lock]:
        folder = wheelhouse.fetch(image, table, _say, source=Path(source) if source else None)
        yield {"image": image.id, "wheels": str(folder)}, f"{image.id}: the wheels are in {folder}"


def _build(table: ImageTable, rows: Sequence[Image], *, force: bool, named: bool) -> Iterator[Done]:
    """Build images; one that was not named is left out if its base needs a Python not here."""
    from orchestrator.runtimes.docker.client import Engine

    policy = store.Policy.FORCE if force else store.Policy.AUTO
    with Engine.connect() as engine:
        for image in rows:
            try:
                ready = store.ensure(image, table, engine, policy, _tell)
            except NoInterpreterError as error:
                if named:
                    raise
                told = {"image": image.id, "did": _LEFT_OUT, "why": str(error)}
                yield told, f"{image.id}: {_LEFT_OUT}: {error}"
                continue
            told = {
                "image": image.id,
                "did": ready.did,
                "reference": ready.reference,
                "id": ready.id,
            }
            yield told, f"{image.id}: {ready.did} {ready.reference} {ready.id}"


def _pull(table: ImageTable, names: Sequence[str]) -> Iterator[Done]:
    from orchestrator.runtimes.docker.client import Engine

    if not names:
        raise RequestError(
            "`images pull` needs the name of an image",
            hint="use a name from `benchdock images`, or a reference such as "
            "nvcr.io/nvidia/pytorch:24.06-py3",
        )
    of_suites = {name: _of_suite(name) for name in names}
    needed = {one for found in of_suites.values() for one in found}
    named = [one for name, found in of_suites.items() for one in (found or [name])]
    with Engine.connect() as engine:
        for name in dict.fromkeys(named):
            ready = _ready(name, table, engine, build=name in needed)
            told = {
                "image": ready.image.id if ready.image else None,
                "did": ready.did,
                "reference": ready.reference,
                "id": ready.id,
                "digest": ready.digest,
            }
            yield told, f"{name}: {ready.did} {ready.reference} {ready.digest or ready.id}"


def _of_suite(name: str) -> list[str]:
    """Return the images that a suite needs on this machine, none for any other name."""
    if not name.endswith((".yaml", ".yml")):
        return []
    from orchestrator.suites import deciding, expansion, loading, planning

    loaded = loading.load(Path(name))
    decider = deciding.MachineDecider(folder=loaded.folder)
    needs = planning.plan(loaded, expansion.expand(loaded), decider).needs()
    if not needs:
        raise RequestError(
            f"{name} needs no image on this machine", hint=f"run `benchdock plan {name}` to see why"
        )
    return [need.image for need in needs]


def _ready(name: str, table: ImageTable, engine: Engine, *, build: bool) -> store.ReadyImage:
    """Pull an image, or `build` one that a suite needs and no registry has."""
    image = table.images.get(name)
    if build and image is not None and image.source == "build":
        return store.ensure(image, table, engine, store.Policy.AUTO, _tell)
    return store.pull(name, table, engine, _tell)


def _vendors(table: ImageTable, names: Sequence[str]) -> list[Image]:
    """Return the named vendors' images, by default all of them."""
    every = [image for image in table.images.values() if image.source == "vendor"]
    chosen = _rows(table, names, default=every)
    for image in chosen:
        if image.source != "vendor":
            raise RequestError(
                f"{image.id} is built here and not in any registry",
                hint="name vendors' images only",
            )
    return chosen


def _pin(table: ImageTable, rows: Sequence[Image]) -> Iterator[Done]:
    """Ask the registries for the digests of tags; keep a pin if its registry does not answer."""
    from orchestrator.runtimes.docker.client import Engine

    pins.refuse_in_wheel()
    kept = {
        image.reference: table.digests[image.reference]
        for image in table.images.values()
        if image.reference in table.digests
    }
    with Engine.connect() as engine:
        for image in rows:
            try:
                digest = engine.registry_digest(image.reference)
            except ImageError as error:
                told = {"image": image.id, "did": _FAILED, "reference": image.reference}
                yield told | {"why": str(error)}, f"{image.id}: {_FAILED}: {error}"
                continue
            before = kept.get(image.reference)
            did = "unchanged" if before == digest else "renewed" if before else "pinned"
            kept[image.reference] = digest
            told = {"image": image.id, "did": did, "reference": image.reference, "digest": digest}
            yield told, f"{image.id}: {did} {image.reference} {digest}"
    pins.save(kept)


def _bootstrap(table: ImageTable, names: Sequence[str], *, force: bool) -> Iterator[Done]:
    """Make base images; without names those of our images that this machine can make."""
    from orchestrator.runtimes.docker.client import Engine

    for name in names:
        if name not in table.bases:
            raise unknown("base image", name, table.bases)
    wanted = names or sorted({image.base for image in table.images.values() if image.base})
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


def _list(table: ImageTable, rows: Sequence[Image], arguments: argparse.Namespace) -> None:
    engine, why = _engine()
    described = [_describe(image, table, engine) for image in rows]
    if arguments.json:
        print(json.dumps({"schema": 1, "engine": why, "images": described}, indent=2))
        return
    print_table(
        ("image", "framework", "version", "device", *_FACTS, "source", "size", "tested", "here"),
        [
            (
                image["id"],
                image["framework"],
                image["version"],
                image["device"],
                image["python"],
                image["cuda"] or "-",
                image["driver"] or "-",
                span(image["compute_capabilities"]) or "-",
                image["reference"] or image["base"],
                image["size"],
                "never" if image["never_run"] else "yes",
                image["state"] + (f": {image['reason']}" if image["reason"] else ""),
            )
            for image in described
        ],
    )
    if any(image["never_run"] for image in described):
        print(
            "\ntested: never = nobody has run this image with benchdock on a GPU yet; the GPU "
            "requirements come from the vendor's notes or its packages"
        )
    if engine is None:
        print(f"\ncannot check which images are here: {why}")


def _engine() -> tuple[Engine | None, str]:
    from orchestrator.runtimes.docker.client import Engine

    try:
        engine = Engine.connect()
    except EngineError as error:
        return None, str(error)
    return engine, f"{engine.name} {engine.version}"


def _describe(image: Image, table: ImageTable, engine: Engine | None) -> dict[str, Any]:
    state = store.state(image, table, engine) if engine is not None else None
    facts = listed.facts_of(image)
    return {
        **image.model_dump(mode="json"),
        "cuda": facts.cuda or None,
        "driver": facts.driver or None,
        "driver_branches": list(facts.driver_branches),
        "compute_capabilities": list(facts.architectures),
        "tag": image.tag,
        "name": state.name if state else store.name_of(image, table),
        "pinned": table.digests.get(image.reference),
        "state": state.kind if state else "unknown",
        "reason": state.reason if state else "",
        "image_id": state.found.id if state and state.found else None,
        "image_digest": state.found.digest if state and state.found else None,
    }
