"""Which fork or release of a vendor's program a run has, according to the user or the image.

Decided before anything starts, because forks and releases take different arguments.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from orchestrator.errors import RequestError, unknown
from orchestrator.frameworks import catalogue
from orchestrator.frameworks.record import Framework
from orchestrator.images import image_table
from orchestrator.images.reference import parse_any
from orchestrator.request import Device, Request
from orchestrator.run import later_source

if TYPE_CHECKING:
    from orchestrator.vendor_images.vendor_table import VendorTable

# The option that names the user's network file.
_OWN = "prototxt"
# Families of vendors' images -> the fork of Caffe in them.
_FORKS = {"caffe": "nvidia", "digits": "nvidia", "bvlc_caffe": "bvlc"}
# Rows of our own images -> the same.
_OUR_FORKS = {"bvlc_caffe": "bvlc", "nvidia_caffe": "nvidia", "intel_caffe": "intel"}


def settle(framework: Framework, request: Request, device: Device) -> Framework:
    """Return the framework for the fork or release that the request, its image or source names.

    Raises RequestError if none of them does.
    """
    later = framework.vendor.later_source if framework.vendor else None
    if later is not None and request.source is not None and later.is_in(request.source):
        return later_source.settle(framework, later, request, device)
    if not framework.variants:
        return framework
    return _with_own_network(_variant(framework, request, device), request)


def _variant(framework: Framework, request: Request, device: Device) -> Framework:
    option = framework.variant_option
    told = request.options.get(option)
    if told is not None:
        if told not in framework.variants:
            listing = f"benchdock frameworks {framework.name}"
            raise unknown(
                f"{option} of {framework.name}", told, framework.variants, listing=listing
            )
        return framework.variants[told]
    image = request.image or _default_image(framework, device)
    if not image:
        return framework  # there is nothing to run it in, which is reported later
    found = _fork(image) if option == "fork" else _tensorrt(image)
    if found is None:
        raise RequestError(
            f"unknown {option} of {framework.title} in {image}",
            hint=f"use --option {option}={next(iter(framework.variants))} or another of "
            f"{', '.join(framework.variants)}",
        )
    return framework.variants[found]


def _with_own_network(framework: Framework, request: Request) -> Framework:
    """Return the framework for the user's network file, whose model is just a name."""
    file = request.options.get(_OWN)
    if not file or _OWN not in framework.options or framework.vendor is None:
        return framework
    if request.model_file is not None:
        raise RequestError(
            f"two networks are given: {request.model_file.name} and --option {_OWN}={file}",
            hint=f"remove --option {_OWN}",
        )
    if PurePath(file).is_absolute() or ".." in PurePath(file).parts:
        raise RequestError(
            f"{framework.name}: {_OWN} cannot be {file!r}", hint="use a path within --source"
        )
    name = catalogue.checked_name(request.model)
    program = replace(framework.vendor, source_help=f"the folder of {file}", entry=file)
    return replace(framework, networks={name: name}, gaps={}, vendor=program)


def _default_image(framework: Framework, device: Device) -> str:
    return (
        image_table.load().image(framework.images[device]).tag if device in framework.images else ""
    )


def _vendors_containers() -> VendorTable:
    # Few frameworks have variants, and every run would wait for this import.
    from orchestrator.vendor_images.vendor_table import shipped

    return shipped()


def _fork(image: str) -> str | None:
    """Return the fork of Caffe in an image."""
    ours = image_table.load().image_of_tag(image)
    if ours is not None:
        return _OUR_FORKS.get(ours.framework)
    reference = parse_any(image)
    family = _vendors_containers().family_of(reference)
    if family is None:
        return None
    # `bvlc/caffe:intel` was announced under the same name.
    return "intel" if reference.tag == "intel" else _FORKS.get(family.name)


def _tensorrt(image: str) -> str | None:
    """Return the major release of TensorRT in an image of NVIDIA, by its month."""
    table = _vendors_containers()
    reference = parse_any(image)
    if not reference.release or table.family_of(reference) is None:
        return None
    months = [month for month in table.tensorrt_since if month <= reference.release]
    return table.tensorrt_since[max(months)] if months else None
