"""What a cartoon in flat colours is made of: which material lies where says what it shows, a colour for each how."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]
"""RGB, 0..255."""


class Material(IntEnum):
    """In the order in which regions are numbered."""

    GROUND = 0
    INK = 1
    """Outlines, lids, pupils."""
    SKIN = 2
    HAIR = 3
    LIGHT = 4
    """On hair."""
    BROW = 5
    IRIS = 6
    WHITE = 7
    """Of eyes and teeth."""
    FRAME = 8
    """Of glasses."""
    HAIRLINE = 9
    """The outlines of hair."""


USUAL: NDArray[np.float64] = np.array(
    [
        (255, 255, 255),
        (27, 21, 21),
        (225, 180, 145),
        (90, 60, 40),
        (165, 145, 125),
        (80, 50, 40),
        (80, 70, 65),
        (255, 255, 255),
        (46, 42, 46),
        (45, 30, 25),
    ],
    float,
)
"""The colour of each, of nobody in particular [M, 3]."""
