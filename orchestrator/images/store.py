"""Images ready to run: built, rebuilt when stale, pulled, or refused with the reason."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from orchestrator import file_lock
from orchestrator.errors import ImageError, RequestError
from orchestrator.images import builder, digests, interpreters
from orchestrator.images.builder import Event, ImageEngine, OnEvent
from orchestrator.images.image_table import ImageRow, ImageTable
from orchestrator.images.reference import parse_reference

if TYPE_CHECKING:
    from orchestrator.engine.images import ImageInfo


Action = Literal["found", "built", "rebuilt", "pulled"]


class Policy(StrEnum):
    """What may be done about an image that is missing or stale."""

    AUTO = "auto"
    NEVER = "never"
    FORCE = "force"


@dataclass(frozen=True, kw_only=True)
class State:
    """How an image stands.

    `reason` says why it is stale, or absent and not to be built on this machine; `doubt` that it
    is not what is pinned.
    """

    kind: Literal["absent", "current", "stale"]
    reason: str = ""
    doubt: str = ""
    found: ImageInfo | None = None


@dataclass(frozen=True, kw_only=True)
class ReadyImage:
    """An image that may be run.

    Start it by `id`: a tag can move. `digest` is the registry's, None where it was built here.
    `row` is None for an image that is not in the table. Where `mount_backends` is set the image
    does not hold our code: mount paths.BACKENDS read-only at /opt/benchdock/backends.
    """

    reference: str
    id: str
    digest: str | None
    row: ImageRow | None
    mount_backends: bool
    did: Action
    warnings: tuple[str, ...] = ()


def state(row: ImageRow, table: ImageTable, engine: ImageEngine) -> State:
    """Tell how an image of the table stands at the engine."""
    if row.source == "vendor":
        return _vendors_state(row, table, engine)
    found = engine.image(row.tag)
    if found is None:
        return State(kind="absent", reason=_obstacle(row, table, engine))
    reason = digests.why_stale(found.labels, row, table)
    return State(kind="stale" if reason else "current", reason=reason or "", found=found)


def _obstacle(row: ImageRow, table: ImageTable, engine: ImageEngine) -> str:
    """Say why this machine cannot make the base of an image; empty if it is here or can be made."""
    base = table.bases[row.base]
    if not base.parent or engine.image(base.name) or interpreters.find(base.python):
        return ""
    return f"its base {base.name} is not here, and {interpreters.lack(base.python)}"


def _vendors_state(row: ImageRow, table: ImageTable, engine: ImageEngine) -> State:
    pinned = table.pinned(row)
    found = engine.image(pinned)
    if found is not None or pinned == row.tag:
        return State(kind="current" if found else "absent", found=found)
    # One that was loaded from a file, as on a server without network, has only its tag.
    found = engine.image(row.tag)
    if found is None:
        return State(kind="absent")
    digest = table.digests[row.reference]
    here = f"{row.tag} is {found.digest} here" if found.digest else f"{row.tag} has no digest here"
    doubt = f"{here}, and {digest} is pinned: `{_pull_command(row.id)}` gets that"
    return State(kind="current", doubt=doubt, found=found)


def ensure(
    row: ImageRow,
    table: ImageTable,
    engine: ImageEngine,
    policy: Policy,
    on_event: OnEvent,
) -> ReadyImage:
    """Return an image of the table, ready to run; build or pull it as `policy` allows.

    Raises ImageError, also for a stale image that may not be rebuilt, and EngineError.
    """
    now = state(row, table, engine)
    if now.found is not None and now.kind == "current" and policy is not Policy.FORCE:
        return _ready(row, now.found, "found", doubt=now.doubt)
    if policy is Policy.NEVER:
        what = "is not here" if now.kind == "absent" else f"is stale: {now.reason}"
        how = _pull_command(row.id) if row.source == "vendor" else _build_command(row)
        raise ImageError(f"the image {row.tag} {what}", hint=f"`{how}`")
    if row.source == "vendor":
        return _ready(row, builder.pull(table.pinned(row), engine, on_event), "pulled")
    if now.kind == "stale":
        on_event(Event("stage", f"rebuilding {row.tag}: {now.reason}"))
    return _build(row, table, engine, policy, on_event)


def resolve(
    reference: str,
    table: ImageTable,
    engine: ImageEngine,
    policy: Policy,
    on_event: OnEvent,
) -> ReadyImage:
    """Return the image of `--image REFERENCE`, ready to run.

    A row's id or tag is that row. An image of ours under another name must be up to date, since
    it cannot be rebuilt under a name that is not ours. Any other image is run as it is, with our
    code mounted. Raises ImageError and EngineError.
    """
    row = table.row_of_tag(reference)
    if row is not None:
        return ensure(row, table, engine, policy, on_event)
    did: Action = "found"
    found = engine.image(reference)
    if found is None and policy is Policy.NEVER:
        raise ImageError(f"the image {reference} is not here", hint=f"`{_pull_command(reference)}`")
    if found is None or policy is Policy.FORCE:
        found, did = builder.pull(reference, engine, on_event), "pulled"
    if digests.BACKENDS in found.labels:
        _refuse_stale(reference, found)
    row = table.images.get(found.labels.get(digests.IMAGE, ""))
    return _ready(row, found, did, reference=reference)


def pull(name: str, table: ImageTable, engine: ImageEngine, on_event: OnEvent) -> ReadyImage:
    """Return the image of a vendor's row, or of any reference, as its registry has it now.

    One whose pinned digest is here already is not pulled again. Raises RequestError for what is not
    an image or is built here, ImageError and EngineError.
    """
    # One word is the id of a row, mistyped or not: references of others have a tag or a registry.
    row = table.row_of_tag(name) if set(name) & set("/:@") else table.row(name)
    if row is None:
        parse_reference(name)
        return _ready(None, builder.pull(name, engine, on_event), "pulled", reference=name)
    if row.source == "build":
        raise RequestError(f"{row.id} is built here", hint=f"`{_build_command(row)}`")
    pinned = table.pinned(row)
    here = engine.image(pinned) if pinned != row.tag else None
    if here is not None:
        return _ready(row, here, "found")
    return _ready(row, builder.pull(pinned, engine, on_event), "pulled")


def as_it_is(found: ImageInfo, reference: str, table: ImageTable) -> ReadyImage:
    """Return an image the engine has, current or stale: to repeat what was measured with it."""
    row = table.images.get(found.labels.get(digests.IMAGE, ""))
    return _ready(row or table.row_of_tag(reference), found, "found", reference=reference)


def _refuse_stale(reference: str, found: ImageInfo) -> None:
    # The recipe may differ: a registry of one's own may hold an image built in another way.
    reason = digests.why_code_stale(found.labels)
    if reason:
        raise ImageError(
            f"the image {reference} is stale: {reason}",
            hint="remove --image: the images of `benchdock images` are rebuilt as needed",
        )


def _build(
    row: ImageRow,
    table: ImageTable,
    engine: ImageEngine,
    policy: Policy,
    on_event: OnEvent,
) -> ReadyImage:
    def say_waiting() -> None:
        on_event(Event("stage", f"waiting for another process that builds {row.tag}"))

    with file_lock.held(builder.lock_of(row), on_wait=say_waiting):
        before = state(row, table, engine)
        if before.found is not None and before.kind == "current" and policy is not Policy.FORCE:
            return _ready(row, before.found, "found")
        try:
            builder.build(row, table, engine, on_event, again=policy is Policy.FORCE)
        except OSError as error:
            raise ImageError(f"cannot prepare the build of {row.tag}: {error}") from None
        if before.found is not None:
            _untag_old_framework(before.found, row, table, engine)
    after = state(row, table, engine)
    if after.found is None or after.kind != "current":
        raise ImageError(
            f"{row.tag} was built, but is not what it should be: {after.reason or 'it is gone'}",
            hint=f"something else changes it meanwhile; `{_build_command(row)}` again",
        )
    return _ready(row, after.found, "built" if before.kind == "absent" else "rebuilt")


def _untag_old_framework(
    old: ImageInfo, row: ImageRow, table: ImageTable, engine: ImageEngine
) -> None:
    """Drop the name of the old recipe's layers, so that `docker image prune` can free them.

    The old image itself stays, untagged: a result may be repeated with it.
    """
    tag = old.labels.get(digests.FRAMEWORK, "")
    if tag and tag != builder.framework_tag(row, table):
        with suppress(ImageError):
            engine.remove_image(tag)


def _pull_command(name: str) -> str:
    return f"benchdock images pull {name}"


def _build_command(row: ImageRow) -> str:
    return f"benchdock images build {row.id}"


def _ready(
    row: ImageRow | None,
    found: ImageInfo,
    did: Action,
    *,
    reference: str | None = None,
    doubt: str = "",
) -> ReadyImage:
    ours = digests.BACKENDS in found.labels
    warnings = [doubt] if doubt else []
    if row is not None and row.end_of_life:
        warnings.append(f"{reference or row.tag}: {row.end_of_life}")
    name = reference or (row.tag if row else found.id)
    return ReadyImage(
        reference=name,
        id=found.id,
        digest=found.digest,
        row=row,
        mount_backends=not ours,
        did=did,
        warnings=tuple(warnings),
    )
