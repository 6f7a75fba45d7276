"""What a portrait says of a person that a cartoon repeats: colours of skin, hair, brows and eyes, glasses, beards.

Glasses and beards are told by the sign of a weighted sum of few measurements; the weights are logistic regressions on
photos of congress256 labelled by eye. On those that they were fitted to, glasses are wrong on 5 of 230, beards on 10 of
448 (26 have one), moustaches on 9 of 426 (20 have one): most errors are beards that are missed.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from export.alignment import Image
from training.data.heads import THIN, Array, Head, cheeks, smaller
from training.data.materials import Colour

GLASSES = np.array([1.08, 1.25, 2.39, 3.23, 1.12, -21.06])
"""Of edges below the eyes, the bar and the edges on the bridge, the sides of the nose, the temples; and 1."""
BEARD = np.array([0.087, 0.049, 0.017, 0.039, 0.41, 0.054, 0.324, 2.972, -0.303, -6.91])
"""Of how dark, how grey and how rough lip, chin and jaw are beside the cheeks; and 1."""
MOUSTACHE = np.array([0.221, -0.084, 0, 0.282, -0.027, 0, 1.216, -1.211, 0, -8.1])

CHEEK = 0.7  # of its polygon, for its colour
USUAL_SKIN = np.array([20.0, 20.0])
"""What a* and b* cheeks have in portraits."""

SKINS = np.array(
    [
        (251, 219, 208),
        (251, 221, 195),
        (255, 206, 180),
        (243, 195, 147),
        (237, 177, 147),
        (225, 177, 123),
        (219, 165, 108),
        (201, 141, 93),
        (171, 117, 84),
        (135, 87, 73),
    ],
    float,
)
"""The Cartoon Set's colours of skin."""

# Colours of hair in photos, and for each the set's own or a blend of two of them.
HAIRS = np.array(
    [
        ((28, 24, 25), (27, 21, 21)),
        ((48, 44, 44), (27, 21, 21)),
        ((70, 52, 44), (93, 51, 27)),
        ((104, 76, 58), (112, 62, 32)),
        ((120, 90, 66), (165, 96, 45)),
        ((118, 62, 42), (165, 81, 51)),
        ((128, 100, 66), (219, 153, 51)),
        ((142, 110, 78), (219, 153, 51)),
        ((170, 136, 96), (240, 185, 80)),
        ((200, 168, 122), (255, 205, 105)),
        ((225, 202, 165), (255, 225, 141)),
        ((78, 72, 70), (74, 76, 80)),
        ((128, 116, 108), (147, 165, 177)),
        ((165, 155, 146), (178, 190, 198)),
        ((205, 197, 188), (225, 225, 225)),
    ],
    float,
)

# Colours of eyes in photos and in the set.
IRISES = np.array(
    [
        ((36, 26, 24), (86, 52, 40)),
        ((70, 50, 42), (124, 76, 56)),
        ((96, 98, 108), (66, 118, 162)),
        ((104, 98, 88), (142, 162, 158)),
    ],
    float,
)


@dataclass(frozen=True)
class Traits:
    """Of one person."""

    skin: Colour
    hair: Colour
    brow: Colour
    iris: Colour
    glasses: bool
    moustache: bool
    beard: bool


def traits(photo: Image, face: Array, head: Head) -> Traits:
    """Of a photo uint8 [256, 256, 3] RGB with 68 landmarks and the borders of its hair."""
    cheek = lab(np.median(inside(photo, cheeks(face, CHEEK)), 0)[None])[0]
    skin = skin_colour(cheek, brightest(photo))
    # Half of what tells skin from the usual is the colour of the light.
    light = np.array([0, *(0.5 * (cheek[1:] - USUAL_SKIN))])
    grown = hair_pixels(photo, head)
    brows = darkest(np.concatenate([along(photo, face[17:22]), along(photo, face[22:27])]))
    dark = lab(brows[None])[0]
    hair = blend((lab(np.median(grown, 0)[None])[0] if len(grown) > 60 else dark) - light, HAIRS)
    brow = darkened(hair, lab(skin[None])[0, 0] - 1.6 * (cheek[0] - dark[0]))
    eyes = np.concatenate([inside(photo, [iris_disc(face[a : a + 6])]) for a in (36, 42)])
    measured = np.append(beside_cheeks(photo, face), 1)
    beard = bool(measured @ BEARD > 0)
    return Traits(
        skin=tuple(skin),
        hair=tuple(hair),
        brow=tuple(brow),
        iris=tuple(blend(lab(np.median(eyes, 0)[None])[0] - light, IRISES, 9.0)),
        glasses=bool(np.append(rims(photo, face), 1) @ GLASSES > 0),
        moustache=bool(measured @ MOUSTACHE > 0) and not beard,
        beard=beard,
    )


