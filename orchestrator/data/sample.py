"""Reads an image file, checks it, and prepares it as it will be stored."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.data import picture
from orchestrator.data.folder import EntryError
from orchestrator.data.picture import BadPicture, Picture

# What torchvision and ImageNet's preparation scripts use, or better.
QUALITY = 95


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image as it will be stored; `picture` describes it and says what was changed."""

    data: bytes
    picture: Picture


def read(path: str | Path) -> bytes:
    """Return a file's bytes. Raises EntryError."""
    try:
        with open(path, "rb", buffering=0) as stream:
            return stream.read()
    except OSError as error:
        raise EntryError(path, f"cannot be read: {error.strerror}") from None


def examine(data: bytes, *, decode: bool) -> Picture:
    """Return what an image is. With `decode` it is decoded as well. Raises BadPicture."""
    found = picture.read(data)
    if decode:
        decoded(data)
    return found


def decoded(data: bytes) -> Any:
    """Return the decoded image of Pillow. Raises BadPicture."""
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadPicture(f"it cannot be decoded: {error}") from None
    return image


def resized(data: bytes, found: Picture, side: int) -> Prepared:
    """Return an image whose short side is `side`, as a JPEG in RGB. Raises BadPicture."""
    image = decoded(data).convert("RGB")
    width, height = image.size
    short = min(width, height)
    size = (_scaled(width, side, short), _scaled(height, side, short))
    stream = io.BytesIO()
    image.resize(size, _bilinear()).save(stream, "JPEG", quality=QUALITY)
    return Prepared(stream.getvalue(), Picture("jpeg", *size, "rgb", found.turned))


def _scaled(length: int, side: int, short: int) -> int:
    return max(1, (2 * length * side + short) // (2 * short))


def square(data: bytes, found: Picture, side: int) -> Prepared:
    """Return the pixels of an image that is resized to a square: (3, side, side), RGB.

    Raises BadPicture.
    """
    import numpy as np

    image = decoded(data).convert("RGB").resize((side, side), _bilinear())
    pixels = np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))
    return Prepared(pixels.tobytes(), Picture("jpeg", side, side, "rgb", found.turned))


def _bilinear() -> Any:
    from PIL import Image

    return Image.Resampling.BILINEAR


def encoder(quality: int) -> str:
    """Say what encodes images: the same pixels have the same bytes with the same encoder only."""
    from PIL import __version__, features

    library = features.version("libjpeg_turbo") or features.version("jpg")
    return f"Pillow {__version__}, libjpeg {library}, quality {quality}"
