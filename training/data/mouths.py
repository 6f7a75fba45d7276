"""Drawings that do not smile, of drawings that do: every face of Cartoon Set smiles, and one answer alone teaches none.

Turned upside down where it is, a mouth of that set is one whose corners hang.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.alignment import SQUARE_256, Image

CENTRE = np.mean(SQUARE_256.points[3:], axis=0)
REACH = np.array([40.0, 22.0])
"""Across and down from the centre, at 256 pixels, as far as anything is turned; a quarter of it is a smooth border."""
BORDER = 0.25


def turned(image: Image, *, upside_down: bool) -> Image:
    """A square of any size in the frame SQUARE_256 with its mouth turned, or else mirrored in place.

    What is left at the border, if it runs through a beard, tells nothing: it is there both ways.
    """
    middle, reach, inside = _region(len(image))
    (left, top), (right, bottom) = middle - reach, middle + reach + 1
    region = image[top:bottom, left:right]
    changed, found = region[::-1] if upside_down else region[:, ::-1], image.copy()
    found[top:bottom, left:right] = np.rint(region + inside * (changed.astype(np.float32) - region)).astype(np.uint8)
    return found


def _region(side: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Centre and reach in whole pixels, and how far each pixel of the region is inside [H, W, 1], 0..1."""
    scale = side / SQUARE_256.width
    middle, reach = (np.rint(each).astype(np.int64) for each in (scale * (CENTRE + 0.5) - 0.5, scale * REACH))
    across, down = (np.arange(-each, each + 1) / each for each in reach)
    distance = np.hypot(across[None], down[:, None])
    return middle, reach, np.clip((1 - distance) / BORDER, 0, 1).astype(np.float32)[..., None]
