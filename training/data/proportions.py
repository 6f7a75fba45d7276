"""From a portrait's proportions to those of Google's Cartoon Set, by one smooth map, the same for everybody."""

from __future__ import annotations

from functools import cache

import numpy as np

from export.alignment import SQUARE_256
from training.data.caricaturist import carried, mirrored, spline
from training.data.heads import Array

SIDE = SQUARE_256.width
AXIS = (SIDE - 1) / 2  # x of what stands in the middle of a face

# The left half of the mean portrait (68 landmarks by dlib, congress256), and where the Cartoon Set has the same.
HALF = np.array(
    [
        ((60, 121), (64, 115)),  # jaw
        ((61, 139), (66, 132)),
        ((62.5, 156), (69, 149)),
        ((66, 173), (73, 166)),
        ((72, 189), (80, 181)),
        ((83, 203), (90, 195)),
        ((96, 214), (102, 206)),
        ((111.5, 223.5), (115, 215)),
        ((128, 226), (128, 218)),
        ((75.5, 111), (70, 97)),  # brow
        ((94, 100.5), (90, 87)),
        ((116.5, 106), (112, 91)),
        ((99, 119), (94, 118)),  # eye
        ((115, 157.5), (115, 156)),  # nose
        ((128, 162), (128, 160)),
        ((99.5, 176), (105, 175)),  # mouth
        ((128, 177.5), (128, 176)),
        ((128, 192), (128, 192)),
        ((128, 66), (128, 62)),  # hairline
        ((86, 76), (81, 70)),
        ((128, 33), (128, 18)),  # crown
        ((61, 63), (55, 52)),
        ((46, 108), (44, 101)),
        ((28, 130), (23, 127)),
        ((40, 225), (36, 226)),
        ((0, 255), (-5, 258)),
        ((0, 0), (-8, -12)),
        ((128, 255), (128, 252)),
    ],
    float,
)

HAIR = slice(18, 25)
"""Rows of what stands about the face."""

PORTRAIT = np.array(
    [
        (61.9, 121.4),
        (62.7, 138.5),
        (64.0, 155.4),
        (66.3, 172.4),
        (72.2, 188.5),
        (82.4, 202.4),
        (95.6, 214.0),
        (110.5, 223.5),
        (AXIS, 226.4),
        (144.5, 223.5),
        (159.4, 214.0),
        (172.6, 202.4),
        (182.8, 188.5),
        (188.7, 172.4),
        (191.0, 155.4),
        (192.3, 138.5),
        (193.1, 121.4),
        (75.0, 110.7),
        (82.6, 102.8),
        (93.8, 100.2),
        (105.4, 101.6),
        (116.4, 105.9),
        (138.6, 105.9),
        (149.6, 101.6),
        (161.2, 100.2),
        (172.4, 102.8),
        (180.0, 110.7),
        (AXIS, 117.3),
        (AXIS, 128.6),
        (AXIS, 139.8),
        (AXIS, 151.5),
        (113.5, 157.3),
        (120.2, 159.8),
        (AXIS, 162.2),
        (134.8, 159.8),
        (141.5, 157.3),
        (88.5, 119.5),
        (95.3, 115.7),
        (103.1, 115.8),
        (110.2, 120.5),
        (102.7, 121.7),
        (95.0, 121.6),
        (144.8, 120.5),
        (151.9, 115.8),
        (159.7, 115.7),
        (166.5, 119.5),
        (160.0, 121.6),
        (152.3, 121.7),
        (98.2, 175.8),
        (109.0, 173.5),
        (119.5, 172.7),
        (AXIS, 174.2),
        (135.5, 172.7),
        (146.0, 173.5),
        (156.8, 175.8),
        (146.5, 186.5),
        (136.1, 191.1),
        (AXIS, 192.0),
        (118.9, 191.1),
        (108.5, 186.5),
        (102.0, 176.7),
        (119.4, 176.8),
        (AXIS, 177.7),
        (135.6, 176.8),
        (153.0, 176.7),
        (135.8, 183.9),
        (AXIS, 185.0),
        (119.2, 183.9),
    ]
)
"""The mean face of portraits, 68 landmarks; symmetric."""
EVEN, ODD = 1.35, 0.6
"""What a person's deviation from it is multiplied by: the symmetric part, and the other, which mostly is pose."""
FRONTAL = 4.5
"""Up to which a head that is turned becomes a cartoon that is not odd; most portraits are below."""


@cache
def knots() -> tuple[Array, Array]:
    """Points of the mean portrait [N, 2] and of the set's mean face, both halves."""
    return whole(HALF)


def whole(half: Array) -> tuple[Array, Array]:
    """Places and moved places [N, 2] of a left half [M, 2, 2] and of its mirror image."""
    other = half.copy()
    other[..., 0] = SIDE - half[..., 0]
    both = np.concatenate([half, other[half[:, 0, 0] < SIDE / 2]])
    return both[:, 0], both[:, 1]


def moved(points: Array) -> Array:
    """Where points [N, 2] of a portrait stand in its cartoon."""
    source, target = knots()
    return points + spline(source, target - source, points, SIDE)


def displacement(face: Array) -> Array:
    """How far each landmark [68, 2] of a portrait is from where it stands in the cartoon of that person, pixels."""
    return moved(telling(face)) - face


def flow(face: Array) -> Array:
    """Backward map from a person's cartoon to the portrait: source pixels [32, 32, 2] of each cell, without folds."""
    hair, new = whole(HALF[HAIR])
    move = np.concatenate([displacement(face), new - hair])
    return carried(np.concatenate([face, hair]), move)


def turned(face: Array) -> float:
    """How far the nose of a face [68, 2] is off the middle of the frame, pixels."""
    return float(abs(face[[27, 30, 33], 0].mean() - AXIS))


def telling(face: Array) -> Array:
    """A face [68, 2] with more of what is its own, and less of a turned head."""
    own = face - PORTRAIT
    other = mirrored(face[None])[0] - PORTRAIT
    return PORTRAIT + EVEN * (own + other) / 2 + ODD * (own - other) / 2
