"""Finds images of benchdock that nothing needs any more, and the space they would free.

An image is ours if benchdock built it: it has our labels and only our names. Images inherit
labels, so for an image without a name the last step shows whether it is ours or was built on one of
ours.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Protocol

from orchestrator import file_lock
from orchestrator.images import builder, digests
from orchestrator.images.contract import BuildEvent, OnEvent
from orchestrator.images.image_table import ImageTable

if TYPE_CHECKING:
    from orchestrator.runtimes.docker.images import ImageInfo
    from orchestrator.runtimes.docker.stock import StockedImage

# Builds of each image to keep beside the current one, for another checkout, perhaps.
KEPT = 2
# Seconds; younger images are kept, because a build of another home may be about to use them.
YOUNG = 600.0

_OURS = "benchdock/"
# The last steps of our builds: the labels and, in a failed build, the copy of backends/.
_OWN_STEPS = ("LABEL benchdock.", "/opt/benchdock/backends")


class StockEngine(Protocol):
    """The part of a container engine that pruning needs; see `runtimes.docker.client.Engine`."""

    def image(self, reference: str) -> ImageInfo | None:
        """Look an image up."""

    def images(self) -> tuple[StockedImage, ...]:
        """Return every image."""

    def images_in_use(self) -> dict[str, str]:
        """Return the ids of the images that containers use, each with the name of a container."""

    def last_step(self, image: str) -> str:
        """Return the last step by which an image was built."""

    def tag_image(self, image: str, name: str) -> None:
        """Give an image another name, which takes it from any other image."""

    def remove_image(self, reference: str) -> None:
        """Remove a tag, and the image with its last tag."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One of our images: `why` says why it is kept; it is removed if that is empty.

    `takes` is the space that is freed if it is removed after those before it: shared layers count
    for nothing.
    """

    image: StockedImage
    why: str
    takes: int = 0

    @property
    def name(self) -> str:
        """Return the name that distinguishes it from other builds, or the id of an image without
        one.
        """
        names = sorted(self.image.tags, key=lambda tag: (digests.readable(tag) == tag, tag))
        return names[0] if names else self.image.id.removeprefix("sha256:")[: digests.DIGITS]


def candidates(
    engine: StockEngine,
    table: ImageTable,
    *,
    keep: int = KEPT,
    results: Mapping[str, str],
    only: Collection[str] = (),
) -> tuple[Candidate, ...]:
    """Decide about each of our images; those to remove come first, in the order of removal.

    `keep` is the number of newest builds to keep of each image, `results` has the ids of images
    that stored results need, each with a run. `only` limits it to table images with these ids.
    """
    every = engine.images()
    ours = [one for one in every if _is_ours(one, engine) and _is_of(one, only)]
    reasons = _reasons(ours, table, keep, results, engine.images_in_use())
    stay = [one for one in every if not one.is_step and (one not in ours or reasons[one.id])]
    found = [Candidate(image=one, why=reasons[one.id]) for one in ours]
    # An image before the layers that it is based on, which it would keep.
    order = sorted(found, key=lambda one: (bool(one.why), -len(one.image.layers), one.name))
    gone = [one for one in order if not one.why]
    foreign = [one for one in stay if one not in ours]
    kept = [one for one in order if one.why]
    return (*_sized(gone, stay, every), *_sized(kept, foreign, every))


def _is_ours(image: StockedImage, engine: StockEngine) -> bool:
    if image.is_step or not {digests.IMAGE, digests.FRAMEWORK} & image.labels.keys():
        return False
    if image.tags:
        return any(tag.startswith(_OURS) for tag in image.tags)
    return _is_unfinished(image) or any(step in engine.last_step(image.id) for step in _OWN_STEPS)


def _is_unfinished(image: StockedImage) -> bool:
    """Whether it is left over from an unfinished build of framework layers: only finished ones have
    the label.

    One that is based on another of our images has the label of that one.
    """
    of = image.labels.get(digests.IMAGE, "")
    own = f"{_OURS}{of}{digests.FRAMEWORK_SUFFIX}:"
    return bool(of) and not image.labels.get(digests.FRAMEWORK, "").startswith(own)


def _is_of(image: StockedImage, only: Collection[str]) -> bool:
    named = {_repository(tag).removeprefix(_OURS) for tag in image.tags}
    ids = {image.labels.get(digests.IMAGE, "")} | {
        name.removesuffix(digests.FRAMEWORK_SUFFIX) for name in named
    }
    return not only or bool(ids & set(only))


def _reasons(
    ours: Sequence[StockedImage],
    table: ImageTable,
    keep: int,
    results: Mapping[str, str],
    in_use: Mapping[str, str],
) -> dict[str, str]:
    """Return why each image is kept, by its id; "" if it is removed."""
    images = [image for image in table.images.values() if image.source == "build"]
    built = [digests.identity(image, table) for image in images]
    current = {digests.framework_tag(image, table) for image in images}
    newest = _newest(ours, keep)

    def reason(image: StockedImage) -> str:
        age = time.time() - image.created
        foreign = [tag for tag in image.tags if not tag.startswith(_OURS)]
        if image.tags and (current & set(image.tags) or digests.identity_of(image.labels) in built):
            return "this benchdock uses it"
        if image.id in in_use:
            return f"container {in_use[image.id]} uses it"
        if image.id in results:
            return f"to replay {results[image.id]}"
        if foreign:
            return f"it is also named {foreign[0]}"
        if image.id in newest:
            return f"among the newest {keep}"
        return "it was built just now" if age < YOUNG else ""

    reasons = {image.id: reason(image) for image in ours}
    stay = [image for image in ours if image.tags and reasons[image.id]]
    upon = {image.labels.get(digests.FRAMEWORK): image.tags[0] for image in stay}
    for image in ours:
        for tag in upon.keys() & set(image.tags):
            reasons[image.id] = reasons[image.id] or f"{upon[tag]} is based on it"
    return reasons


def _newest(ours: Iterable[StockedImage], keep: int) -> set[str]:
    """Return the ids of the newest builds of each name."""
    builds: dict[str, list[StockedImage]] = {}
    for image in ours:
        for repository in {_repository(tag) for tag in image.tags}:
            builds.setdefault(repository, []).append(image)
    return {
        image.id
        for found in builds.values()
        for image in sorted(found, key=lambda one: -one.created)[:keep]
    }


def _repository(tag: str) -> str:
    return tag.rpartition(":")[0]


# Space


def _sized(
    found: Sequence[Candidate], stay: Sequence[StockedImage], every: Sequence[StockedImage]
) -> Iterator[Candidate]:
    """Yield the space of each image, if they are removed in this order and the others stay."""
    remaining = [*(one.image.layers for one in found), *(one.layers for one in stay)]
    for one in found:
        remaining.remove(one.image.layers)
        shared = _longest_shared(one.image.layers, remaining)
        yield replace(one, takes=one.image.size - _size(shared, every))


def _longest_shared(layers: tuple[str, ...], others: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the layers that an image shares with others: up to the last shared one."""
    return max((_common(layers, other) for other in others), key=len, default=())


