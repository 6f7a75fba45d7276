"""Which aligned faces are no use for training, and why: six rules of SATNet's data (its `clear_mode`).

The first five need the 17 points of WebCaricature and look at their order; they reject most. The sixth needs five. A
rejected picture is only marked: drawings that break the order of a face are still good for learning shapes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from export.alignment import Template
from training.data.points import Points, five
from training.data.sources import Picture

TOLERANCE_17 = 0.10
"""Share of the picture's area that a circle through a point around its place in the template may have."""
TOLERANCE_5 = 0.025
"""The same where there are but five points: the rule alone then rejects as much as all six do."""

# Indices of the 17 points.
HAIR, EAR_LEFT, CHIN, EAR_RIGHT = range(4)
BROWS, EYES = slice(4, 8), slice(8, 12)
NOSE, LIP_UPPER, MOUTH_LEFT, LIP_LOWER, MOUTH_RIGHT = range(12, 17)

ENDS = "hair, ears and chin are not the ends of the face"
SIDEWAYS = "brows or eyes are not in order from left to right"
MIDDLE = "nose and mouth are not where they belong"
BETWEEN = "the mouth is not between the ears"
DOWNWARDS = "hair, brows, eyes, mouth and chin are not in order from top to bottom"
PLACES = "a point is far from its place in the template"
RULES = frozenset({ENDS, SIDEWAYS, MIDDLE, BETWEEN, DOWNWARDS, PLACES})
SEPARATOR = "; "
"""Between the reasons of one picture."""


def reasons(points: Points, template: Template, tolerance: float | None = None) -> list[str]:
    """Why a face with these points, in the frame of the template, is rejected; empty if it is not.

    Points are [5, 2], [17, 2] or [68, 2]; the rules on order apply to 17.
    """
    found = list(_disorder(points)) if len(points) == 17 else []
    allowed = tolerance if tolerance is not None else TOLERANCE_17 if len(points) == 17 else TOLERANCE_5
    if not _near(five(points), template, allowed):
        found.append(PLACES)
    return found


def verdict(picture: Picture, template: Template, tolerance: float | None = None) -> str:
    """Why an aligned picture is rejected: the rules' reasons anew, after those that others gave; empty if it is not."""
    others = [reason for reason in picture.rejected.split(SEPARATOR) if reason and reason not in RULES]
    found = [] if picture.points is None else reasons(picture.points, template, tolerance)
    return SEPARATOR.join([*others, *found])


def _disorder(points: Points) -> Iterator[str]:
    x, y = points.T
    mouth = [NOSE, LIP_UPPER, MOUTH_LEFT, LIP_LOWER]
    contour = points[:4]
    extremes = [contour[:, 1].argmin(), contour[:, 0].argmin(), contour[:, 1].argmax(), contour[:, 0].argmax()]
    if extremes != [HAIR, EAR_LEFT, CHIN, EAR_RIGHT]:
        yield ENDS
    if not (_rising(x[BROWS]) and _rising(x[EYES])):
        yield SIDEWAYS
    between = x[[NOSE, LIP_UPPER, LIP_LOWER]]
    below = y[[LIP_UPPER, MOUTH_LEFT, LIP_LOWER, MOUTH_RIGHT]]
    if not (x[MOUTH_LEFT] < between.min() and x[MOUTH_RIGHT] > between.max() and y[NOSE] < below.min()):
        yield MIDDLE
    if not x[EAR_LEFT] < x[mouth].min() < x[EAR_RIGHT]:
        yield BETWEEN
    rows = [y[[HAIR]], y[BROWS], y[EYES], y[mouth], y[[CHIN]]]
    strict = [True, False, True, True]
    if not all(_above(*pair, strictly=each) for pair, each in zip(pairwise(rows), strict, strict=True)):
        yield DOWNWARDS


def _rising(values: NDArray[np.float64]) -> bool:
    return bool((np.diff(values) > 0).all())


def _above(upper: NDArray[np.float64], lower: NDArray[np.float64], *, strictly: bool) -> bool:
    return bool(upper.max() < lower.min() if strictly else upper.max() <= lower.min())


def _near(points: Points, template: Template, tolerance: float) -> bool:
    """Whether all points are in the picture and the circle of each around its place is small enough."""
    inside = ((points >= 0) & (points < (template.width, template.height))).all()
    squares = ((points - np.array(template.points)) ** 2).sum(1)
    return bool(inside and (math.pi * squares <= tolerance * template.width * template.height).all())
