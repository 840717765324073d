"""What getting an image needs of an engine, and what it tells meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from orchestrator.runtimes.docker.client import EngineInfo
    from orchestrator.runtimes.docker.images import ImageInfo, PullProgress


@dataclass(frozen=True)
class BuildEvent:
    """Progress: a `stage` of our work in words, a `line` of a program's output, a `warning`."""

    kind: Literal["stage", "line", "warning"]
    text: str


OnEvent = Callable[[BuildEvent], None]


class BuildingEngine(Protocol):
    """An engine that has images and builds them; see `runtimes.docker.client.Engine`."""

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


class ImageEngine(BuildingEngine, Protocol):
    """The part of a container engine that our images need."""

    def info(self) -> EngineInfo:
        """Return what the engine says about itself."""

    def pull(self, reference: str, on_progress: Callable[[PullProgress], None]) -> ImageInfo:
        """Pull an image from its registry."""

    def tag_image(self, image: str, name: str) -> None:
        """Give an image another name, which takes it from any other image."""
