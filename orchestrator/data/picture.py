"""What the bytes of an image say without decoding it: size, colours, EXIF orientation, its end.

Written by hand because it is three times as fast as opening the image with Pillow. JPEG: ITU T.81;
EXIF: CIPA DC-008; PNG: https://www.w3.org/TR/png/.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

Colour = Literal["rgb", "gray", "cmyk"]
Kind = Literal["jpeg", "png"]
COLOURS: tuple[Colour, ...] = ("rgb", "gray", "cmyk")

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND\xaeB`\x82"
_JPEG, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_SCAN, _EXIF = 0xDA, 0xE1
# Start of frame, in all codings; C4, C8 and CC are something else.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD8)))
_ORIENTATION = 0x0112
_COMPONENTS: dict[int, Colour] = {1: "gray", 3: "rgb", 4: "cmyk"}
# What readers may treat in another way, in words for the user.
UNUSUAL: dict[Colour, str] = {"gray": "gray", "cmyk": "CMYK"}
PNG = "PNG"
_OTHERS = {
    b"GIF8": "a GIF image",
    b"BM": "a BMP image",
    b"RIFF": "a WebP image",
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
    b"version https://git-lfs": "a pointer of Git LFS; run `git lfs pull` to fetch the file",
    b"/annex/objects/": "a pointer of git-annex; run `git annex get` to fetch the file",
    b"<": "a web page",
    b"\0\0\0\0\0\0\0\0": "zeros",
}

POINTERS = (b"version https://git-lfs", b"/annex/objects/")


class BadPicture(ValueError):  # noqa: N818 - it says what is wrong, in words for the user
    """Bytes are not an image that a training program can read; the message says why."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What an image's bytes say. `turned` is where the byte of an orientation other than 1 is."""

    kind: Kind
    width: int
    height: int
    colour: Colour
    turned: int | None = None

    @property
    def unusual(self) -> tuple[str, ...]:
        """Return what readers may treat in another way, in words for the user."""
        colours = (UNUSUAL[self.colour],) if self.colour in UNUSUAL else ()
        return (*colours, PNG) if self.kind == "png" else colours


def read(data: bytes) -> Picture:
    """Return what an image says of itself. Raises BadPicture."""
    if data.startswith(_JPEG):
        return _jpeg(data)
    if data.startswith(_PNG):
        return _png(data)
    raise BadPicture(f"it is {other(data)}")


def other(data: bytes) -> str:
    """Name what bytes are that are neither JPEG nor PNG."""
    if not data:
        return "empty"
    known = (name for start, name in _OTHERS.items() if data.startswith(start))
    return next(known, "not an image")


def upright(data: bytes, picture: Picture) -> bytes:
    """Return the image with the EXIF orientation 1: one byte changes, the pixels stay.

    Some readers turn an image by its orientation, others do not.
    """
    if picture.turned is None:
        return data
    return data[: picture.turned] + b"\x01" + data[picture.turned + 1 :]


def _jpeg(data: bytes) -> Picture:
    size: tuple[int, int] | None = None
    components, turned, at = 0, None, 2
    while True:
        marker, at = _marker(data, at)
        if marker in _WITHOUT_LENGTH:
            continue
        end = at + int.from_bytes(data[at : at + 2], "big")
        if end < at + 2 or end > len(data):
            raise BadPicture("it is cut off")
        if marker in _FRAMES and end >= at + 8:
            height, width, components = struct.unpack_from(">HHB", data, at + 3)
            size = width, height
        elif marker == _EXIF and turned is None:
            turned = _turned(data, at + 2, end)
        elif marker == _SCAN:
            break
        at = end
    if size is None or not all(size) or components not in _COMPONENTS:
        raise BadPicture("its header is damaged")
    if data.rfind(_JPEG_END, end) < 0:
        raise BadPicture("it is cut off")
    return Picture("jpeg", *size, _COMPONENTS[components], turned)


def _marker(data: bytes, at: int) -> tuple[int, int]:
    """Return the marker at a position and the position after it; 0xFF may be repeated."""
    if data[at : at + 1] != b"\xff":
        raise BadPicture("it is cut off" if at >= len(data) else "its header is damaged")
    while data[at : at + 1] == b"\xff":
        at += 1
    if at >= len(data):
        raise BadPicture("it is cut off")
    return data[at], at + 1


def _turned(data: bytes, start: int, end: int) -> int | None:
    """Return where the low byte of the orientation is, if it is valid and not 1."""
    exif = data[start:end]
    order = {b"II": "<", b"MM": ">"}.get(exif[6:8])
    if not exif.startswith(b"Exif\0\0") or order is None or len(exif) < 14:
        return None
    at = 6 + int(struct.unpack_from(f"{order}I", exif, 10)[0])
    if at + 2 > len(exif):
        return None
    (count,) = struct.unpack_from(f"{order}H", exif, at)
    for entry in range(at + 2, min(at + 2 + 12 * count, len(exif) - 11), 12):
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, entry)
        if tag == _ORIENTATION and 2 <= value <= 8:
            return start + entry + (8 if order == "<" else 9)
    return None


def _png(data: bytes) -> Picture:
    if len(data) < 33 or not data.rstrip(b"\0").endswith(_PNG_END):
        raise BadPicture("it is cut off")
    width, height, _, kind = struct.unpack_from(">IIBB", data, 16)
    if not width or not height:
        raise BadPicture("its header is damaged")
    return Picture("png", width, height, "gray" if kind in (0, 4) else "rgb")
