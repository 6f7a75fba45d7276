"""Portraits made over: hair is dyed and glasses are put on, so that what few people have is learnt from many.

Photos of members of a parliament show mostly brown and grey hair and few glasses; a cartoon is to keep any.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from export.alignment import Image
from training.data.heads import THIN, Array, Head
from training.data.traits import HAIRS, hair_pixels, lab
from training.data.vector import FINE, SIDE, curve, fine

DYES = np.array([3, 1, 1, 1, 1, 0.5, 1, 1, 1, 1.5, 1.5, 1, 1, 1, 1])
"""How often each of the colours of hair in photos is wanted."""
HAIR_ALIKE = 30.0  # CIE Lab, how far hair is from its median colour
LENSES = {
    "round": np.array([(1, 0), (0.7, -0.72), (0, -1), (-0.7, -0.72), (-1, 0), (-0.7, 0.72), (0, 1), (0.7, 0.72)]),
    "flat": np.array(
        [(1, -0.6), (0.85, -0.95), (0, -1), (-0.9, -0.9), (-1, -0.4), (-0.85, 0.75), (0, 0.95), (0.8, 0.7)]
    ),
    "drop": np.array(
        [(1, -0.5), (0.5, -0.95), (-0.4, -0.9), (-1, -0.6), (-0.75, 0.35), (-0.1, 1), (0.6, 0.95), (1, 0.3)]
    ),
}
"""Outlines of lenses from the temple over the brow to the nose and back, in half widths and heights."""
METALS = np.array([(60, 50, 45), (150, 120, 70), (150, 150, 155), (90, 90, 95)], float)
HORNS = np.array([(22, 20, 22), (50, 32, 22), (96, 58, 34), (40, 42, 60), (70, 30, 30)], float)


def dyed(photo: Image, head: Head, random: np.random.Generator) -> Image:
    """The photo uint8 [256, 256, 3] with hair of another colour; as it was where there is hardly any."""
    grown = hair_pixels(photo, head)
    if len(grown) <= 60:
        return photo
    colour = HAIRS[random.choice(len(HAIRS), p=DYES / DYES.sum()), 0] * np.exp(random.normal(0, 0.08))
    wanted = lab(np.clip(colour, 0, 255)[None])[0] + random.normal(0, (0, 1.5, 1.5))
    seen = cv2.cvtColor(photo.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    own = lab(np.median(grown, 0)[None])[0]
    apart = (seen - own) * (0.5, 1, 1)
    share = hair_mask(head) * np.exp(-((np.linalg.norm(apart, axis=-1) / HAIR_ALIKE) ** 2))[..., None]
    # Dark hair has less light and shade than fair hair.
    contrast = np.clip(np.sqrt((wanted[0] + 10) / (own[0] + 10)), 0.5, 1.6)
    new = (wanted + (seen - own) * (contrast, 0.7, 0.7)).astype(np.float32)
    mixed = (share * new + (1 - share) * seen).astype(np.float32)
    return as_bytes(255 * cv2.cvtColor(mixed, cv2.COLOR_LAB2RGB))


def hair_mask(head: Head) -> Array:
    """How much of each pixel is between the borders of hair [256, 256, 1], 0..1."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    edges = [head.centre + radius[:, None] * head.directions for radius in (head.inner, head.outer)]
    for ray in (head.outer - head.inner > THIN).nonzero()[0]:
        if ray + 1 < len(head.angles):
            corners = [edges[0][ray], edges[1][ray], edges[1][ray + 1], edges[0][ray + 1]]
            cv2.fillConvexPoly(mask, cv2.convexHull(np.round(corners).astype(np.int32)), 255)
    return cv2.GaussianBlur(mask.astype(np.float64) / 255, (0, 0), 2.0)[..., None]


def bespectacled(photo: Image, face: Array, random: np.random.Generator) -> Image:
    """The photo uint8 [256, 256, 3] of a face [68, 2] with glasses on: a shade, a tint, a glare, and the frame."""
    metal = random.random() < 0.5
    rim, lens = glasses(face, random.uniform(0.9, 1.8) if metal else random.uniform(1.5, 3.8), random)
    seen = photo.astype(np.float64)
    shade = cv2.GaussianBlur(np.roll(rim, random.integers(2, 7), 0), (0, 0), random.uniform(1, 3))
    seen *= 1 - random.uniform(0, 0.5) * shade[..., None]
    seen = painted(seen, lens, random.uniform(0, 0.25) * (random.random() < 0.3), random.uniform(20, 120, 3))
    across = np.linspace(-1, 1, SIDE)[None] + np.linspace(-1, 1, SIDE)[:, None] * random.uniform(-1, 1)
    glare = lens * np.exp(-(((across - random.uniform(-0.4, 0.4)) / random.uniform(0.03, 0.2)) ** 2))
    seen = painted(seen, glare, random.uniform(0, 0.6) * (random.random() < 0.3), np.full(3, 245.0))
    colour = random.choice(METALS if metal else HORNS) * np.exp(random.normal(0, 0.15))
    return as_bytes(painted(seen, rim, random.uniform(0.7, 1), np.clip(colour, 0, 255)))


def glasses(face: Array, width: float, random: np.random.Generator) -> tuple[Array, Array]:
    """How much of each pixel is frame, and lens [256, 256], 0..1, of glasses whose rims are so broad."""
    eyes = face[36:42].mean(0), face[42:48].mean(0)
    across = eyes[1] - eyes[0]
    axes = np.stack([across, across[::-1] * (-1, 1)]) / np.linalg.norm(across)
    size = np.linalg.norm(across) * random.uniform(0.34, 0.45) * np.array([1, random.uniform(0.55, 0.95)])
    # Outline, hinge and where the bridge begins.
    shape = np.concatenate([LENSES[str(random.choice(list(LENSES)))], [(1, -0.5), (-0.95, -0.3)]]) * size
    low, whole, thin = random.uniform(-1, 5), random.random() < 0.85, random.uniform(0.6, 1) * width
    frame, glass = (np.zeros((FINE * SIDE, FINE * SIDE), np.uint8) for _ in range(2))
    noses = []
    for side, eye, ear in ((-1, eyes[0], face[0]), (1, eyes[1], face[16])):
        *rim, hinge, nose = eye + (shape * (side, 1) + (side, low)) @ axes
        outline = curve(np.array(rim), closed=True)
        cv2.fillPoly(glass, [fine(outline)], 255, cv2.LINE_AA, 4)
        stroke(frame, outline if whole else curve(np.array(rim[:5])), width)
        stroke(frame, np.stack([hinge, ear + (0, random.uniform(-6, 2))]), thin)
        noses.append(nose)
    middle = (noses[0] + noses[1]) / 2 - random.uniform(0, 5) * axes[1]
    stroke(frame, curve(np.stack([noses[0], middle, noses[1]])), width)
    rims, lenses = (cv2.resize(each, (SIDE, SIDE), interpolation=cv2.INTER_AREA) / 255.0 for each in (frame, glass))
    return rims, lenses


def stroke(mask: NDArray[np.uint8], points: Array, width: float) -> None:
    """A line [N, 2] as broad as `width` on a mask of FINE times the side."""
    cv2.polylines(mask, [fine(points)], False, 255, max(1, round(FINE * width)), cv2.LINE_AA, 4)


def painted(picture: Array, where: Array, share: float, colour: Array) -> Array:
    """A picture [H, W, 3] with a colour [3] over it, as much as a mask [H, W] and a share say."""
    over = share * where[..., None]
    return picture + over * (colour - picture)


def as_bytes(picture: Array) -> Image:
    """uint8 of 0..255."""
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)
