"""The same face with its head turned: what few-shot identities lack, made of a photo and its landmarks.

A head is taken for a smooth relief over the picture plane, placed and sized by five landmarks: a broad bulge with a
nose on it. Turning it moves each pixel sideways by its depth; rows stay rows. A relief has no far side, so that turns
of more than LIMIT degrees, at which the nose would hide a cheek, are not to be had.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from export.alignment import Image, apply, invert, similarity
from training.data.points import Points, five

LIMIT = 25.0
"""Degrees."""

# The relief in units of the distance between the eyes: height, half-widths across and along the face.
_HEAD = (0.9, 1.1, 1.5)
_NOSE = (0.4, 0.35, 0.5)
_ITERATIONS = 12
_CELL = 4  # pixels; the field is smooth

Plane = NDArray[np.float64]


def turned(crop: Image, points: Points, degrees: float) -> Image:
    """The crop [H, W, 3] of a head turned by so much, to the right of the picture if positive.

    `points` are 5, 17 or 68 landmarks in its pixels. The turned face is aligned again: its five points are as near to
    where they were as a similarity brings them, as they would be in a photo of that pose. ValueError beyond LIMIT.
    """
    if abs(degrees) > LIMIT:
        raise ValueError(f"a turn by {degrees:g} degrees; {LIMIT:g} is the most")
    head = Head(five(points), np.radians(degrees))
    aligned = similarity(head.forth(head.points), head.points)
    height, width = crop.shape[:2]
    cells = _centres(width, height, _CELL)
    moves = (head.back(apply(invert(aligned), cells.reshape(-1, 2))) - cells.reshape(-1, 2)).reshape(cells.shape)
    source = (_centres(width, height, 1) + cv2.resize(moves, (width, height))).astype(np.float32)
    warped = cv2.remap(crop, source[..., 0], source[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(warped, np.uint8)


def _centres(width: int, height: int, cell: int) -> NDArray[np.float64]:
    """The middles of all cells of so many pixels, [H / cell, W / cell, 2]."""
    x, y = ((np.arange(round(size / cell)) + 0.5) * size / round(size / cell) - 0.5 for size in (width, height))
    return np.stack(np.meshgrid(x, y), -1)


class Head:
    """The relief of one face and its turn about the vertical axis through the middle between its eyes."""

    def __init__(self, points: Points, angle: float) -> None:
        """Five points [5, 2]; radians. The eyes may stand askew: across and along are the face's own."""
        self.points = points
        left, right, nose, *mouth = points
        self._origin = (left + right) / 2
        self._unit = float(np.linalg.norm(right - left))
        across = (right - left) / self._unit
        self._axes = np.stack([across, (-across[1], across[0])])
        self._nose, self._mouth = self._own(nose), self._own(np.mean(mouth, axis=0))
        self._cosine, self._sine = np.cos(angle), np.sin(angle)

    def forth(self, points: Points) -> Points:
        """Where points [N, 2] of the picture are after the turn."""
        own = self._own(points)
        own[:, 0] = self._cosine * own[:, 0] + self._sine * self._relief(own)
        return self._picture(own)

    def back(self, points: Points) -> Points:
        """Where they were before it: the fixed point of x = (x' - depth(x) sin) / cos, which contracts up to LIMIT."""
        own = self._own(points)
        wanted = own[:, 0].copy()
        for _ in range(_ITERATIONS):
            own[:, 0] = (wanted - self._sine * self._relief(own)) / self._cosine
        return self._picture(own)

    def _relief(self, own: Plane) -> NDArray[np.float64]:
        """Depths [N] towards the viewer; 0 far from the face."""
        return _bulge(own, _HEAD, np.array([0, self._mouth[1] / 2])) + _bulge(own, _NOSE, self._nose)

    def _own(self, points: Points) -> Plane:
        return np.asarray((points - self._origin) @ self._axes.T / self._unit)

    def _picture(self, own: Plane) -> Points:
        return np.asarray(own @ self._axes * self._unit + self._origin)


def _bulge(own: Plane, form: tuple[float, float, float], centre: NDArray[np.float64]) -> NDArray[np.float64]:
    height, across, along = form
    x, y = ((own - centre) / (across, along)).T
    return np.asarray(height * np.exp(-(x * x) - y * y))