def skin_colour(cheek: Array, white: float) -> Array:
    """One of the set's colours of skin or a blend, for a cheek [3] in CIE Lab under a light in which `white` is white.

    Photos are exposed for the face: how dark skin is, is told beside teeth, eyes and collars.
    """
    lightness = cheek[0] * 98 / white + 1
    keys = lab(SKINS)
    wanted = [lightness, 15, 24] + np.array([0, 0.4, 0.5]) * (cheek - [0, *USUAL_SKIN])
    near = ((keys - wanted) / (5, 12, 12)) ** 2
    return mixed(near.sum(1), SKINS)


def brightest(photo: Image) -> float:
    """The lightness of white in a portrait, CIE L*."""
    part = photo[100:250, 60:196]
    return float(np.percentile(lab(part.reshape(-1, 3)[::3].astype(float))[:, 0], 97))


def blend(colour: Array, table: Array, width: float = 4.5) -> Array:
    """For a colour [3], CIE Lab, the second colours of a table [N, 2, 3], by how near the first ones are to it."""
    near = ((lab(table[:, 0]) - colour) / width) ** 2
    return mixed(near.sum(1), table[:, 1])


def mixed(distance: Array, values: Array) -> Array:
    """Mean of values [N, 3] with the weights of a Gaussian."""
    weights = np.exp(-0.5 * (distance - distance.min()))
    return np.asarray((weights / weights.sum()) @ values)


def darkened(colour: Array, lightness: float) -> Array:
    """The colour [3], made as dark as that, CIE L*, but never nearly black nor lighter than it was."""
    own = lab(colour[None])[0, 0]
    return colour * np.clip(lightness / own, 0.45, 0.95)


def lab(colours: Array) -> Array:
    """CIE Lab [N, 3] of RGB."""
    return np.asarray(cv2.cvtColor((colours[None] / 255).astype(np.float32), cv2.COLOR_RGB2LAB)[0], float)


def inside(photo: Image | Array, polygons: list[Array]) -> Array:
    """The pixels [N, C] in some polygons."""
    mask = np.zeros(photo.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(each).astype(np.int32) for each in polygons], 1)
    return np.asarray(photo[mask > 0], float)


def along(photo: Image, line: Array) -> Array:
    """The pixels [N, 3] on a line."""
    mask = np.zeros(photo.shape[:2], np.uint8)
    cv2.polylines(mask, [np.round(line).astype(np.int32)], False, 1, 5)
    return photo[mask > 0].astype(float)


def darkest(pixels: Array) -> Array:
    """The mean colour [3] of the darkest third."""
    total = pixels.sum(1)
    return np.asarray(pixels[total <= np.percentile(total, 33)].mean(0))


def hair_pixels(photo: Image, head: Head) -> Array:
    """Pixels [N, 3] that surely are hair: above the ears if there is some."""
    thick = head.outer - head.inner
    above = (thick > THIN) & (np.abs(head.angles) < np.radians(75))
    chosen = above if above.sum() > 5 else thick > THIN
    share = np.linspace(0.35, 0.85, 12)
    radius = head.inner[:, None] + share * thick[:, None]
    at = np.round((head.centre + radius[..., None] * head.directions[:, None])[chosen].reshape(-1, 2)).astype(int)
    at = at[((at >= 0) & (at < photo.shape[0])).all(1)]
    return photo[at[:, 1], at[:, 0]].astype(float)


def iris_disc(eye: Array) -> Array:
    """The middle of an eye [6, 2]."""
    angle = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    return np.asarray(eye.mean(0) + 2.5 * np.stack([np.cos(angle), np.sin(angle)], -1))


