"""Chooses the newest image of our table that works on a machine.

Pure: a machine is its driver and its GPUs, of this machine or read from a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.images.image_table import Image, ImageTable
from orchestrator.vendor_images import listed, proven
from orchestrator.vendor_images.vendor_table import numbers, shipped


@dataclass(frozen=True, kw_only=True)
class PassedOver:
    """A newer image that is not used, and a sentence that says why.

    If it is only `unproven`, it may work: our backend was never run with its release.
    """

    image: Image
    why: str
    unproven: bool = False


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The image for a machine, or None if no image works; `refusal` says why.

    `passed_over` are the newer images, the newest first. `proven_with` is the release that our
    backend was run with on a CPU; empty if a vendor's program is to run.
    """

    image: Image | None
    proven_with: str = ""
    refusal: str = ""
    passed_over: tuple[PassedOver, ...] = ()

    def notes(self) -> tuple[str, ...]:
        """Say why the newest image is not used; empty if it is."""
        if self.image is None or not self.passed_over:
            return ()
        newest, *others = self.passed_over
        also = [one.why for one in others if one.unproven]
        works = "works here and is proven" if also or newest.unproven else "works here"
        taken = f"the image is {self.image.id}, the newest that {works}: {_first(newest.why)}"
        return (taken, *map(_first, also), *self._proven())

    def _proven(self) -> tuple[str, ...]:
        """Name the release that the backend was proven with instead of the image's release."""
        if self.image is None or not self.proven_with:
            return ()
        return (
            f"{self.image.id} contains {_release(self.image)}; our backend was proven with "
            f"{self.proven_with} on a CPU",
        )


def choose(
    named: Image,
    gpus: Sequence[tuple[str, str]],
    driver: str | None,
    *,
    table: ImageTable,
    backend: str | None = None,
    on_host: bool = False,
) -> Choice:
    """Choose the newest image for the (name, compute capability) of each GPU and for the driver.

    `named` is the image that a framework names. If our `backend` will run in it, only images with a
    release that it was proven with are used. Without an engine (`on_host`) only what pip can
    install is possible; if nothing is, `named` is returned, and the host runtime refuses it.
    """
    candidates = table.candidates(named)
    if on_host:
        candidates = tuple(image for image in candidates if image.fits_host) or (named,)
        if candidates == (named,) and not named.fits_host:
            return Choice(image=named)
    passed: list[PassedOver] = []
    for image in candidates:
        why = listed.assess_image(image, gpus, driver).refusal
        if why:
            passed.append(PassedOver(image=image, why=why))
            continue
        release = _proven(image, backend)
        if release is not None:
            return Choice(image=image, proven_with=release, passed_over=tuple(passed))
        passed.append(PassedOver(image=image, why=_unproven(image), unproven=True))
    return Choice(image=None, refusal=_decisive(passed, gpus), passed_over=tuple(passed))


def _proven(image: Image, backend: str | None) -> str | None:
    """Return the release that a backend was proven with; "" if no proof is needed."""
    if backend is None or not proven.covers(backend):
        return ""
    return proven.proven_with(backend, listed.facts_of(image).version)


def _unproven(image: Image) -> str:
    return (
        f"{image.tag} contains {_release(image)}, and our backend was not run with that "
        f"release. Add --image {image.id} to use it anyway"
    )


def _release(image: Image) -> str:
    """Return which framework an image contains: "PyTorch 2.0.1"."""
    family = shipped().families.get(image.framework)
    version = listed.facts_of(image).version or "of an unknown release"
    return f"{family.title if family else image.framework} {version}"


def _decisive(passed: Sequence[PassedOver], gpus: Sequence[tuple[str, str]]) -> str:
    """Return the decisive reason: that of the image that lacks least, a driver if only that is
    missing.

    An image that is only unproven is nearest. Of several drivers the lowest is. The newest image
    reports GPUs that are too new, the one that goes back furthest those that are too old.
    """
    if unproven := [one for one in passed if one.unproven]:
        return unproven[0].why
    lacking_driver = [one for one in passed if not listed.assess_image(one.image, gpus).refusal]
    if lacking_driver:
        return min(lacking_driver, key=lambda one: numbers(listed.facts_of(one.image).driver)).why
    oldest = min(passed, key=lambda one: _lowest(one.image))
    gpu = min((numbers(capability) for _, capability in gpus), default=())
    return oldest.why if gpu < _lowest(oldest.image) else passed[0].why


def _lowest(image: Image) -> tuple[int, ...]:
    facts = listed.facts_of(image)
    known = [facts.lowest] if facts.lowest else facts.architectures
    return min(map(numbers, known), default=())


def _first(sentences: str) -> str:
    """Return the first sentence without its full stop; versions contain dots too."""
    return sentences.partition(". ")[0].rstrip(".")
