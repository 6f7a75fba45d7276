"""Vector art: curves, ellipses, and a sheet of paper on which shapes of a material are filled and stroked."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from export.alignment import SQUARE_256, Image
from training.data.materials import Material
from training.data.points import Points

SIDE = SQUARE_256.width
FINE = 4  # times the side on which is drawn


class Sheet:
    """Bare ground, on which shapes are drawn in pixels of the frame."""

    def __init__(self) -> None:
        self._canvas = np.full((FINE * SIDE, FINE * SIDE), Material.GROUND, np.uint8)

    def fill(self, points: Points, material: Material) -> None:
        """A closed shape [N, 2]."""
        cv2.fillPoly(self._canvas, [fine(points)], int(material), cv2.LINE_8, 4)

    def stroke(self, points: Points, material: Material, width: float, *, closed: bool = False) -> None:
        """A line [N, 2] as broad as `width`."""
        breadth = max(1, round(FINE * width))
        cv2.polylines(self._canvas, [fine(points)], closed, int(material), breadth, cv2.LINE_8, 4)

    def within(self, border: Points, *shapes: tuple[Points, Material]) -> None:
        """Closed shapes, of which only that is drawn which lies in a border [N, 2]."""
        before = self._canvas.copy()
        mask = np.zeros_like(before)
        cv2.fillPoly(mask, [fine(border)], 1, cv2.LINE_8, 4)
        for points, material in shapes:
            self.fill(points, material)
        self._canvas = np.where(mask > 0, self._canvas, before)

    def regions(self) -> NDArray[np.uint8]:
        """Which material lies in the middle of each pixel [256, 256]."""
        return np.ascontiguousarray(self._canvas[FINE // 2 :: FINE, FINE // 2 :: FINE])

    def picture(self, palette: NDArray[np.uint8]) -> Image:
        """uint8 [256, 256, 3] RGB without jagged edges, for a colour of each material [M, 3]."""
        return np.asarray(cv2.resize(palette[self._canvas], (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def fine(points: Points) -> NDArray[np.int32]:
    """In sixteenths of the sheet's own pixels."""
    return np.round(((np.asarray(points) + 0.5) * FINE - 0.5) * 16).astype(np.int32)


def curve(points: Points, *, closed: bool = False, count: int = 8) -> Points:
    """A smooth line through points [N, 2] (Catmull and Rom 1974)."""
    p = np.asarray(points, float)
    ends = (p[-1:], p[:2]) if closed else (2 * p[:1] - p[1:2], 2 * p[-1:] - p[-2:-1])
    q = np.concatenate([ends[0], p, ends[1]])
    t = (np.arange(count) / count)[None, :, None]
    a, b, c, d = (q[k : len(q) - 3 + k, None] for k in range(4))
    line = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return np.concatenate([line.reshape(-1, 2), p[:1] if closed else p[-1:]])


def ellipse(middle: Points, across: float, down: float, turn: float = 0, count: int = 48) -> Points:
    """Points [N, 2] on it; `turn` in degrees."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    around = np.stack([across * np.cos(angle), down * np.sin(angle)], -1)
    return np.asarray(middle + around @ np.array([[c, s], [-s, c]]))
