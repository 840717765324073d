"""Images ready to run: built, pulled, or refused with the reason.

What gets an image is imported only if one is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from orchestrator import file_lock
from orchestrator.errors import ImageError, RequestError
from orchestrator.images import digests
from orchestrator.images.contract import BuildEvent, ImageEngine, OnEvent
from orchestrator.images.image_table import Image, ImageTable
from orchestrator.images.reference import parse_reference

if TYPE_CHECKING:
    from orchestrator.runtimes.docker.images import ImageInfo


Action = Literal["found", "built", "rebuilt", "pulled"]


class Policy(StrEnum):
    """What to do about an image that is missing or out of date."""

    AUTO = "auto"
    NEVER = "never"
    FORCE = "force"


@dataclass(frozen=True, kw_only=True)
class ImageState:
    """The state of an image: `name` is what a run uses.

    It is stale if only another build of it is here: `reason` says what differs, or why this machine
    cannot build a missing one. `doubt` says that a vendor's image is not the pinned one.
    """

    kind: Literal["absent", "current", "stale"]
    name: str
    reason: str = ""
    doubt: str = ""
    found: ImageInfo | None = None


@dataclass(frozen=True, kw_only=True)
class ReadyImage:
    """An image that can be run.

    Start it by `id`, because a tag can move. `digest` is the registry's, None if it was built here.
    `image` is None for an image that is not in the table. If `mount_backends` is set the image does
    not contain our code: mount paths.BACKENDS read-only at /opt/benchdock/backends.
    """

    reference: str
    id: str
    digest: str | None
    image: Image | None
    mount_backends: bool
    did: Action
    warnings: tuple[str, ...] = ()


def state(image: Image, table: ImageTable, engine: ImageEngine) -> ImageState:
    """Return the state of a table image at the engine."""
    if image.source == "vendor":
        return _vendors_state(image, table, engine)
    identity = digests.identity(image, table)
    name = digests.tag(image, identity)
    # The readable name too: an image that was copied from elsewhere may have no other.
    found = engine.image(name) or engine.image(image.tag)
    if found is None:
        return ImageState(kind="absent", name=name, reason=_obstacle(image, table, engine))
    if reason := digests.why_stale(found.labels, identity):
        return ImageState(kind="stale", name=name, reason=reason)
    return ImageState(kind="current", name=name, found=found)


def name_of(image: Image, table: ImageTable) -> str:
    """Return the name of what a run uses: a vendor's reference, or today's build."""
    return image.reference or digests.tag(image, digests.identity(image, table))


def is_other_build(reference: str, image: Image, table: ImageTable) -> bool:
    """Whether a name is of a build of one of our images other than today's.

    The image's id and its readable name stand for today's build.
    """
    of_today = (image.id, image.tag, image.repository)
    return reference not in of_today and reference != name_of(image, table)


def _obstacle(image: Image, table: ImageTable, engine: ImageEngine) -> str:
    """Say why this machine cannot build the base of an image; empty if it can, or has it."""
    from orchestrator.images import interpreters  # only for an image that is missing

    base = table.bases[image.base]
    if not base.parent or engine.image(base.name) or interpreters.find(base.python):
        return ""
    return f"its base {base.name} is not here, and {interpreters.lack(base.python)}"


def _vendors_state(image: Image, table: ImageTable, engine: ImageEngine) -> ImageState:
    pinned = table.pinned(image)
    found = engine.image(pinned)
    if found is not None or pinned == image.tag:
        return ImageState(kind="current" if found else "absent", name=image.tag, found=found)
    # One that was loaded from a file, as on a server without network, has only its tag.
    found = engine.image(image.tag)
    if found is None:
        return ImageState(kind="absent", name=image.tag)
    digest = table.digests[image.reference]
    here = (
        f"{image.tag} is {found.digest} here" if found.digest else f"{image.tag} has no digest here"
    )
    doubt = f"{here}, but {digest} is pinned: run `{_pull_command(image.id)}` to get that"
    return ImageState(kind="current", name=image.tag, doubt=doubt, found=found)


def ensure(
    image: Image,
    table: ImageTable,
    engine: ImageEngine,
    policy: Policy,
    on_event: OnEvent,
) -> ReadyImage:
    """Return an image of the table, ready to run; build or pull it as `policy` allows.

    Another build of the image is not touched, because others may need it. Raises ImageError, also
    for an image that may not be built, and EngineError.
    """
    now = state(image, table, engine)
    if now.found is not None and policy is not Policy.FORCE:
        return _found(image, now, now.found, engine)
    if policy is Policy.NEVER:
        other = f"; only another build of it is ({now.reason})" if now.kind == "stale" else ""
        how = _pull_command(image.id) if image.source == "vendor" else _build_command(image)
        raise ImageError(f"the image {now.name} is not here{other}", hint=f"`{how}`")
    if image.source == "vendor":
        from orchestrator.images import builder

        found = builder.pull_image(image, table, engine, on_event)
        return _ready(image, found, "pulled", reference=image.tag)
    if now.kind == "stale":
        on_event(BuildEvent("stage", f"{image.tag} is another build: {now.reason}"))
    return _build(image, table, engine, policy, on_event)


def resolve(
    reference: str,
    table: ImageTable,
    engine: ImageEngine,
    policy: Policy,
    on_event: OnEvent,
) -> ReadyImage:
    """Return the image of `--image REFERENCE`, ready to run.

    An id or tag of the table means that image. One of our images under another name must be up to
    date, because it cannot be rebuilt under that name. Any other image is run unchanged, with our
    code mounted. Raises ImageError and EngineError.
    """
    image = table.image_of_tag(reference)
    if image is not None:
        if not is_other_build(reference, image, table):
            return ensure(image, table, engine, policy, on_event)
        return _ready(image, other_build(reference, image, engine), "found", reference=reference)
    did: Action = "found"
    found = engine.image(reference)
    if found is None and policy is Policy.NEVER:
        raise ImageError(f"the image {reference} is not here", hint=f"`{_pull_command(reference)}`")
    if found is None or policy is Policy.FORCE:
        from orchestrator.images import builder

        found, did = builder.pull(reference, engine, on_event), "pulled"
    if digests.BACKENDS in found.labels:
        _refuse_stale(reference, found)
    image = table.images.get(found.labels.get(digests.IMAGE, ""))
    return _ready(image, found, did, reference=reference)


def other_build(reference: str, image: Image, engine: ImageEngine) -> ImageInfo:
    """Return a build of one of our images other than today's, if it can be run.

    No registry has it: an image of that name in one is somebody else's. Raises ImageError.
    """
    found = engine.image(reference)
    if found is None:
        raise ImageError(
            f"{reference} is another build of {image.id}, which is not here",
            hint=f"use `--image {image.id}` for the build of this benchdock",
        )
    _refuse_stale(reference, found)
    return found


def pull(name: str, table: ImageTable, engine: ImageEngine, on_event: OnEvent) -> ReadyImage:
    """Return the image of a vendor's image, or of any reference, as its registry has it now.

    An image whose pinned digest is here already is not pulled again. Raises RequestError for an
    invalid reference or an image that is built here, ImageError and EngineError.
    """
    from orchestrator.images import builder

    # One word is the id of a image, mistyped or not: other references have a tag or a registry.
    image = table.image_of_tag(name) if set(name) & set("/:@") else table.image(name)
    if image is None:
        parse_reference(name)
        return _ready(None, builder.pull(name, engine, on_event), "pulled", reference=name)
    if image.source == "build":
        raise RequestError(f"{image.id} is built here", hint=f"`{_build_command(image)}`")
    pinned = table.pinned(image)
    here = engine.image(pinned) if pinned != image.tag else None
    if here is not None:
        return _ready(image, here, "found", reference=image.tag)
    found = builder.pull_image(image, table, engine, on_event)
    return _ready(image, found, "pulled", reference=image.tag)


def as_it_is(found: ImageInfo, reference: str, table: ImageTable) -> ReadyImage:
    """Return an image of the engine, current or stale, to repeat what was measured with it."""
    image = table.images.get(found.labels.get(digests.IMAGE, ""))
    return _ready(image or table.image_of_tag(reference), found, "found", reference=reference)


def _refuse_stale(reference: str, found: ImageInfo) -> None:
    # The recipe may differ: your registry may have an image that was built in another way.
    reason = digests.why_code_stale(found.labels)
    if reason:
        raise ImageError(
            f"the image {reference} is out of date: {reason}",
            hint="remove --image: the images of `benchdock images` are built as needed",
        )


def _found(image: Image, now: ImageState, found: ImageInfo, engine: ImageEngine) -> ReadyImage:
    """Return an image that is here, under the name that contains its digest."""
    if image.source == "build" and found.reference != now.name:
        engine.tag_image(found.id, now.name)
    return _ready(image, found, "found", reference=now.name, doubt=now.doubt)


def _build(
    image: Image,
    table: ImageTable,
    engine: ImageEngine,
    policy: Policy,
    on_event: OnEvent,
) -> ReadyImage:
    from orchestrator.images import builder

    def say_waiting() -> None:
        on_event(BuildEvent("stage", f"waiting for another process that builds {image.id}"))

    with file_lock.held(builder.lock_of(image), on_wait=say_waiting):
        before = state(image, table, engine)
        if before.found is not None and policy is not Policy.FORCE:
            return _found(image, before, before.found, engine)
        try:
            again = policy is Policy.FORCE
            builder.build(image, table, engine, on_event, tag=before.name, again=again)
        except OSError as error:
            raise ImageError(f"cannot prepare the build of {before.name}: {error}") from None
    after = state(image, table, engine)
    if after.found is None:
        raise ImageError(
            f"{before.name} was built, but is not as expected: {after.reason or 'it is gone'}",
            hint=f"run `{_build_command(image)}` again: something else changes it meanwhile",
        )
    engine.tag_image(after.found.id, image.tag)
    did: Action = "rebuilt" if before.kind == "current" else "built"
    return _ready(image, after.found, did, reference=after.name)


def _pull_command(name: str) -> str:
    return f"benchdock images pull {name}"


def _build_command(image: Image) -> str:
    return f"benchdock images build {image.id}"


def _ready(
    image: Image | None,
    found: ImageInfo,
    did: Action,
    *,
    reference: str,
    doubt: str = "",
) -> ReadyImage:
    ours = digests.BACKENDS in found.labels
    warnings = [doubt] if doubt else []
    if image is not None and image.end_of_life:
        warnings.append(f"{reference}: {image.end_of_life}")
    return ReadyImage(
        reference=reference,
        id=found.id,
        digest=found.digest,
        image=image,
        mount_backends=not ours,
        did=did,
        warnings=tuple(warnings),
    )
