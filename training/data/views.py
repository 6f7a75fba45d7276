"""Rows of a pack as a network sees them: resized, cut at random, mirrored."""

from __future__ import annotations

import numpy as np

from training.data.pack import Pack
from training.data.pictures import middle
from training.engine.recipe import Row

MARGIN = 30 / 256
"""By how much a picture is made larger before a part of it is cut: 286 for 256 pixels, as CycleGAN and U-GAT-IT do."""


class Views:
    """Pictures of a pack: `image` uint8 [height, width, 3] and, if it has any, its columns but `points`.

    Those are places in the picture as it is packed, not in a view.
    """

    def __init__(
        self, pack: Pack, width: int, height: int | None = None, *, margin: float = MARGIN, varied: bool = True
    ) -> None:
        """Squares without `height`. `margin` is a share of the shorter side, as so many pixels more both ways.

        `varied`: a part is cut anywhere, and mirrored every other time. Otherwise it is always the middle.
        """
        self._pack = pack
        self._width, self._height = width, width if height is None else height
        shorter = min(self._width, self._height)
        self._more = round(shorter * (1 + margin)) - shorter
        self._varied = varied

    def __len__(self) -> int:
        return len(self._pack)

    def row(self, index: int, random: np.random.Generator) -> Row:
        """One view; resized by area where that makes it smaller."""
        image = middle(self._pack.image(index), self._width + self._more, self._height + self._more)
        top, left = random.integers(0, self._more + 1, 2) if self._varied else [self._more // 2] * 2
        image = image[top : top + self._height, left : left + self._width]
        if self._varied and random.random() < 0.5:
            image = image[:, ::-1]
        columns = {name: values[index] for name, values in self._pack.columns.items() if name != "points"}
        return {"image": np.ascontiguousarray(image), **columns}
