"""Facial points in their three common forms, and the five that alignment needs.

5 points: centres of the eyes, tip of the nose, corners of the mouth. 17: those of WebCaricature (Huo et al. 2018).
68: those of iBUG. Left is always left in the picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""(x, y) in pixels, [5, 2], [17, 2] or [68, 2]."""

# Of each of the five, the points whose mean it is.
_OF_17 = ((8, 9), (10, 11), (12,), (14,), (16,))
_OF_68 = (tuple(range(36, 42)), tuple(range(42, 48)), (30,), (48,), (54,))
COUNTS = (5, 17, 68)


def five(points: Points) -> Points:
    """The five points [5, 2]; ValueError if there are neither 5, 17 nor 68."""
    match len(points):
        case 5:
            return points
        case 17:
            return np.stack([points[list(which)].mean(0) for which in _OF_17])
        case 68:
            return np.stack([points[list(which)].mean(0) for which in _OF_68])
    raise ValueError(f"{len(points)} points; there may be {', '.join(map(str, COUNTS))}")