def beard_places(p: Array) -> tuple[list[Array], list[Array], list[Array]]:
    """Polygons of the upper lip, the chin and the sides of the jaw."""
    lip = [p[31] + (0, 3), p[33] + (0, 3), p[35] + (0, 3), p[53] - (0, 2), p[51] - (0, 2), p[49] - (0, 2)]
    steps = ((58, 7, 0.35), (57, 8, 0.3), (56, 9, 0.35), (9, 56, 0.2), (8, 57, 0.15), (7, 58, 0.2))
    chin = [p[a] + (p[b] - p[a]) * share for a, b, share in steps]
    jaw = [
        smaller(
            [p[a] + (p[mouth] - p[a]) * share for a, share in ((top, 0.15), (low, 0.15), (low, 0.45), (top, 0.45))], 0.9
        )
        for top, low, mouth in ((3, 5, 48), (13, 11, 54))
    ]
    return [smaller(lip, 0.8)], [smaller(chin, 0.9)], jaw


def beside_cheeks(photo: Image, face: Array) -> Array:
    """How much darker, how much greyer (CIE Lab) and how rough (log ratio) lip, chin and jaw are: [9]."""
    light = cv2.cvtColor(photo, cv2.COLOR_RGB2LAB)[..., :1].astype(np.float32)
    rough = np.abs(light[..., 0] - cv2.GaussianBlur(light, (0, 0), 2))[..., None]

    def seen(places: list[Array]) -> Array:
        tone = lab(np.median(inside(photo, places), 0)[None])[0]
        return np.array([tone[0], np.hypot(*tone[1:]), np.log(inside(rough, places).mean() + 0.3)])

    cheek = seen(cheeks(face, CHEEK))
    found = np.stack([seen(places) for places in beard_places(face)]) - cheek
    return np.concatenate([-found[:, 0], -found[:, 1], found[:, 2]])


def rims(photo: Image, face: Array) -> Array:
    """How much looks like a frame of glasses [5], logarithms of lightness beside that of the cheeks (100)."""
    light = cv2.GaussianBlur(cv2.cvtColor(photo, cv2.COLOR_RGB2LAB)[..., 0].astype(np.float32), (0, 0), 1.0)
    eyes = face[36:42].mean(0), face[42:48].mean(0)
    middle = (eyes[0] + eyes[1]) / 2
    skin = around(light, middle + (0, 24), eyes[1][0] - eyes[0][0] + 20, 20)
    light = light * 100 / (np.median(skin) + 10)
    level, upright = (np.abs(cv2.Sobel(light, cv2.CV_32F, *way)) / 4 for way in ((0, 1), (1, 0)))

    def line(edges: NDArray[np.float32], at: Array, size: tuple[int, int], axis: int, share: float) -> float:
        """The strongest row or column, by what most of it reaches."""
        return float(np.percentile(around(edges, at, *size), share, axis=axis).max())

    below = [line(level, eye + (0, 16), (18, 18), 1, 30) for eye in eyes]
    temples = [line(level, eye + (22 * side, -1), (10, 18), 1, 30) for eye, side in zip(eyes, (-1, 1), strict=True)]
    sides = [line(upright, middle + (8 * side, 5), (12, 14), 0, 40) for side in (-1, 1)]
    bridge = around(light, middle + (0, 1), 14, 30).mean(1)
    bar = max(0.0, float(((bridge[:-10] + bridge[10:]) / 2 - bridge[5:-5]).max()))
    edge = line(level, middle + (0, 1), (14, 20), 1, 30)
    pairs = [np.log(np.prod(each) + 1) / 2 for each in (below, sides, temples)]
    return np.array([pairs[0], np.log(bar + 1), np.log(edge + 1), pairs[1], pairs[2]])


def around(values: NDArray[np.float32], at: Array, width: float, height: float) -> NDArray[np.float32]:
    """The part [height, width] of values [H, W] about a place, which is moved inwards at the edges."""
    size = np.round([width, height]).astype(int)
    low = np.clip(np.round(at - size / 2).astype(int), 0, np.array(values.shape[1::-1]) - size)
    return values[low[1] : low[1] + size[1], low[0] : low[0] + size[0]]
