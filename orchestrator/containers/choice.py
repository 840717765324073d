"""Which image of our table a machine can use: the newest of those that stand in for each other.

Pure: a machine is its driver and its GPUs, of this machine or read from a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.containers import listed
from orchestrator.containers.container_table import numbers
from orchestrator.images.image_table import ImageRow, ImageTable


@dataclass(frozen=True, kw_only=True)
class PassedOver:
    """A newer image that cannot work, and the sentence that says why."""

    image: ImageRow
    why: str


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The image for a machine, or None if no image works; `refusal` says why there is none.

    `passed_over` are the images before it, the newest first.
    """

    image: ImageRow | None
    refusal: str = ""
    passed_over: tuple[PassedOver, ...] = ()

    def notes(self) -> tuple[str, ...]:
        """Say why the newest image was not taken; empty if it was."""
        if self.image is None or not self.passed_over:
            return ()
        why = _first(self.passed_over[0].why)
        return (f"the image is {self.image.id}, the newest that works here: {why}",)


def choose(
    named: ImageRow,
    gpus: Sequence[tuple[str, str]],
    driver: str | None,
    *,
    table: ImageTable,
    on_host: bool = False,
) -> Choice:
    """Choose the newest image for the (name, compute capability) of each GPU and for the driver.

    `named` is the image that a framework names. Without an engine (`on_host`) only what pip can
    install is left; if nothing is, `named` is returned, whose refusal is the host runtime's.
    """
    candidates = table.candidates(named)
    if on_host:
        candidates = tuple(image for image in candidates if image.fits_host) or (named,)
        if candidates == (named,) and not named.fits_host:
            return Choice(image=named)
    passed: list[PassedOver] = []
    for image in candidates:
        why = listed.assess_row(image, gpus, driver).refusal
        if why is None:
            return Choice(image=image, passed_over=tuple(passed))
        passed.append(PassedOver(image=image, why=why))
    return Choice(image=None, refusal=_decisive(passed, gpus), passed_over=tuple(passed))


def _decisive(passed: Sequence[PassedOver], gpus: Sequence[tuple[str, str]]) -> str:
    """Return the reason that decides: the image that lacks least, a driver if it is only that.

    Of several drivers the lowest is the nearest. The newest image tells of GPUs that are too new,
    the one that goes back farthest of those that are too old.
    """
    lacking_driver = [one for one in passed if not listed.assess_row(one.image, gpus).refusal]
    if lacking_driver:
        return min(lacking_driver, key=lambda one: numbers(listed.facts_of(one.image).driver)).why
    oldest = min(passed, key=lambda one: _lowest(one.image))
    gpu = min((numbers(capability) for _, capability in gpus), default=())
    return oldest.why if gpu < _lowest(oldest.image) else passed[0].why


def _lowest(image: ImageRow) -> tuple[int, ...]:
    facts = listed.facts_of(image)
    known = [facts.lowest] if facts.lowest else facts.architectures
    return min(map(numbers, known), default=())


def _first(sentences: str) -> str:
    """Return the first of some sentences, without its full stop; versions hold dots too."""
    return sentences.partition(". ")[0].rstrip(".")
