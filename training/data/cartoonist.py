"""The procedural cartoonist: a photo becomes flat vector art in the manner of Google's Cartoon Set.

What is the person's own stays: where jaw, eyes, brows, nose and mouth stand, the skin's tone, the hair's outline and
colour, glasses, a beard, the smile. All else is the set's: proportions, palette, outlines, a white ground.

A face is moved by one smooth map, the same for everybody, that takes the mean portrait to the set's mean face; so the
cartoon is a simple function of the photo, and a small network can learn it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from export.alignment import Image
from training.data.caricaturist import spline
from training.data.heads import Array, Head, head

SIDE = 256
FINE = 4  # times the side on which is drawn
INK = (27, 21, 21)
WHITE = (255, 255, 255)

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
        ((75.5, 111), (71, 102)),  # brow
        ((94, 100.5), (91, 94)),
        ((116.5, 106), (112, 101)),
        ((99, 119), (94, 118)),  # eye
        ((115, 157.5), (115, 156)),  # nose
        ((128, 162), (128, 160)),
        ((99.5, 176), (105, 175)),  # mouth
        ((128, 177.5), (128, 176)),
        ((128, 192), (128, 192)),
        ((128, 33), (128, 11)),  # crown
        ((61, 63), (55, 48)),
        ((46, 108), (44, 101)),
        ((28, 130), (23, 127)),
        ((40, 225), (36, 226)),
        ((0, 255), (-5, 258)),
        ((0, 0), (-8, -12)),
        ((128, 255), (128, 252)),
    ],
    float,
)

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
"""The set's colours of skin."""

HAIRS = np.array(
    [
        ((30, 26, 27), (27, 21, 21)),
        ((68, 52, 44), (93, 51, 27)),
        ((100, 74, 58), (112, 62, 32)),
        ((134, 102, 76), (165, 96, 45)),
        ((120, 62, 40), (193, 76, 40)),
        ((172, 138, 100), (219, 153, 51)),
        ((205, 175, 130), (255, 211, 115)),
        ((225, 205, 170), (255, 225, 141)),
        ((86, 84, 84), (88, 97, 105)),
        ((135, 132, 130), (147, 165, 177)),
        ((175, 172, 168), (190, 200, 206)),
        ((215, 212, 208), (225, 225, 225)),
    ],
    float,
)
"""Colours of hair in photos, and the set's, or a blend of its neighbours, for each."""


def cartoon(photo: Image, landmarks: Array) -> Image:
    """The cartoon uint8 [256, 256, 3] of a photo uint8 [256, 256, 3] RGB with 68 landmarks in its pixels."""
    face = landmarks.astype(float)
    found = head(photo, face)
    paints = Paints.of(photo, face, found)
    sheet = Sheet()
    shape = Outline.of(found, face)
    placed = moved(face)
    sheet_back_hair(sheet, shape, paints)
    draw_head(sheet, shape, placed, paints)
    draw_beard(sheet, placed, paints)
    draw_hair(sheet, shape, paints)
    draw_brows(sheet, placed, paints)
    draw_eyes(sheet, placed, paints)
    draw_nose(sheet, placed)
    draw_mouth(sheet, placed)
    if paints.glasses:
        draw_glasses(sheet, placed)
    return sheet.picture()


@cache
def knots() -> tuple[Array, Array]:
    """Points of the mean portrait [N, 2] and of the set's mean face, both halves."""
    other = HALF.copy()
    other[..., 0] = SIDE - HALF[..., 0]
    both = np.concatenate([HALF, other[HALF[:, 0, 0] < SIDE / 2]])
    return both[:, 0], both[:, 1]


def moved(points: Array) -> Array:
    """Where points [N, 2] of a portrait stand in its cartoon."""
    source, target = knots()
    return points + spline(source, target - source, points, SIDE)


