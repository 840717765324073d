"""What building images needs of a container engine; see `orchestrator.runtimes.docker.client`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from orchestrator.runtimes.docker.images import ImageInfo


class BuildingEngine(Protocol):
    """An engine that has images and builds them."""

    def image(self, reference: str) -> ImageInfo | None:
        """Look an image up."""

    def build(
        self,
        context: Path,
        *,
        tag: str,
        on_line: Callable[[str], None],
        labels: Mapping[str, str] | None = None,
        buildargs: Mapping[str, str] | None = None,
        network_mode: str | None = None,
    ) -> ImageInfo:
        """Build an image; an ImageError's details are the build's last lines."""
