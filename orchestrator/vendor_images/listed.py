"""Checks whether an image of our table, `dockerfiles/images.toml`, works on a GPU."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.images.image_table import Image
from orchestrator.images.reference import parse_reference
from orchestrator.vendor_images import gpu_support
from orchestrator.vendor_images.gpu_support import GpuSupport
from orchestrator.vendor_images.vendor_table import ImageFacts, VendorTable, numbers, shipped


def facts_of(image: Image, *, table: VendorTable | None = None) -> ImageFacts:
    """Return CUDA, driver and kernels of an image of our table, or of its vendor."""
    if image.source == "build":
        return ImageFacts(
            version=image.version,
            cuda=image.cuda or "",
            driver=image.driver or "",
            architectures=image.compute_capabilities,
        )
    known = (table or shipped()).describe(parse_reference(image.reference))
    return known.facts if known else ImageFacts()


def assess_image(
    image: Image, gpus: Sequence[tuple[str, str]], driver: str | None = None
) -> GpuSupport:
    """Compare any image of our table with GPUs and driver."""
    if image.source == "build":
        return assess_built(image, gpus, driver)
    return gpu_support.assess(image.tag, gpus, driver)


def assess_built(
    image: Image,
    gpus: Sequence[tuple[str, str]],
    driver: str | None = None,
    *,
    table: VendorTable | None = None,
) -> GpuSupport:
    """Compare an image that is built here, as `gpu_support.assess` does for a vendor's.

    It has no compatibility package of the vendor, so every GPU needs the driver. No driver can
    compile its kernels for a newer GPU: PyTorch's packages contain no PTX, as the list in their
    libtorch_python.so shows.
    """
    table = table or shipped()
    refusals = [
        f"{why}; {_instead(table, image, capability, driver)}"
        for capability in dict.fromkeys(capability for _, capability in gpus)
        if (why := _why_not(image, capability, driver))
    ]
    return GpuSupport(refusal=refusals[0] if refusals else "")


def _why_not(image: Image, capability: str, driver: str | None) -> str:
    """Say why an image that is built here cannot work, "" if it can."""
    facts = facts_of(image)
    judged = facts.architectures and numbers(capability)
    match gpu_support.fit(facts, capability) if judged else "fits":
        case "too old":
            lowest = min(facts.architectures, key=numbers)
            return (
                f"{image.tag} was built for GPUs of compute capability {lowest} or newer. This GPU "
                f"is {gpu_support.with_generation(capability)}"
            )
        case "too new":
            return (
                f"{image.tag} has no kernels for compute capability "
                f"{gpu_support.with_generation(capability)}, and none that a driver could compile "
                "for it"
            )
    if facts.driver and driver and numbers(driver) < numbers(facts.driver):
        return (
            f"{image.tag} (CUDA {facts.cuda}) needs NVIDIA driver {facts.driver} or newer, and "
            f"this machine has {driver}. Install a newer driver"
        )
    return ""


def substitute(
    image: Image, gpus: Sequence[tuple[str, str]], driver: str | None = None
) -> str | None:
    """Return another month's vendor image for GPUs that our image does not support.

    None if our image supports them, or if no such image is known.
    """
    table = shipped()
    found = assess_image(image, gpus, driver)
    family = found.image.family if found.image else table.families.get(image.framework)
    if not found.refusal or family is None:
        return None
    oldest = min((capability for _, capability in gpus), key=numbers)
    like = found.image.tag.partition("-")[2] if found.image else ""
    return gpu_support.fitting_image(table, family, oldest, driver=driver or "", like=like) or None


def _instead(table: VendorTable, image: Image, capability: str, driver: str | None) -> str:
    """Say which vendor's image to use instead of one that is built here."""
    family = table.families.get(image.framework)
    other = (
        gpu_support.fitting_image(table, family, capability, driver=driver or "") if family else ""
    )
    return f"use another image, such as --image {other}" if other else "use --gpus none"
