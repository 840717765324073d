"""What an image of ours was made from, as digests; they are its labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from backends import zoo
from orchestrator import paths
from orchestrator.images.image_table import ImageRow, ImageTable

IMAGE = "benchdock.image"
RECIPE = "benchdock.recipe"
ZOO = "benchdock.zoo"
BACKENDS = "benchdock.backends"
# Names the framework's layers that an image stands on.
FRAMEWORK = "benchdock.framework"

# The last layers of every image that is built here.
BACKENDS_DOCKERFILE = "backends.Dockerfile"


def backend_files(folder: Path) -> Iterator[Path]:
    """Yield the files of the in-image code, in a fixed order, without what Python leaves there."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
        if path.is_file() and not hidden and path.suffix != ".pyc":
            yield path


def backends_digest(folder: Path) -> str:
    """Return the digest of the in-image code: names and contents, nothing else of the files."""
    whole = hashlib.sha256()
    for path in backend_files(folder):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()


def zoo_digest(fingerprints: Mapping[str, str]) -> str:
    """Return the digest of all networks, from the fingerprint of each."""
    lines = (f"{name} {fingerprint}\n" for name, fingerprint in sorted(fingerprints.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def fingerprints() -> dict[str, str]:
    """Return every network's fingerprint, drawn now."""
    return {name: zoo.draw(name).fingerprint for name in zoo.names()}


def framework_digest(row: ImageRow, table: ImageTable) -> str:
    """Return the digest of what the framework's layers are made from."""
    parent = (framework_digest(table.images[row.parent], table),) if row.parent else ()
    return _of_texts(
        row.id,
        row.base,
        *parent,
        table.pip_of(row),
        (row.folder / "Dockerfile").read_text(encoding="utf-8"),
        row.lock_file.read_text(encoding="utf-8"),
    )


def recipe_digest(row: ImageRow, table: ImageTable) -> str:
    """Return the digest of the whole recipe: all but the in-image code."""
    last_layers = (paths.DOCKERFILES / BACKENDS_DOCKERFILE).read_text(encoding="utf-8")
    return _of_texts(framework_digest(row, table), " ".join(row.frameworks), last_layers)


def code_labels() -> dict[str, str]:
    """Return the labels of the in-image code that is here now: it decides what is measured."""
    return {ZOO: zoo_digest(fingerprints()), BACKENDS: backends_digest(paths.BACKENDS)}


def labels(row: ImageRow, table: ImageTable) -> dict[str, str]:
    """Return the labels of an image that is made from what is here now."""
    return {IMAGE: row.id, RECIPE: recipe_digest(row, table), **code_labels()}


def why_stale(found: Mapping[str, str], row: ImageRow, table: ImageTable) -> str | None:
    """Say why an image with the labels `found` is not what its row would be built to now."""
    return _why(found, {IMAGE: row.id, RECIPE: recipe_digest(row, table)})


def why_code_stale(found: Mapping[str, str]) -> str | None:
    """Say why the in-image code of an image is not what is here now."""
    return _why(found, {})


def _why(found: Mapping[str, str], recipe: Mapping[str, str]) -> str | None:
    # The networks are drawn by files of backends/: they need drawing only where those differ.
    if staleness(found, {**recipe, BACKENDS: backends_digest(paths.BACKENDS)}) is None:
        return None
    return staleness(found, {**recipe, **code_labels()})


def staleness(found: Mapping[str, str], wanted: Mapping[str, str]) -> str | None:
    """Say why an image with the labels `found` is not what the labels `wanted` stand for.

    Only the labels in `wanted` are compared.
    """
    meanings = {
        IMAGE: "it was built as another image",
        RECIPE: "its recipe (Dockerfile, requirements.lock, base or pip) has changed since",
        ZOO: "it holds other definitions of the networks",
        BACKENDS: "it holds other benchmark programs (backends/)",
    }
    for label, meaning in meanings.items():
        if label in wanted and found.get(label) != wanted[label]:
            there, here = found.get(label, "nothing")[:12], wanted[label][:12]
            return f"{meaning} ({label} is {there} there and {here} here)"
    return None


def _of_texts(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
