"""Builds one of our images: the contexts of its two builds, and what they need.

Two builds make an image. The first makes the framework's layers (Python and the wheels) under a tag
that contains their digest, and is skipped while that tag exists; the second adds backends/. So a
change to our code sends kilobytes to the engine instead of every wheel.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import file_lock, paths
from orchestrator.errors import EngineError, ImageError
from orchestrator.images import digests, interpreters, room
from orchestrator.images.contract import BuildEvent, ImageEngine, OnEvent
from orchestrator.images.image_table import BaseImage, Image, ImageTable

if TYPE_CHECKING:
    from orchestrator.runtimes.docker.images import ImageInfo, PullProgress

# Name of the variable that chooses the network of builds: "host" if containers behind the engine's
# bridge cannot reach Debian's mirrors, "none" to prove that a build needs no network.
NETWORK_VARIABLE = "BENCHDOCK_BUILD_NETWORK"

# What apt prints if the build's network cannot reach a mirror.
_NO_NETWORK = re.compile(
    r"Temporary failure resolving|Could not resolve|Could not connect to|Unable to connect to"
    r"|Network is unreachable|Failed to fetch"
)
_FROM = re.compile(r"^FROM .*$", re.MULTILINE)
_FULL_DISK = re.compile(r"no space left on device|\[Errno 28\]", re.IGNORECASE)
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy")
_PULL_STRIDE = 256 * 2**20


def build(
    image: Image,
    table: ImageTable,
    engine: ImageEngine,
    on_event: OnEvent,
    *,
    tag: str,
    again: bool = False,
) -> None:
    """Build one of our images from the current files; `again` also makes the framework's layers.

    The engine gives the `tag` only to a complete image, so a killed build leaves none. Raises
    ImageError, with the build's last lines as details, or EngineError.
    """
    framework = digests.framework_tag(image, table)
    whole = again or engine.image(framework) is None
    _warn_of_room(room.to_build(image, engine.info().data_root, framework=whole), image, on_event)
    if whole:
        base = _parent(image, table, engine, on_event) if image.parent else image.base
        _build_framework(image, table, engine, on_event, base=base)
    on_event(BuildEvent("stage", f"building {tag}: backends/ and their self check"))
    with _context(image) as context:
        _copy_backends(context / "backends")
        shutil.copy(paths.DOCKERFILES / digests.BACKENDS_DOCKERFILE, context / "Dockerfile")
        engine.build(
            context,
            tag=tag,
            labels=digests.labels(image, table),
            buildargs={"FRAMEWORK_IMAGE": framework, "BACKENDS": " ".join(image.frameworks)},
            # The self check needs no network, which shows that no benchmark does.
            network_mode="none",
            on_line=_as_lines(on_event),
        )


def lock_of(image: Image) -> Path:
    """Return the file to lock while an image is built."""
    return paths.home() / "locks" / f"{image.id}.lock"


def pull_image(
    image: Image, table: ImageTable, engine: ImageEngine, on_event: OnEvent
) -> ImageInfo:
    """Pull a vendor's image, by its digest if it is pinned. Raises ImageError or EngineError."""
    _warn_of_room(room.to_pull(image, engine.info().data_root), image, on_event)
    return pull(table.pinned(image), engine, on_event)


def _warn_of_room(needs: list[room.SpaceNeed], image: Image, on_event: OnEvent) -> None:
    doing = "a build of" if image.source == "build" else "a pull of"
    for shortage in room.shortages(needs, f"{doing} {image.id}"):
        on_event(BuildEvent("warning", f"{shortage}; run `{room.PRUNE}` to free some"))


def pull(reference: str, engine: ImageEngine, on_event: OnEvent) -> ImageInfo:
    """Pull an image and report each layer's state and, every 256 MiB, the total."""
    on_event(BuildEvent("stage", f"pulling {reference}"))
    moved: dict[str, int] = {}
    told = 0

    def tell(progress: PullProgress) -> None:
        nonlocal told
        layer = progress.layer or ""
        if progress.done is None:
            on_event(BuildEvent("line", f"{layer}: {progress.status}".removeprefix(": ")))
        elif progress.status == "Downloading":
            moved[layer] = progress.done
            if (whole := sum(moved.values())) >= told + _PULL_STRIDE:
                told = whole
                on_event(BuildEvent("line", f"{whole / 2**30:.2f} GiB downloaded"))

    return engine.pull(reference, tell)


def _parent(image: Image, table: ImageTable, engine: ImageEngine, on_event: OnEvent) -> str:
    """Return the name of the parent's framework layers, which are built if they are missing."""
    parent = table.images[image.parent]
    tag = digests.framework_tag(parent, table)

    def say_waiting() -> None:
        on_event(BuildEvent("stage", f"waiting for another process that builds {parent.tag}"))

    with file_lock.held(lock_of(parent), on_wait=say_waiting):
        if engine.image(tag) is None:
            _build_framework(parent, table, engine, on_event, base=parent.base)
    return tag


