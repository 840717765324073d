"""Which image of our table runs a framework on a device."""

from __future__ import annotations

from orchestrator.errors import RequestError
from orchestrator.frameworks.record import Framework
from orchestrator.images import image_table
from orchestrator.images.image_table import ImageRow
from orchestrator.request import Request
from orchestrator.run.devices import Target
from orchestrator.run.fitting import Site


def choose(request: Request, framework: Framework, target: Target, site: Site) -> ImageRow | None:
    """Return the image, on the host the one whose packages are installed there.

    None if the request names an image, or for a command that runs on the host as it is. Raises
    RequestError if there is none for the device.
    """
    if request.image is not None or (site.on_host and framework.any_network):
        return None
    if target.device not in framework.images:
        raise RequestError(
            f"{framework.name} has no image for the {target.device.upper()}", hint="use --image"
        )
    table = image_table.load()
    image = table.row(framework.images[target.device])
    return table.for_host(image) if site.on_host else image


def check(image: ImageRow | None, site: Site) -> None:
    """Raise ImageError for an image that a host cannot replace without an engine."""
    if image is not None and site.on_host and not site.elsewhere:
        from orchestrator.images import environments

        environments.check(image)
