"""Checks whether a vendor's image works on a GPU, before it is started.

The rule is CUDA's: binaries run on GPUs with the same major compute capability and a minor one that
is not lower. The images' banners only look up names in a table (see `banner`), so what only they
would doubt is a warning here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.images.reference import Reference, parse_any
from orchestrator.vendor_images import proven
from orchestrator.vendor_images.vendor_table import (
    Family,
    ImageFacts,
    VendorImage,
    VendorTable,
    numbers,
    shipped,
)

_WORKSTATION = re.compile(r"geforce|\brtx\b|\bgtx\b|titan|quadro", re.IGNORECASE)
_GOOD = ("fits", "newer")
# A GPU of each generation, for the sentence that says which can be used instead.
_EXAMPLES = {
    "Kepler": "3.7",
    "Maxwell": "5.2",
    "Pascal": "6.0",
    "Volta": "7.0",
    "Turing": "7.5",
    "Ampere": "8.0",
    "Ada": "8.9",
    "Hopper": "9.0",
    "Blackwell": "10.0",
}


@dataclass(frozen=True, kw_only=True)
class GpuSupport:
    """Why an image cannot work, in a sentence or "", and warnings if it can.

    `image` is None if the table of vendors' images does not have it.
    """

    refusal: str = ""
    warnings: tuple[str, ...] = ()
    image: VendorImage | None = None


@dataclass(frozen=True, kw_only=True)
class GpuModel:
    """A GPU for the rules; `capability` is its compute capability, such as "9.0"."""

    name: str
    capability: str


def generation(capability: str) -> str:
    """Return the generation of a compute capability: "9.0" is Hopper; empty if unknown."""
    major, minor = _pair(capability)
    if major == 7:
        return "Turing" if minor >= 5 else "Volta"
    if major == 8:
        return "Ada" if minor == 9 else "Ampere"
    names = {3: "Kepler", 5: "Maxwell", 6: "Pascal", 9: "Hopper"}
    return "Blackwell" if 10 <= major <= 12 else names.get(major, "")


def _pair(capability: str) -> tuple[int, int]:
    """Return major and minor number; (0, 0) if it is not a number."""
    major, minor = (*numbers(capability), 0, 0)[:2]
    return major, minor


def assess(
    reference: str,
    gpus: Sequence[tuple[str, str]],
    driver: str | None = None,
    *,
    table: VendorTable | None = None,
) -> GpuSupport:
    """Compare an image with the (name, compute capability) of each GPU and with the driver.

    An unknown image is allowed, with a note. Raises RequestError for an
    invalid image reference.
    """
    table = table or shipped()
    named = parse_any(reference)
    image = table.describe(named)
    if image is None:
        return GpuSupport(warnings=_unknown(table, named))
    found = support_of(table, image, gpus, driver)
    return replace(found, warnings=(*_about_tag(image), *found.warnings))


def support_of(
    table: VendorTable, image: VendorImage, gpus: Sequence[tuple[str, str]], driver: str | None
) -> GpuSupport:
    """Compare a vendor's image with GPUs and driver, without doubting the tag itself."""
    refusals: list[str] = []
    warnings: list[str] = []
    for gpu in dict.fromkeys(GpuModel(name=name, capability=cc) for name, cc in gpus):
        _check_gpu(table, image, gpu, refusals, warnings)
    if gpus and driver and not refusals:
        _check_driver(image, [name for name, _ in gpus], driver, refusals, warnings)
    return GpuSupport(
        refusal=refusals[0] if refusals else "",
        warnings=tuple(dict.fromkeys(warnings)),
        image=image,
    )


def short(image: VendorImage) -> str:
    """Return the short name of the image: "caffe2:18.08-py3"."""
    return f"{image.family.repository.removeprefix('nvcr.io/nvidia/')}:{image.tag}"


def _unknown(table: VendorTable, image: Reference) -> tuple[str, ...]:
    family = table.family_of(image)
    if family is None:
        return (f"{image} is not a known image: it is unknown which GPUs it supports",)
    if not image.tag:
        return (f"{image} has no tag: it is unknown which GPUs it supports",)
    tags = f"{family.first} to {family.last or 'now'}"
    if family.first == family.last_tag:
        tags = ", ".join(one.first for one in family.releases)
    return (
        f"{image.short} is not a known image ({family.title} images of {tags} are): it is unknown "
        "which GPUs it supports",
    )


