"""The procedural cartoonist: a photo becomes flat vector art in the manner of Google's Cartoon Set.

What is the person's own stays: where jaw, eyes, brows, nose and mouth stand, the skin's tone, the hair's outline and
colour, glasses, a beard, the smile. All else is the set's: proportions, palette, outlines, a white ground.

A face is moved by one smooth map, the same for everybody (training.data.proportions); so the cartoon is a simple
function of the photo, and a small network can learn it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from export.alignment import Image
from training.data.heads import THIN, Array, Head, calm, head
from training.data.materials import USUAL, Colour, Material
from training.data.proportions import moved, telling
from training.data.traits import Traits, traits
from training.data.vector import Sheet, curve, ellipse

LINE, HAIR_LINE = 2.6, 1.9  # how broad outlines are, pixels
MIDDLE = (128.0, 128.0)
LONG = 18.0  # pixels of hair beside the ears and below, from which on it hangs down
SHORT = np.array([(50, 150), (62, 104), (75, 92), (90, 82), (105, 76), (150, 120)], float)
"""How far hair that does not hang down reaches: degrees from upwards, pixels."""

# From the outer corner (1, 0) to the inner one and back, in half widths and heights of an eye.
UPPER_LID = np.array([(1, -0.1), (0.72, -0.72), (0.15, -1), (-0.5, -0.8), (-0.95, 0.1)])
LOWER_LID = np.array([(-0.95, 0.1), (-0.55, 0.8), (0.1, 1), (0.7, 0.72), (1, -0.1)])
LASH = np.array([(0.92, -0.25), (1.2, -0.5)])
LENS = np.array([(24, -6), (20, -16), (0, -18), (-19, -15), (-23, -3), (-19, 12), (-4, 19), (13, 18), (22, 8)], float)
FLASH = np.array([(-22, 8), (-8, -5), (4, -6), (0, 0), (14, -3), (22, 2), (8, 1), (-6, 8), (-3, 1), (-10, 2)], float)
"""The light on hair."""

REST = 2.0  # pixels by which the middle of the lips is below their corners in a mouth that is neither glad nor sad
ABOVE_EARS = 80.0, 97.0  # degrees from upwards between which hair before the head runs out


@dataclass(frozen=True)
class Cartoon:
    """A picture in flat colours, and what it is made of."""

    picture: Image
    """uint8 [256, 256, 3] RGB."""
    regions: NDArray[np.uint8]
    """The `Material` in the middle of each pixel [256, 256]."""
    palette: NDArray[np.uint8]
    """The colour of each material [M, 3]."""


def cartoon(photo: Image, landmarks: Array) -> Cartoon:
    """Of a photo uint8 [256, 256, 3] RGB with 68 landmarks in its pixels."""
    face = np.asarray(landmarks, float)
    found = head(photo, face)
    return drawn(face, found, traits(photo, face, found))


def drawn(face: Array, found: Head, person: Traits) -> Cartoon:
    """The cartoon of a face [68, 2] with this hair and these traits."""
    sheet, outline, placed = Sheet(), Outline.of(found), moved(telling(face))
    hang_hair(sheet, outline)
    draw_head(sheet, outline, placed)
    if person.beard:
        draw_beard(sheet, placed)
    if person.moustache:
        draw_moustache(sheet, placed)
    draw_hair(sheet, outline)
    draw_brows(sheet, placed)
    draw_eyes(sheet, placed)
    draw_nose(sheet, placed)
    draw_mouth(sheet, placed)
    if person.glasses:
        draw_glasses(sheet, placed)
    colours = palette(person)
    return Cartoon(sheet.picture(colours), sheet.regions(), colours)


def palette(person: Traits) -> NDArray[np.uint8]:
    """The colour of each material [M, 3], the person's own where it shows who that is."""
    colours = USUAL.copy()
    own = {
        Material.SKIN: person.skin,
        Material.HAIR: person.hair,
        Material.LIGHT: bright(person.hair),
        Material.BROW: person.brow,
        Material.IRIS: person.iris,
        Material.HAIRLINE: dark(person.hair),
    }
    for material, colour in own.items():
        colours[material] = colour
    return colours.astype(np.uint8)


@dataclass(frozen=True)
class Outline:
    """The head's borders in the cartoon, on the rays of `Head`."""

    turns: Array
    """Of the rays, degrees from upwards to the right [R]."""
    inner: Array
    """Where hair begins [R, 2], pixels."""
    outer: Array
    """Where the head ends [R, 2]."""
    thick: Array
    """Of hair on each ray, pixels of the photo [R]; 0: none."""
    long: bool
    """Whether hair hangs down on both sides; on one side it would be background."""

    @classmethod
    def of(cls, found: Head) -> Outline:
        """Smoothed, evened and brought to the set's proportions."""
        turns = np.degrees(found.angles)
        outer = even(calm(found.outer, 1.5))
        beside = (np.abs(turns) > 84) & (np.abs(turns) < 115)
        wide = [np.median((outer - found.inner)[beside & (side * turns > 0)]) for side in (-1, 1)]
        long = bool(min(wide) > LONG)
        if not long:
            outer = np.minimum(outer, np.interp(np.abs(turns), *SHORT.T))
        inner = np.minimum(calm(found.inner, 1.5), outer)
        thick = calm(outer - inner, 1.0)
        thick[~closed(thick > THIN)] = 0
        places = [moved(found.centre + radius[:, None] * found.directions) for radius in (inner, outer)]
        return cls(turns, *places, thick, long)

    def runs(self, chosen: NDArray[np.bool_], least: int = 4) -> list[slice]:
        """Neighbouring rays with hair that are chosen [R]."""
        ends = np.diff(np.concatenate([[False], chosen & (self.thick > 0), [False]]).astype(int))
        pairs = zip(np.flatnonzero(ends == 1), np.flatnonzero(ends == -1), strict=True)
        return [slice(first, last) for first, last in pairs if last - first >= least]