def _build_framework(
    image: Image, table: ImageTable, engine: ImageEngine, on_event: OnEvent, *, base: str
) -> None:
    # Imported here: a run in an existing image needs none of it.
    from orchestrator.images import wheelhouse

    house = (
        paths.debs(image.id)
        if image.packages
        else wheelhouse.fetch(image, table, _as_lines(on_event))
    )
    if not image.parent:
        _need_base(table.bases[image.base], engine, on_event)
    tag = digests.framework_tag(image, table)
    on_event(BuildEvent("stage", f"building {tag}: Python and {image.framework} {image.version}"))
    with _context(image) as context:
        recipe = (image.folder / "Dockerfile").read_text(encoding="utf-8")
        (context / "Dockerfile").write_text(labelled(recipe, image), encoding="utf-8")
        pins = "packages.txt" if image.packages else "requirements.lock"
        shutil.copy(image.lock_file, context / pins)  # the name that every Dockerfile copies
        _put_packages(house, context / ("debs" if image.packages else "wheels"))
        try:
            engine.build(
                context,
                tag=tag,
                labels={digests.FRAMEWORK: tag},
                buildargs={"BASE": base, **_proxies()},
                network_mode=os.environ.get(NETWORK_VARIABLE) or None,
                on_line=_as_lines(on_event),
            )
        except ImageError as error:
            hint = _hint("\n".join((error.what, *error.details)))
            raise ImageError(error.what, hint=hint or error.hint, details=error.details) from error


def _hint(text: str) -> str:
    """Return a hint for a failed build, from its last lines; "" if unknown."""
    if _FULL_DISK.search(text):
        return f"the container engine's disk is full; run `{room.PRUNE}` to free some space"
    if _NO_NETWORK.search(text):
        return (
            f"the build cannot reach a Debian mirror: set {NETWORK_VARIABLE}=host to use the "
            "host's network, or use a base of `benchdock images bootstrap`, which needs none"
        )
    return ""


def labelled(recipe: str, image: Image) -> str:
    """Return a Dockerfile in which each stage starts with the label of the image.

    That label marks what a failed or killed build leaves behind as ours, so that it can be removed.
    """
    return _FROM.sub(rf"\g<0>\nLABEL {digests.IMAGE}={image.id}", recipe)


def _put_packages(house: Path, target: Path) -> None:
    """Add wheels and sources, or .deb files if there are any; otherwise the build asks Debian."""
    target.mkdir()
    for pattern in ("*.whl", "*.tar.gz", "*.deb"):
        for package in house.glob(pattern):
            _link_or_copy(package, target / package.name)


def _need_base(base: BaseImage, engine: ImageEngine, on_event: OnEvent) -> None:
    if engine.image(base.name) is not None:
        return
    try:
        pull(base.name, engine, on_event)
    except (EngineError, ImageError) as error:
        what = f"the base image {base.name} is not here and cannot be pulled ({error.what})"
        if base.parent and interpreters.find(base.python) is None:
            raise interpreters.NoInterpreterError(
                f"{what}, and {interpreters.lack(base.python)} to make it from",
                hint=f"`{interpreters.remedy(base.python)}`, then `{_bootstrap_command(base)}`",
            ) from error
        with_ours = f" and this machine's Python {base.python}" if base.parent else ""
        raise ImageError(
            what,
            hint=f"run `{_bootstrap_command(base)}` to build it from Debian's packages{with_ours}",
        ) from error


def _bootstrap_command(base: BaseImage) -> str:
    return (
        f"benchdock images bootstrap {base.name}" if base.parent else "benchdock images bootstrap"
    )


@contextmanager
def _context(image: Image) -> Iterator[Path]:
    """Return a folder for the build's context, on the same disk as the wheels, so that they can be
    linked.

    Each image has one name and is built by one process at a time, so leftovers of a killed one are
    removed.
    """
    folder = paths.wheelhouse(image.id).with_name(f".{image.id}.context")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_backends(target: Path) -> None:
    """Copy the in-image code, readable for every user whatever this user's umask is."""
    for path in digests.backend_files(paths.BACKENDS):
        copy = target / path.relative_to(paths.BACKENDS)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(0o644)
    for folder in (target, *(path for path in target.rglob("*") if path.is_dir())):
        folder.chmod(0o755)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _proxies() -> dict[str, str]:
    """Return the host's proxy settings; engines keep these arguments out of images."""
    names = (spelling for name in _PROXIES for spelling in (name, name.upper()))
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def _as_lines(on_event: OnEvent) -> Callable[[str], None]:
    return lambda line: on_event(BuildEvent("line", line))