def _about_tag(image: VendorImage) -> list[str]:
    """Say what makes the tag itself doubtful: it is unknown, or after the last one."""
    family = image.family
    notes = []
    if image.release and family.last and image.release > family.last:
        notes.append(
            f"no {short(image)} is known: the last NGC image of {family.title} is {family.last_tag}"
        )
    elif image.release and image.release < family.first:
        notes.append(f"no {family.title} image older than {family.first} is known")
    if image.facts.end_of_life:
        notes.append(f"{short(image)}: {image.facts.end_of_life}")
    return notes


def _check_gpu(
    table: VendorTable, image: VendorImage, gpu: GpuModel, refusals: list[str], warnings: list[str]
) -> None:
    facts = image.facts
    if not facts.architectures or not numbers(gpu.capability):
        return
    match fit(facts, gpu.capability):
        case "too old":
            refusals.append(_too_old(table, image, gpu))
        case "too new" if image.release >= table.eras[-1].first:
            warnings.append(
                f"the {gpu.name} (compute capability {gpu.capability}) is newer than all GPUs that "
                f"NVIDIA lists for {short(image)}: it may or may not work"
            )
        case "too new":
            refusals.append(_too_new(table, image, gpu))
        case "jit":
            warnings.append(
                f"{short(image)} has no binaries for the {gpu.name} (compute capability "
                f"{gpu.capability}): at best its kernels are compiled when the program starts, "
                "which takes many minutes, and some may be missing"
            )
        case "newer":
            warnings.append(
                f"{short(image)} was built for GPUs up to compute capability {_newest(facts)}; the "
                f"{gpu.name} ({gpu.capability}) runs those binaries, but the image's banner may "
                "say that it is not supported"
            )
        case "doubtful":
            warnings.append(
                f"no release note of {short(image)} promises support of GPUs below compute "
                f"capability {facts.doubtful_below}; the {gpu.name} is {gpu.capability}"
            )
        case _:
            pass


def fit(facts: ImageFacts, capability: str) -> str:
    """Classify a GPU: "fits", "newer" (than any binary), "doubtful", "jit", "too old/new"."""
    gpu = _pair(capability)
    built = [_pair(architecture) for architecture in facts.architectures]
    if facts.lowest and gpu < numbers(facts.lowest):
        return "too old"
    if facts.doubtful_below and gpu < numbers(facts.doubtful_below):
        return "doubtful"
    if capability in facts.jit:
        return "jit"
    if any(major == gpu[0] and minor <= gpu[1] for major, minor in built):
        return "newer" if gpu > max(built) else "fits"
    return "too old" if gpu < min(built) else "too new"


def _newest(facts: ImageFacts) -> str:
    return max(facts.architectures, key=numbers)


def _built_with(image: VendorImage) -> str:
    """Return "caffe2:18.08-py3 was built with CUDA 9.0 (2018)"."""
    year = image.facts.year or (2000 + int(image.release[:2]) if image.release else None)
    cuda = ".".join(image.facts.cuda.split(".")[:2])
    return f"{short(image)} was built with CUDA {cuda}" + (f" ({year})" if year else "")


def _too_new(table: VendorTable, image: VendorImage, gpu: GpuModel) -> str:
    cuda = _cuda_for(table, gpu.capability)
    needs = f", which needs CUDA {cuda} or newer" if cuda else ""
    return (
        f"{_built_with(image)} for GPUs up to compute capability {_newest(image.facts)}. "
        f"This GPU is {with_generation(gpu.capability)}{needs}. "
        f"{_newer_image(table, image, gpu)}"
    )


def _too_old(table: VendorTable, image: VendorImage, gpu: GpuModel) -> str:
    lowest = image.facts.lowest or min(image.facts.architectures, key=numbers)
    like = image.tag.partition("-")[2]
    older = fitting_image(table, image.family, gpu.capability, before=image.release, like=like)
    use = f"use an older one, such as {older}" if older else "use an older one, or a newer GPU"
    return (
        f"{_built_with(image)} for GPUs of compute capability {lowest} or newer. "
        f"This GPU is {with_generation(gpu.capability)}: this image needs compute capability "
        f"{lowest}+; {use}."
    )


