"""Names of images as each platform writes them.

The same reference is `nvcr.io/nvidia/pytorch:24.06-py3` for an engine and podman,
`docker://nvcr.io/nvidia/pytorch:24.06-py3` for Apptainer and `nvcr.io#nvidia/pytorch:24.06-py3` for
enroot. Apptainer and enroot also run files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from orchestrator.errors import RequestError, quoted

# Files of each platform; enroot's are squashfs images.
_SUFFIXES: Final[Mapping[str, str]] = {"apptainer": ".sif", "srun": ".sqsh"}
_SOURCES: Final = re.compile(r"(docker|oras|library|oci|oci-archive|docker-archive)://?")
# The grammar of engines: a first part with a dot or a port, or "localhost", is a registry.
_REGISTRY: Final = re.compile(r"(?:localhost|[^/#]*[.:][^/#]*)/")


def is_file(text: str) -> bool:
    """Whether a name is of a file: it has a suffix of image files, or is written as a path."""
    return text.endswith(tuple(_SUFFIXES.values())) or text.startswith(("/", "./", "../", "~"))


def plain(text: str) -> str:
    """Return a reference of a registry as engines write it."""
    return re.sub(r"^(docker|oras|library)://", "", text).replace("#", "/", 1)


def written(text: str, runtime: str) -> str:
    """Return an image's name as a platform writes it; a file with its whole path.

    Raises RequestError for a name that only another platform reads.
    """
    if is_file(text):
        return _file(text, runtime)
    if runtime == "apptainer":
        if _SOURCES.match(text):
            return text
        _refuse(text, runtime, of_other="#" in text)
        return f"docker://{text}"
    _refuse(text, runtime, of_other="://" in text or (runtime == "podman" and "#" in text))
    return _for_enroot(text) if runtime == "srun" else text


def _file(text: str, runtime: str) -> str:
    suffix = _SUFFIXES.get(runtime)
    if suffix is None:
        raise RequestError(
            f"--image {text} is a file, and podman runs images of its own store",
            hint="use the name that `podman load -i FILE` prints for an archive",
        )
    if not text.endswith(suffix):
        raise RequestError(
            f"--image {text} is not a {suffix} file, which --runtime {runtime} needs",
            hint="run `benchdock images export IMAGE --format sqsh` to make one"
            if runtime == "srun"
            else f"run `apptainer build FILE{suffix} docker://REFERENCE` to make one",
        )
    return os.path.abspath(Path(text).expanduser())


def _for_enroot(text: str) -> str:
    registry = _REGISTRY.match(text)
    return text if registry is None else text.replace("/", "#", 1)


def _refuse(text: str, runtime: str, *, of_other: bool) -> None:
    if of_other:
        raise RequestError(
            f"--runtime {runtime} does not read the image name {quoted(text)}",
            hint=f"use --image {plain(text)}",
        )
