"""Rows of a pack as a network sees them: resized, cut at random, mirrored."""

from __future__ import annotations

import cv2
import numpy as np

from export.alignment import Image
from training.data.pack import Pack
from training.data.streams import Row

MARGIN = 30 / 256
"""By how much a picture is made larger before a part of it is cut: 286 for 256 pixels, as CycleGAN and U-GAT-IT do."""


class Views:
    """Pictures of a pack at `side` pixels: `image` uint8 [side, side, 3] and, if it has any, its columns."""

    def __init__(self, pack: Pack, side: int, *, margin: float = MARGIN, mirrored: bool = True) -> None:
        """`margin` 0: the whole picture; `mirrored`: every other time."""
        self._pack = pack
        self._side = side
        self._margin = margin
        self._mirrored = mirrored

    def __len__(self) -> int:
        return len(self._pack)

    def row(self, index: int, random: np.random.Generator) -> Row:
        """One view; resized by area where that makes it smaller."""
        image = _resized(self._pack.image(index), round(self._side * (1 + self._margin)))
        top, left = random.integers(0, len(image) - self._side + 1, 2)
        image = image[top : top + self._side, left : left + self._side]
        if self._mirrored and random.random() < 0.5:
            image = image[:, ::-1]
        columns = {name: values[index] for name, values in self._pack.columns.items()}
        return {"image": np.ascontiguousarray(image), **columns}


def _resized(image: Image, side: int) -> Image:
    """The picture as a square; what is not one is cut in the middle."""
    height, width = image.shape[:2]
    shorter = min(height, width)
    top, left = (height - shorter) // 2, (width - shorter) // 2
    square = image[top : top + shorter, left : left + shorter]
    how = cv2.INTER_AREA if side < shorter else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (side, side), interpolation=how), np.uint8)