def with_generation(capability: str) -> str:
    """Return a compute capability with its generation: "9.0 (Hopper)"."""
    name = generation(capability)
    return f"{capability} ({name})" if name else capability


def _cuda_for(table: VendorTable, capability: str) -> str:
    """Return the oldest CUDA with binaries for a capability, empty if unknown yet."""
    known = [
        cc
        for cc in table.cuda_for
        if numbers(cc)[0] == numbers(capability)[0] and numbers(cc) <= numbers(capability)
    ]
    return table.cuda_for[max(known, key=numbers)] if known else ""


def _newer_image(table: VendorTable, image: VendorImage, gpu: GpuModel) -> str:
    """Say what to use if the image is too old for the GPU."""
    family = image.family
    for era in table.eras if image.release else ():
        ended = bool(family.last) and era.first > family.last
        if era.first > image.release and not ended and fit(era, gpu.capability) in _GOOD:
            like = image.tag.partition("-")[2]
            return f"Use a newer image, from {family.image(era.first, like)} on."
    if not image.release:
        newest = f"{family.title} has no newer image"
    elif image.tag == family.last_tag:
        newest = f"{family.title} has no newer NGC image"
    else:
        newest = f"No NGC image of {family.title} supports it, the last one is {family.last_tag}"
    able = [name for name, cc in _EXAMPLES.items() if fit(image.facts, cc) in _GOOD]
    return f"{newest}: use a {_or(able)} GPU, or benchmark the model with {family.alternative}."


def fitting_image(
    table: VendorTable,
    family: Family,
    capability: str,
    *,
    before: str = "",
    driver: str = "",
    like: str = "",
) -> str:
    """Name the newest image with a release note that works on a GPU, or "".

    If we have a backend for the family, only a release that it was proven with. If given, only
    months before `before`, images that need no newer `driver`, and tags that end like `like`.
    """
    months = {
        month
        for other in table.families.values()
        for month in (facts.last or facts.first for facts in other.releases)
        if month[:1].isdigit() and family.first <= month < (before or "99.13")
        if not family.last or month <= family.last
    }
    for month in sorted(months, reverse=True):
        reference = family.image(month, like)
        image = table.describe(parse_any(reference))
        if image is None or not image.facts.architectures:
            continue
        enough = not driver or numbers(driver) >= numbers(image.facts.driver)
        if enough and fit(image.facts, capability) in _GOOD and _usable(image):
            return reference
    return ""


def _usable(image: VendorImage) -> bool:
    name = image.family.name
    return not proven.covers(name) or bool(proven.proven_with(name, image.facts.version))


def _or(words: Sequence[str]) -> str:
    return " or ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def _check_driver(
    image: VendorImage, names: Sequence[str], driver: str, refusals: list[str], warnings: list[str]
) -> None:
    facts = image.facts
    if not facts.driver or numbers(driver) >= numbers(facts.driver):
        return
    needs = f"{short(image)} (CUDA {facts.cuda}) needs NVIDIA driver {facts.driver} or newer"
    workstation = [name for name in names if _WORKSTATION.search(name)]
    if "driver" not in image.stated:
        warnings.append(
            f"{needs} according to the images of its time, and this machine has {driver} (no "
            "release note found for this tag)"
        )
    elif not workstation and any(_in_branch(driver, branch) for branch in facts.driver_branches):
        warnings.append(
            f"{needs}; {driver} is enough on data-centre GPUs, through the vendor's forward "
            "compatibility"
        )
    elif not workstation and not facts.driver_branches:
        warnings.append(
            f"{needs}, and this machine has {driver}; the vendor's forward compatibility may help "
            "on data-centre GPUs"
        )
    else:
        refusals.append(
            f"{needs}, and this machine has {driver}. Install a newer driver, or use an older "
            "image."
        )


def _in_branch(driver: str, branch: str) -> bool:
    have, least = numbers(driver), numbers(branch)
    return have >= least and (branch.endswith("+") or have[0] == least[0])
