"""Everything that an engine has: its images with their layers, and the ones that containers use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.runtimes.docker.errors import RefusedError
from orchestrator.runtimes.docker.sdk import Sdk

# What engines write instead of a tag.
_NO_TAG = "<none>:<none>"


@dataclass(frozen=True, kw_only=True)
class StockedImage:
    """An image of the engine; `size` in bytes, with all `layers`, the lowest first.

    `created` is in seconds since 1970. `is_step` says that it has no name and another image was
    built on it: engines keep such steps of a build as their cache, and remove them with the last
    image that needs them.
    """

    id: str
    tags: tuple[str, ...]
    labels: Mapping[str, str]
    size: int
    created: int
    layers: tuple[str, ...]
    is_step: bool


def images(sdk: Sdk) -> tuple[StockedImage, ...]:
    """Return every image. Raises EngineError."""
    listed = sdk.images()
    parents = {one.get("ParentId") for one in listed}
    found = []
    for one in listed:
        try:
            layers = (sdk.inspect_image(one["Id"]).get("RootFS") or {}).get("Layers") or ()
        except RefusedError as refused:
            if refused.status == 404:  # removed meanwhile
                continue
            raise
        tags = tuple(tag for tag in one.get("RepoTags") or () if tag != _NO_TAG)
        found.append(
            StockedImage(
                id=one["Id"],
                tags=tags,
                labels=one.get("Labels") or {},
                size=one["Size"],
                created=one["Created"],
                layers=tuple(layers),
                is_step=not tags and one["Id"] in parents,
            )
        )
    return tuple(found)


def images_in_use(sdk: Sdk) -> dict[str, str]:
    """Return the ids of the images of all containers, running or not, each with a container."""
    return {
        one["ImageID"]: (one.get("Names") or [one["Id"][:12]])[0].lstrip("/")
        for one in sdk.containers()
        if one.get("ImageID")
    }
