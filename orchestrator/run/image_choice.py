"""Which image of our table runs a framework on a device."""

from __future__ import annotations

from orchestrator.errors import RequestError
from orchestrator.frameworks.record import Framework
from orchestrator.images import image_table
from orchestrator.images.image_table import ImageRow
from orchestrator.request import Request
from orchestrator.run.devices import Target


def in_container(framework: Framework, target: Target) -> ImageRow:
    """Return the image for a container. Raises RequestError if there is none for the device."""
    if target.device not in framework.images:
        raise RequestError(
            f"{framework.name} has no image for the {target.device.upper()}", hint="use --image"
        )
    return image_table.load().row(framework.images[target.device])


def on_host(framework: Framework, target: Target) -> ImageRow:
    """Return the image whose packages are installed on the host. Raises RequestError."""
    return image_table.load().for_host(in_container(framework, target))


def check(request: Request, framework: Framework, target: Target, *, on_host: bool) -> None:
    """Check that there is something to run in.

    Raises RequestError if nothing says what that is, and ImageError for an image that a host cannot
    replace without an engine.
    """
    if request.image is not None or (on_host and framework.any_network):
        return
    image = in_container(framework, target)
    if on_host:
        from orchestrator.images import environments

        environments.check(image_table.load().for_host(image))
