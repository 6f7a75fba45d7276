"""Rows of a pack as a network sees them: resized, cut at random, mirrored."""

from __future__ import annotations

import numpy as np

from training.data.pack import Pack
from training.data.pictures import squared
from training.engine.recipe import Row

MARGIN = 30 / 256
"""By how much a picture is made larger before a part of it is cut: 286 for 256 pixels, as CycleGAN and U-GAT-IT do."""


class Views:
    """Pictures of a pack at `side` pixels: `image` uint8 [side, side, 3] and, if it has any, its columns but `points`.

    Those are places in the picture as it is packed, not in a view.
    """

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
        image = squared(self._pack.image(index), round(self._side * (1 + self._margin)))
        top, left = random.integers(0, len(image) - self._side + 1, 2)
        image = image[top : top + self._side, left : left + self._side]
        if self._mirrored and random.random() < 0.5:
            image = image[:, ::-1]
        columns = {name: values[index] for name, values in self._pack.columns.items() if name != "points"}
        return {"image": np.ascontiguousarray(image), **columns}