class Sheet:
    """White paper, on which shapes are drawn in pixels of the frame."""

    def __init__(self) -> None:
        self._canvas = np.full((FINE * SIDE, FINE * SIDE, 3), 255, np.uint8)

    def fill(self, points: Array, colour: Colour) -> None:
        """A closed shape [N, 2]."""
        cv2.fillPoly(self._canvas, [fine(points)], tuple(map(int, colour)), cv2.LINE_AA, 4)

    def stroke(self, points: Array, colour: Colour, width: float, *, closed: bool = False) -> None:
        """A line [N, 2] as broad as `width`."""
        breadth = max(1, round(FINE * width))
        cv2.polylines(self._canvas, [fine(points)], closed, tuple(map(int, colour)), breadth, cv2.LINE_AA, 4)

    def tint(self, points: Array, colour: Colour, share: float) -> None:
        """A closed shape that lets what is below shine through."""
        below = self._canvas.copy()
        self.fill(points, colour)
        self._canvas = cv2.addWeighted(self._canvas, share, below, 1 - share, 0)

    def picture(self) -> Image:
        """uint8 [256, 256, 3] RGB."""
        return np.asarray(cv2.resize(self._canvas, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


Colour = tuple[float, float, float]


def fine(points: Array) -> NDArray[np.int32]:
    """In sixteenths of the sheet's own pixels."""
    return np.round(((np.asarray(points) + 0.5) * FINE - 0.5) * 16).astype(np.int32)


def curve(points: Array, *, closed: bool = False, count: int = 8) -> Array:
    """A smooth line through points [N, 2] (Catmull and Rom 1974)."""
    p = np.asarray(points, float)
    ends = (p[-1:], p[:2]) if closed else (2 * p[:1] - p[1:2], 2 * p[-1:] - p[-2:-1])
    q = np.concatenate([ends[0], p, ends[1]])
    t = (np.arange(count) / count)[None, :, None]
    a, b, c, d = (q[k : len(q) - 3 + k, None] for k in range(4))
    line = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return np.concatenate([line.reshape(-1, 2), p[:1] if closed else p[-1:]])


@dataclass(frozen=True)
class Outline:
    """The head's borders in the cartoon, on the rays of `Head` [R, 2]."""

    turns: Array
    """Of the rays, degrees from upwards [R]."""
    inner: Array
    outer: Array
    thick: Array
    """Of hair on each ray, pixels of the photo [R]; 0: none."""

    @classmethod
    def of(cls, found: Head, face: Array) -> Outline:
        directions = np.stack([np.sin(found.angles), -np.cos(found.angles)], -1)
        outer = even(calm(found.outer, 1.5))
        inner = np.minimum(calm(found.inner, 1.5), outer)
        thick = calm(outer - inner, 1.0)
        thick[thick < THIN] = 0
        places = [moved(found.centre + radius[:, None] * directions) for radius in (inner, outer)]
        return cls(np.degrees(found.angles), *places, thick)


THIN = 7.0  # pixels of hair that are not drawn


def calm(values: Array, sigma: float) -> Array:
    """Blurred along the rays."""
    reach = int(3 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.convolve(np.pad(values, reach, "edge"), kernel / kernel.sum(), "valid")


def even(radius: Array) -> Array:
    """No side of the head reaches much further than the other."""
    return np.minimum(radius, 1.12 * radius[::-1] + 5)


def runs(mask: NDArray[np.bool_], least: int = 4) -> list[slice]:
    """Where a mask is true for some rays one after the other."""
    change = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return [slice(a, b) for a, b in zip(change[::2], change[1::2], strict=True) if b - a >= least]


def sheet_back_hair(sheet: Sheet, shape: Outline, paints: Paints) -> None:
    """What hangs behind the face and the ears."""
    for side in (-1, 1):
        long = (shape.thick > 0) & (side * shape.turns > 60)
        for run in runs(long):
            if np.abs(shape.turns[run]).max() < 95:
                continue
            middle = moved(np.full((1, 2), 128.0))
            points = np.concatenate([shape.outer[run], middle])
            sheet.fill(curve(points, closed=True), paints.hair)
            sheet.stroke(curve(shape.outer[run]), paints.hair_line, 2)


def draw_head(sheet: Sheet, shape: Outline, face: Array, paints: Paints) -> None:
    """Ears, then the face with its outline."""
    for side, (a, b) in ((-1, (0, 2)), (1, (16, 14))):
        at = (face[a] + face[b]) / 2 + [side * 5, -6]
        ear = ellipse(at, 17, 23, side * 10)
        sheet.fill(ear, paints.skin)
        sheet.stroke(ear, INK, 2.8, closed=True)
    top = np.abs(shape.turns) < 84
    share = np.where(shape.thick > 0, 0.6, 1.0)[:, None]
    crown = (shape.inner + share * (shape.outer - shape.inner))[top]
    whole = np.concatenate([crown, face[16:0:-1], face[:1]])
    sheet.fill(curve(whole, closed=True), paints.skin)
    sheet.stroke(curve(crown), INK, 2.8)
    sheet.stroke(curve(np.concatenate([face[1:16]])), INK, 2.8)


def draw_hair(sheet: Sheet, shape: Outline, paints: Paints) -> None:
    """What grows in front of the head."""
    for run in runs((shape.thick > 0) & (np.abs(shape.turns) < 90)):
        inner, outer = curve(shape.inner[run]), curve(shape.outer[run])
        sheet.fill(np.concatenate([inner, outer[::-1]]), paints.hair)
        sheet.stroke(inner, paints.hair_line, 2)
        sheet.stroke(outer, paints.hair_line, 2)
    ray = int(np.argmin(np.abs(shape.turns - 16)))
    if shape.thick[ray] > 18:
        middle, across = (shape.inner[ray] + shape.outer[ray]) / 2, np.linalg.norm(shape.outer[ray] - shape.inner[ray])
        sheet.fill(middle + FLASH * across / 34, paints.shine)


FLASH = np.array([(-22, 8), (-8, -5), (4, -6), (0, 0), (14, -3), (22, 2), (8, 1), (-6, 8), (-3, 1), (-10, 2)], float)
"""The light on the hair."""


def ellipse(middle: Array, across: float, down: float, turn: float = 0, count: int = 40) -> Array:
    """Points [N, 2] on it; `turn` in degrees."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    return np.asarray(middle) + np.stack([across * np.cos(angle), down * np.sin(angle)], -1) @ np.array([[c, s], [-s, c]])


def draw_brows(sheet: Sheet, face: Array, paints: Paints) -> None:
    for points in (face[17:22], face[26:21:-1]):
        line = curve(points)
        t = np.linspace(0, 1, len(line))[:, None]
        half = [0, 1] * (0.7 + 2.3 * np.sin(np.pi * (0.15 + 0.75 * t)))
        sheet.fill(np.concatenate([line - half, (line + half)[::-1]]), paints.brow)


def draw_eyes(sheet: Sheet, face: Array, paints: Paints) -> None:
    for side, points in ((-1, face[36:42]), (1, face[42:48])):
        outer, inner = (points[0], points[3]) if side < 0 else (points[3], points[0])
        middle = points.mean(0)
        width = np.linalg.norm(outer - inner)
        height = (np.linalg.norm(points[1] - points[5]) + np.linalg.norm(points[2] - points[4])) / 2
        slope = np.degrees(np.arctan2((points[3] - points[0])[1], (points[3] - points[0])[0]))
        across, down = 14.5 * (width / 24) ** 0.7, 11.5 * (height / 6.5) ** 0.6
        white = ellipse(middle, across, down, slope)
        sheet.fill(white, WHITE)
        iris = min(9.5, 0.85 * down)
        sheet.fill(ellipse(middle - [0, 0.5], 0.95 * iris, iris), paints.iris)
        sheet.fill(ellipse(middle - [0, 0.5], 0.5 * iris, 0.62 * iris), (10, 8, 8))
        lid = white[19:42] if False else np.roll(white, -20, 0)[:21]
        sheet.stroke(lid, INK, 2)
        sheet.stroke(np.stack([lid[0 if side < 0 else -1], lid[0 if side < 0 else -1] + [side * 4, -4]]), INK, 2)


def draw_nose(sheet: Sheet, face: Array) -> None:
    base = face[31:36]
    middle = base.mean(0)
    line = middle + (base - middle) * [0.95, 1]
    ends = line[[0, -1]] + [(-1.5, -5), (1.5, -5)]
    sheet.stroke(curve(np.stack([ends[0], line[0], line[2] + [0, 1], line[4], ends[1]])), INK, 2.6)


def draw_mouth(sheet: Sheet, face: Array) -> None:
    upper, lower = face[60:65], face[[60, 67, 66, 65, 64]]
    middle = (face[60] + face[64]) / 2
    gap = max(0.0, face[66, 1] - face[62, 1] - 1.5)
    upper = middle + (upper - middle) * [0.85, 1]
    drop = np.array([0, 0.75, 1, 0.75, 0])[:, None] * [0, 1.25 * gap]
    top = curve(upper)
    bottom = curve(upper + drop)
    sheet.fill(np.concatenate([top, bottom[::-1]]), WHITE)
    sheet.stroke(bottom, INK, 2)
    sheet.stroke(top, INK, 2.6)


def draw_beard(sheet: Sheet, face: Array, paints: Paints) -> None:
    pass


def draw_glasses(sheet: Sheet, face: Array) -> None:
    frame = (60, 56, 58)
    for side, points in ((-1, face[36:42]), (1, face[42:48])):
        middle = points.mean(0) + [0, 2]
        angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        c, s = np.cos(angle), np.sin(angle)
        lens = middle + np.stack([24 * np.sign(c) * np.abs(c) ** 0.7, 19 * np.sign(s) * np.abs(s) ** 0.75], -1)
        sheet.stroke(lens, frame, 3, closed=True)
        temple = face[0 if side < 0 else 16]
        sheet.stroke(np.stack([middle + [side * 24, -5], temple + [0, 0]]), frame, 3)
    left, right = face[36:42].mean(0), face[42:48].mean(0)
    sheet.stroke(curve(np.stack([left + [24, 0], (left + right) / 2 - [0, 4], right + [-24, 0]])), frame, 3)


@dataclass(frozen=True)
class Paints:
    """The colours of a person's cartoon, RGB 0..255, and what is worn."""

    skin: Colour
    hair: Colour
    brow: Colour
    iris: Colour
    glasses: bool

    @property
    def hair_line(self) -> Colour:
        """Of the outline of hair."""
        return tuple(0.5 * np.array(self.hair))

    @property
    def shine(self) -> Colour:
        return tuple(np.array(self.hair) + 0.35 * (255 - np.array(self.hair)))

    @classmethod
    def of(cls, photo: Image, face: Array, found: Head) -> Paints:
        cheeks = region(photo, cheek_polygons(face))
        skin = blend(np.median(cheeks, 0), SKINS, SKINS)
        ring = hair_pixels(photo, found)
        hair = blend(np.median(ring, 0), HAIRS[:, 0], HAIRS[:, 1]) if len(ring) > 60 else None
        brow_pixels = np.concatenate([line_pixels(photo, face[a:b]) for a, b in ((17, 22), (22, 27))])
        dark = brow_pixels[brow_pixels.sum(1) <= np.median(brow_pixels.sum(1))]
        brow = blend(np.median(dark, 0), HAIRS[:, 0], HAIRS[:, 1])
        return cls(tuple(skin), tuple(brow if hair is None else hair), tuple(brow), (96, 62, 44), False)


def cheek_polygons(p: Array) -> list[Array]:
    sides = ((p[2], p[3], p[48], p[31], p[39], p[41], p[36]), (p[14], p[13], p[54], p[35], p[42], p[46], p[45]))
    return [np.mean(side, 0) + 0.7 * (np.array(side) - np.mean(side, 0)) for side in sides]


def region(photo: Image, polygons: list[Array]) -> Array:
    mask = np.zeros(photo.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(each).astype(np.int32) for each in polygons], 1)
    return photo[mask > 0].astype(float)


def hair_pixels(photo: Image, found: Head) -> Array:
    directions = np.stack([np.sin(found.angles), -np.cos(found.angles)], -1)
    share = np.linspace(0.2, 0.85, 12)
    radius = found.inner[:, None] + share * (found.outer - found.inner)[:, None]
    thick = (found.outer - found.inner) > THIN
    at = (found.centre + radius[..., None] * directions[:, None])[thick].reshape(-1, 2)
    at = np.round(at).astype(int)
    at = at[((at >= 0) & (at < photo.shape[0])).all(1)]
    return photo[at[:, 1], at[:, 0]].astype(float)


def line_pixels(photo: Image, points: Array) -> Array:
    mask = np.zeros(photo.shape[:2], np.uint8)
    cv2.polylines(mask, [np.round(points).astype(np.int32)], False, 1, 5)
    return photo[mask > 0].astype(float)


def blend(colour: Array, keys: Array, values: Array, width: float = 7.0) -> Array:
    """The values [N, 3] of the keys [N, 3] that are near a colour [3], RGB all, mixed by nearness in CIE Lab."""
    near = np.linalg.norm(lab(keys) - lab(colour[None]), axis=1)
    weights = np.exp(-0.5 * (near**2 - near.min() ** 2) / width**2)
    return (weights / weights.sum()) @ values


def lab(colours: Array) -> Array:
    return np.asarray(cv2.cvtColor((colours[None] / 255).astype(np.float32), cv2.COLOR_RGB2LAB)[0], float)
