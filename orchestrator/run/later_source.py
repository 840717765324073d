"""Which images run a state of a vendor's program that is too new for its usual ones."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.errors import RequestError
from orchestrator.frameworks.record import Framework, LaterSource
from orchestrator.images import image_table
from orchestrator.images.reference import parse_any
from orchestrator.request import Device, Request


def settle(framework: Framework, later: LaterSource, request: Request, device: Device) -> Framework:
    """Return the framework with the images that the source in `--source` needs.

    Raises RequestError if our table has none for the device, or if the image in the request is
    known to have another release of the framework.
    """
    needs = f"the {framework.name} in --source needs {later.title} {later.first} to {later.last}"
    ours = later.images.get(device)
    hint = f"use --image {ours}" if ours else later.otherwise
    if request.image is not None:
        release = _release_in(request.image, later.framework)
        if _is_other(release, later, request):
            raise RequestError(f"{needs}, but {request.image} has {release}", hint=hint)
    elif ours is None:
        raise RequestError(f"{needs}, and benchdock has no such image for the GPU", hint=hint)
    return replace(framework, images=later.images)


def _is_other(release: str, later: LaterSource, request: Request) -> bool:
    """Whether it is a release that the source cannot run in; False if it is unknown."""
    from orchestrator.vendor_images.vendor_table import numbers

    first, minor, last = (numbers(text)[:2] for text in (later.first, release, later.last))
    if len(minor) < 2:
        return False
    return minor < first or (minor > last and later.newer_with not in request.env)


def _release_in(image: str, framework: str) -> str:
    """Return the framework's release in our or a vendor's image; "" if it is unknown."""
    # Imported only here: every run of any framework would wait for the vendors' table.
    from orchestrator.vendor_images import listed
    from orchestrator.vendor_images.vendor_table import shipped

    ours = image_table.load().image_of_tag(image)
    if ours is not None:
        return listed.facts_of(ours).version if ours.framework == framework else ""
    found = shipped().describe(parse_any(image))
    return found.facts.version if found is not None and found.family.name == framework else ""