def closed(mask: NDArray[np.bool_], gap: int = 7) -> NDArray[np.bool_]:
    """A mask [R] without gaps below that many rays."""
    kernel = np.ones((gap, 1), np.uint8)
    found: NDArray[np.uint8] = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    return found.ravel() > 0


def even(radius: Array) -> Array:
    """No side of the head reaches much further than the other."""
    return np.minimum(radius, 1.08 * radius[::-1] + 5)


def hang_hair(sheet: Sheet, outline: Outline) -> None:
    """What hangs behind the face and the ears."""
    if not outline.long:
        return
    for side in (-1, 1):
        for run in outline.runs(side * outline.turns > 70):
            edge = curve(outline.outer[run])
            sheet.fill(np.concatenate([edge, [MIDDLE]]), Material.HAIR)
            sheet.stroke(edge, Material.HAIRLINE, HAIR_LINE)


def draw_head(sheet: Sheet, outline: Outline, face: Array) -> None:
    """Ears, then the face with its outline."""
    for side, (top, low) in ((-1, (0, 2)), (1, (16, 14))):
        middle = (face[top] + face[low]) / 2 + (side * 4, -5)
        ear = ellipse(middle, 17, 24, side * 10)
        sheet.fill(ear, Material.SKIN)
        sheet.stroke(ear, Material.INK, LINE, closed=True)
    upper = np.abs(outline.turns) < 66
    share = np.where(outline.thick > 0, 0.6, 1.0)[:, None]
    crown = (outline.inner + share * (outline.outer - outline.inner))[upper]
    sheet.fill(curve(np.concatenate([crown, face[16::-1]]), closed=True), Material.SKIN)
    sheet.stroke(curve(np.concatenate([face[:1], crown, face[16:17]]))[4:-4], Material.INK, LINE)
    sheet.stroke(curve(face[1:16]), Material.INK, LINE)


def draw_hair(sheet: Sheet, outline: Outline) -> None:
    """What grows before the head, running out above the ears, with a light on it."""
    first, last = ABOVE_EARS
    share = np.clip((np.abs(outline.turns) - first) / (last - first), 0, 1)[:, None] ** 2
    hairline = outline.inner + share * (outline.outer - outline.inner)
    for run in outline.runs(np.abs(outline.turns) < last):
        inner, outer = curve(hairline[run]), curve(outline.outer[run])
        sheet.fill(np.concatenate([inner, outer[::-1]]), Material.HAIR)
        sheet.stroke(inner, Material.HAIRLINE, HAIR_LINE)
        sheet.stroke(outer, Material.HAIRLINE, HAIR_LINE)
    ray = int(np.argmin(np.abs(outline.turns - 20)))
    if outline.thick[ray] > 16:
        low, high = outline.inner[ray], np.maximum(outline.outer[ray], 4)
        across = np.linalg.norm(high - low)
        sheet.fill((0.45 * low + 0.55 * high) + FLASH * np.clip(across / 40, 0.4, 1.1), Material.LIGHT)


def draw_brows(sheet: Sheet, face: Array) -> None:
    """Flat, broad towards the nose."""
    for points in (face[17:22], face[26:21:-1]):
        line = curve(points)
        at = np.linspace(0, 1, len(line))[:, None]
        half = (0, 1) * (0.9 + 3.0 * np.sin(np.pi * (0.12 + 0.72 * at)))
        sheet.fill(np.concatenate([line - half, (line + half)[::-1]]), Material.BROW)


def draw_eyes(sheet: Sheet, face: Array) -> None:
    """White, iris and pupil under a dark upper lid."""
    # From the outer corner over the upper lid to the inner corner and back.
    draw_eye(sheet, face[36:42], -1)
    draw_eye(sheet, face[[45, 44, 43, 42, 47, 46]], 1)


