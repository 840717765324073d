"""The pixels of made images: integers only, each image from its number and the seed.

So the same image comes out on every machine, in any order, and making can go on where it ended. An
image is a mixture of two crops of smooth textures and of noise. The noise decides how many bytes it
takes when it is encoded, and decoding time follows the bytes; its strength varies as in photos.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

# Another version makes other images.
VERSION = 1
_TEXTURES = 16
_MARGIN = 128
# Distance of the points of a grid -> its weight.
_GRIDS = {128: 6, 64: 5, 32: 4, 16: 2, 8: 1}
# Images of around 500 x 375 then take 64, 103 and 136 KB (percentiles 5, 50, 95) at quality 92.
_STRONGEST_NOISE = 80


@dataclass(frozen=True)
class Recipe:
    """What made images look like: the larger side and the smaller side, in pixels, and the seed."""

    width: int
    height: int
    classes: int
    seed: int = 0

    def stream(self, *words: object, size: int) -> bytes:
        """Return bytes that depend on the seed and these words only."""
        text = "\0".join(map(str, ("benchdock image", VERSION, self.seed, *words)))
        return hashlib.shake_256(text.encode()).digest(size)

    def label(self, index: int) -> int:
        """Return the class of an image: each class in turn."""
        return index % self.classes

    def size(self, index: int) -> tuple[int, int]:
        """Return width and height of an image: landscape, portrait, wide or square."""
        wide, narrow = max(self.width, self.height), min(self.width, self.height)
        kind = self.stream("size", index, size=1)[0]
        if kind < 140:
            return wide, narrow
        if kind < 190:
            return narrow, wide
        return (wide, max(narrow * 8 // 9, 1)) if kind < 235 else (wide, wide)


class Maker:
    """Makes the images of a recipe; the textures are made once."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._side = max(recipe.width, recipe.height) + _MARGIN
        self._textures = self._all_textures()
        self._noise = self._plane_of_noise()

    def pixels(self, index: int) -> Pixels:
        """Return the pixels of an image: (height, width, 3), RGB."""
        import numpy as np

        width, height = self.recipe.size(index)
        draw = self.recipe.stream("image", index, size=16)
        first, second = self.recipe.label(index) % _TEXTURES, draw[0] % _TEXTURES
        share, strength = 80 + draw[1] % 97, sum(draw[2:4]) * _STRONGEST_NOISE >> 9
        mixed = self._crop(self._textures[first], draw[4:8], width, height) * np.int32(share)
        other = self._crop(self._textures[second], draw[8:12], width, height)
        mixed += other * np.int32(256 - share)
        noise = self._crop(self._noise, draw[12:16], width, height) * np.int32(strength)
        mixed += noise[..., None]
        mixed >>= 8
        pixels: Pixels = np.clip(mixed, 0, 255).astype(np.uint8)
        return pixels

    def _crop(self, plane: Any, draw: bytes, width: int, height: int) -> Any:
        top = int.from_bytes(draw[:2], "big") % (self._side - height + 1)
        left = int.from_bytes(draw[2:4], "big") % (self._side - width + 1)
        return plane[top : top + height, left : left + width]

    def _all_textures(self) -> Any:
        import numpy as np

        planes = [
            [self._texture(number, channel) for channel in range(3)] for number in range(_TEXTURES)
        ]
        return np.array(planes, np.int32).transpose(0, 2, 3, 1).copy()

    def _texture(self, number: int, channel: int) -> Any:
        """Return a smooth plane from 0 to 255: a sum of interpolated grids of random values."""
        import numpy as np

        plane = np.zeros((self._side, self._side), np.int32)
        for step, weight in _GRIDS.items():
            points = -(-self._side // step) + 1
            values = self.recipe.stream("texture", number, channel, step, size=points * points)
            grid = np.frombuffer(values, np.uint8).reshape(points, points).astype(np.int32)
            fine = _interpolated(_interpolated(grid, step).T, step).T
            plane += fine[: self._side, : self._side] * weight // (step * step)
        mean = plane // sum(_GRIDS.values())
        return np.clip(2 * mean - 128, 0, 255)

    def _plane_of_noise(self) -> Any:
        """Return a plane of noise from -255 to 255, most of it near 0."""
        import numpy as np

        values = self.recipe.stream("noise", size=2 * self._side * self._side)
        pairs = np.frombuffer(values, np.uint8).astype(np.int32)
        pairs = pairs.reshape(2, self._side, self._side)
        return pairs[0] - pairs[1]


def _interpolated(grid: Any, step: int) -> Any:
    """Return `step` rows between each two rows of a grid, times `step`."""
    import numpy as np

    share = np.tile(np.arange(step, dtype=np.int32), len(grid) - 1)[:, None]
    before, after = np.repeat(grid[:-1], step, axis=0), np.repeat(grid[1:], step, axis=0)
    return before * (step - share) + after * share