def _common(layers: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(layers, other, strict=False))
    return tuple(layer for layer, _ in pairs)


def _size(layers: tuple[str, ...], every: Iterable[StockedImage]) -> int:
    """Return the size of the lowest layers in bytes; an upper bound if no image has just these."""
    if not layers:
        return 0
    return min(one.size for one in every if one.layers[: len(layers)] == layers)


# Removal


def remove(candidate: Candidate, engine: StockEngine) -> None:
    """Remove an image with all its names. Raises ImageError if the engine keeps it."""
    image = candidate.image
    for tag in image.tags:
        found = engine.image(tag)
        if found is not None and found.id == image.id:  # or it was given to another one meanwhile
            engine.remove_image(tag)
    if not image.tags and engine.image(image.id) is not None:
        engine.remove_image(image.id)


def move_aliases(found: Sequence[Candidate], engine: StockEngine) -> None:
    """Move the readable names of removed images to the newest build that is kept."""
    stay = sorted((one.image for one in found if one.why), key=lambda one: -one.created)
    for alias in (tag for one in found if not one.why for tag in one.image.tags):
        builds = [one for one in stay if any(_is_alias(alias, tag) for tag in one.tags)]
        if builds:
            engine.tag_image(builds[0].id, alias)


def _is_alias(name: str, tag: str) -> bool:
    return name != tag and digests.readable(tag) == name


@contextmanager
def without_builds(table: ImageTable, on_event: OnEvent) -> Iterator[None]:
    """Wait for the builds of this home, and block new ones: their layers have no image yet."""
    # In the order of a build: an image before its parent.
    images = sorted(
        (image for image in table.images.values() if image.source == "build"),
        key=lambda image: not image.parent,
    )
    with ExitStack() as locks:
        for image in images:
            waiting = BuildEvent("stage", f"waiting for another process that builds {image.id}")
            locks.enter_context(
                file_lock.held(builder.lock_of(image), on_wait=partial(on_event, waiting))
            )
        yield