def draw_eye(sheet: Sheet, eye: Array, side: int) -> None:
    """One of them [6, 2]; `side` is 1 where the outer corner is on the right."""
    middle, axis = eye.mean(0), side * (eye[0] - eye[3])
    opened = (np.linalg.norm(eye[1] - eye[5]) + np.linalg.norm(eye[2] - eye[4])) / 2
    across = 17.5 * (np.linalg.norm(axis) / 26) ** 0.5
    down = 13.5 * (opened / 6.5) ** 0.5
    turned = np.stack([axis, axis[::-1] * (-1, 1)]) / np.linalg.norm(axis)
    upper, lower, lash = (middle + (shape * (side * across, down)) @ turned for shape in (UPPER_LID, LOWER_LID, LASH))
    upper, lower = curve(upper), curve(lower)
    white = np.concatenate([upper, lower])
    iris = middle - (0, 0.06 * down)
    sheet.within(
        white,
        (white, Material.WHITE),
        (ellipse(iris, 0.66 * across, 0.84 * down), Material.IRIS),
        (ellipse(iris, 0.35 * across, 0.5 * down), Material.INK),
    )
    sheet.stroke(upper, Material.INK, 2.6)
    sheet.stroke(lash, Material.INK, 1.8)


def draw_nose(sheet: Sheet, face: Array) -> None:
    """The line below it, with both nostrils."""
    base = face[31:36]
    middle = base.mean(0)
    line = middle + (base - middle) * (0.8, 1)
    ends = line[[0, 4]] + [(-2.5, -4), (2.5, -4)]
    sheet.stroke(
        curve(np.stack([ends[0], line[0] + (0, 1), line[2] + (0, 1), line[4] + (0, 1), ends[1]])), Material.INK, LINE
    )


def draw_mouth(sheet: Sheet, face: Array) -> None:
    """Teeth between two lines, or one line: parted as far and curved as much as the person's lips."""
    corners = face[[60, 64]]
    middle = corners.mean(0)
    left, right = middle + 0.98 * (corners - middle)
    rise = (face[62, 1] + face[66, 1]) / 2 - middle[1]
    gap = max(0.0, face[66, 1] - face[62, 1] - 1)
    at = np.linspace(0, 1, 25)[:, None]
    bow = 4 * at * (1 - at) * (0, 1)
    top = left + at * (right - left) + bow * np.clip(0.9 * (rise - REST), -1.5, 4)
    bottom = top + bow * (1.55 * gap)
    sheet.fill(np.concatenate([top, bottom[::-1]]), Material.WHITE)
    sheet.stroke(bottom, Material.INK, 2.8)
    sheet.stroke(top, Material.INK, 2.6)


def draw_beard(sheet: Sheet, face: Array) -> None:
    """Along the jaw, over the lip and around the mouth."""
    mouth, nose = (face[60] + face[64]) / 2, face[33]
    half = abs(face[54, 0] - face[48, 0]) / 2
    jaw = face[2:15] + (face[2:15] - mouth) * 0.04
    lip = [nose + (side * x, y) for side, x, y in ((1, 20, 9), (1, 9, 5), (0, 0, 7), (-1, 9, 5), (-1, 20, 9))]
    edge = curve(np.array([face[14], (0.55 * face[13] + 0.45 * face[54]) + (0, -2), *lip]))
    other = curve(np.array([lip[-1], (0.55 * face[3] + 0.45 * face[48]) + (0, -2), face[2]]))
    hair = np.concatenate([curve(jaw), edge, other])
    sheet.fill(hair, Material.HAIR)
    sheet.stroke(hair, Material.HAIRLINE, HAIR_LINE, closed=True)
    hole = ellipse(mouth + (0, 5), half + 1, 13)
    sheet.fill(hole, Material.SKIN)
    sheet.stroke(hole, Material.HAIRLINE, 1.2, closed=True)


def draw_moustache(sheet: Sheet, face: Array) -> None:
    """Between nose and mouth, a little broader than the mouth."""
    top, low = face[33, 1] + 4, face[62, 1] - 2
    half = abs(face[54, 0] - face[48, 0]) / 2
    shape = [(0, top + 2), (0.35, top), (0.8, (top + low) / 2), (1.1, low + 3), (0.6, low), (0, low - 1)]
    right = np.array([(face[33, 0] + x * half, y) for x, y in shape])
    left = right[::-1] * (-1, 1) + (2 * face[33, 0], 0)
    whole = curve(np.concatenate([right, left[1:-1]]), closed=True)
    sheet.fill(whole, Material.HAIR)
    sheet.stroke(whole, Material.HAIRLINE, 1.2, closed=True)


def draw_glasses(sheet: Sheet, face: Array) -> None:
    """A dark frame about the eyes, whatever its shape was."""
    left, right = face[36:42].mean(0), face[42:48].mean(0)
    for side, eye, ear in ((-1, left, face[0]), (1, right, face[16])):
        sheet.stroke(curve(eye + LENS * (side, 1), closed=True), Material.FRAME, 2.8, closed=True)
        sheet.stroke(np.stack([eye + (side * 24, -4), ear + (side * 2, -2)]), Material.FRAME, 2.8)
    sheet.stroke(
        curve(np.stack([left + (23, -2), (left + right) / 2 - (0, 5), right + (-23, -2)])), Material.FRAME, 2.8
    )


def dark(colour: Colour) -> Colour:
    """Of the outline of hair."""
    return tuple(0.5 * np.array(colour))


def bright(colour: Colour) -> Colour:
    """Of the light on hair."""
    return tuple(np.array(colour) + 0.38 * (255 - np.array(colour)))
