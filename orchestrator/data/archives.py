"""Samples in the tar files of a WebDataset, found as `backends/harness/archives.py` does.

A sample is members beside each other with one name: an image, its label (`.cls`, in digits), and
others, which do not count. https://github.com/webdataset/webdataset, "The WebDataset Format".
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from itertools import groupby, islice

from orchestrator.data.folder import SUFFIXES

LABEL = "cls"


def pairs(
    tar: tarfile.TarFile, most: int | None = None
) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarInfo | str]]:
    """Yield images with their labels among the first `most` members, or one with what it lacks."""
    for _, members in groupby(islice(tar, most), lambda one: _parts(one.name)[0]):
        image = label = None
        for member in members:
            _, ending = _parts(member.name)
            if ending == LABEL:
                label = member
            elif f".{ending.lower()}" in SUFFIXES:
                image = member
        if image is not None:
            yield image, label or "it has no label"
        elif label is not None:
            yield label, "it has no image"


def content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Return what a member contains."""
    inside = tar.extractfile(member)
    return inside.read() if inside is not None else b""


def _parts(name: str) -> tuple[str, str]:
    """Return a sample's name and a member's ending: dots in folders do not count."""
    folder, slash, last = name.rpartition("/")
    stem, _, ending = last.partition(".")
    return f"{folder}{slash}{stem}", ending
