"""Digests of what our images are made from: they are the images' labels and part of their tags.

An image's tag contains the digest of its contents, so that the images of two checkouts, or of two
versions of benchdock, can coexist on one engine.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from backends import zoo
from orchestrator import paths
from orchestrator.images.image_table import Image, ImageTable

IMAGE = "benchdock.image"
RECIPE = "benchdock.recipe"
ZOO = "benchdock.zoo"
BACKENDS = "benchdock.backends"
# Names the framework layers that an image is based on.
FRAMEWORK = "benchdock.framework"

# Number of hexadecimal digits of a digest in a tag.
DIGITS = 12
# Follows an image's id in the name of its framework's layers.
FRAMEWORK_SUFFIX = "-framework"
# A name from `tag`.
_BUILD = re.compile(rf"^(benchdock/[a-z0-9-]+:[^@]+)-[0-9a-f]{{{DIGITS}}}$")

# The last layers of every image that is built here.
BACKENDS_DOCKERFILE = "backends.Dockerfile"


def backend_files(folder: Path) -> Iterator[Path]:
    """Yield the files of the in-image code in a fixed order, without those that Python creates."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
        if path.is_file() and not hidden and path.suffix != ".pyc":
            yield path


def backends_digest(folder: Path) -> str:
    """Return the digest of the in-image code: only of names and contents."""
    whole = hashlib.sha256()
    for path in backend_files(folder):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()


def zoo_digest(fingerprints: Mapping[str, str]) -> str:
    """Return the digest of all networks, from each one's fingerprint."""
    lines = (f"{name} {fingerprint}\n" for name, fingerprint in sorted(fingerprints.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def fingerprints() -> dict[str, str]:
    """Return every network's fingerprint, computed now."""
    return {name: zoo.draw(name).fingerprint for name in zoo.names()}


def framework_digest(image: Image, table: ImageTable) -> str:
    """Return the digest of what the framework's layers are made from."""
    parent = (framework_digest(table.images[image.parent], table),) if image.parent else ()
    return _of_texts(
        image.id,
        image.base,
        *parent,
        table.pip_of(image),
        (image.folder / "Dockerfile").read_text(encoding="utf-8"),
        image.lock_file.read_text(encoding="utf-8"),
    )


def recipe_digest(image: Image, table: ImageTable) -> str:
    """Return the digest of the whole recipe: all but the in-image code."""
    last_layers = (paths.DOCKERFILES / BACKENDS_DOCKERFILE).read_text(encoding="utf-8")
    return _of_texts(framework_digest(image, table), " ".join(image.frameworks), last_layers)


def code_labels() -> dict[str, str]:
    """Return the labels of the current in-image code, which decides what is measured."""
    return {ZOO: zoo_digest(fingerprints()), BACKENDS: backends_digest(paths.BACKENDS)}


def identity(image: Image, table: ImageTable) -> dict[str, str]:
    """Return the labels that distinguish an image, as built now, from all our other images.

    The networks' label is not among them: files of backends/ define the networks.
    """
    return {
        IMAGE: image.id,
        RECIPE: recipe_digest(image, table),
        BACKENDS: backends_digest(paths.BACKENDS),
    }


def identity_of(labels: Mapping[str, str]) -> dict[str, str]:
    """Return those of an image's labels that `identity` has."""
    return {name: labels.get(name, "") for name in (IMAGE, RECIPE, BACKENDS)}


def tag(image: Image, identity: Mapping[str, str]) -> str:
    """Return the name of the image with these labels: its version and the digest of them."""
    digest = _of_texts(*identity_of(identity).values())
    return f"{image.tag}-{digest[:DIGITS]}"


def readable(name: str) -> str:
    """Return an image's readable name: our images' without the digest in the tag."""
    return _BUILD.sub(r"\1", name)


def framework_tag(image: Image, table: ImageTable) -> str:
    """Return the name of the framework's layers; a different recipe has a different name."""
    return f"{image.repository}{FRAMEWORK_SUFFIX}:{framework_digest(image, table)[:DIGITS]}"


def labels(image: Image, table: ImageTable) -> dict[str, str]:
    """Return the labels of an image that is built from the current files."""
    return {**identity(image, table), **code_labels()}


def why_stale(found: Mapping[str, str], identity: Mapping[str, str]) -> str | None:
    """Say how an image with the labels `found` differs from the one with the labels `identity`."""
    # Building the networks takes longer than comparing files, so it is done only for files that
    # differ.
    if staleness(found, identity) is None:
        return None
    return staleness(found, {**identity, **code_labels()})


def why_code_stale(found: Mapping[str, str]) -> str | None:
    """Say how the in-image code of an image differs from the current code."""
    return why_stale(found, {BACKENDS: backends_digest(paths.BACKENDS)})


def staleness(found: Mapping[str, str], wanted: Mapping[str, str]) -> str | None:
    """Say how an image with the labels `found` differs from what the labels `wanted` stand for.

    Only the labels in `wanted` are compared.
    """
    meanings = {
        IMAGE: "it was built as another image",
        RECIPE: "its recipe (Dockerfile, requirements.lock, base or pip) has changed since",
        ZOO: "it contains different definitions of the networks",
        BACKENDS: "it contains different benchmark programs (backends/)",
    }
    for label, meaning in meanings.items():
        if label in wanted and found.get(label) != wanted[label]:
            there, here = found.get(label, "nothing")[:12], wanted[label][:12]
            return f"{meaning} ({label} is {there} there and {here} here)"
    return None


def _of_texts(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
