"""How a drawing is laid down, once it is known what is to be drawn: tones, inks, hatching and paper.

A look is ten numbers, each drawn from N(0, 1): the style vector of the translators. What a hand sees in a photo does
not depend on it (`Layers`), so any look can be laid down from the same layers. This is done with tensors, for the
procedural caricaturist and within translators alike.

B batch, H W height and width. Sources: soft tone quantisation (Winnemoeller et al. 2006); the rest is ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Look:
    """Ingredients of a drawing, each 0..1; as they are read of style vectors, each a tensor [B, 1, 1, 1]."""

    line: float | Tensor  # how dark and wide the ink is
    flat: float | Tensor  # how few tones the paint has
    colour: float | Tensor  # 0 grey, about .4 as in the photo, 1 vivid
    paper: float | Tensor  # how far the paint thins out to white paper
    hatch: float | Tensor  # how dark the hatching in the shades is
    warmth: float | Tensor  # 0 cool light, 1 warm light
    solid: float | Tensor  # how much of the shade is filled with ink
    print: float | Tensor  # how far three printer's inks replace the colours: blue, red, cream
    dots: float | Tensor  # how strong a halftone screen is
    split: float | Tensor  # how far light turns orange and shade violet

    @classmethod
    def from_style(cls, style: Tensor) -> Look:
        """The looks of style vectors [B, 10]: each number through the (approximate) normal distribution function."""
        shares = torch.sigmoid(1.702 * style)[:, :, None, None]
        return cls(*(shares[:, place, None] for place in range(STYLE_SIZE)))

    def style(self) -> tuple[float, ...]:
        """The style vector [10] of a look of numbers: the inverse of `from_style`."""
        shares = np.clip([getattr(self, field.name) for field in fields(self)], 0.01, 0.99)
        return tuple(float(value) for value in np.round(np.log(shares / (1 - shares)) / 1.702, 4))


PLAIN = Look(0.85, 0.9, 0.6, 0.05, 0.02, 0.55, 0.02, 0.02, 0.02, 0.02)

STYLES = {
    "gouache": replace(PLAIN, line=0.5, flat=0.99, paper=0.12, warmth=0.6),
    "ink": replace(PLAIN, line=0.98, flat=0.95, colour=0.01, paper=0.99, solid=0.98),
    "pencil": replace(PLAIN, line=0.4, flat=0.3, colour=0.01, paper=0.85, hatch=0.85, warmth=0.5),
    "wash": replace(PLAIN, line=0.4, flat=0.8, colour=0.9, paper=0.93, warmth=0.4, split=0.8),
    "poster": replace(PLAIN, line=0.5, flat=0.98, print=0.98, solid=0.3),
    "comic": replace(PLAIN, line=0.98, flat=0.97, colour=0.9, dots=0.98, solid=0.9, paper=0.75),
    "engraving": replace(PLAIN, line=0.95, flat=0.4, colour=0.02, paper=0.45, hatch=0.99, warmth=0.98, solid=0.05),
    "oil": replace(PLAIN, line=0.3, flat=0.7, colour=0.92, split=0.98, warmth=0.6),
}

DEFAULT = next(iter(STYLES.values()))

STYLE_SIZE = len(fields(Look))
PAPER = (250 / 255, 246 / 255, 236 / 255)
INK = (34 / 255, 26 / 255, 32 / 255)
SEPIA = (92 / 255, 50 / 255, 24 / 255)
INKS = (
    (22 / 255, 206 / 255, 250 / 255, 252 / 255),
    (38 / 255, 56 / 255, 226 / 255, 244 / 255),
    (84 / 255, 50 / 255, 178 / 255, 224 / 255),
)
"""Red, green and blue that `print` has for the darkest tone, the dark, the light and the lightest."""
BLACKEST = 127 / 2000  # of `Layers.lines`: beyond it all ink is black, in every look
HATCH_PERIOD = 5.0  # pixels, on a sheet of 256, between two strokes of hatching
DOT_PERIOD = 8.0  # pixels, on a sheet of 256, between two dots of the screen

Matrix = tuple[tuple[float, ...], ...]

LIGHTNESS: Matrix = ((32, 58, 10),)
TINT: Matrix = ((87, -130, 43), (45, 82, -127))
"""Lightness, 0..100; red against green and yellow against blue, of red, green and blue in 0..1.

The linear map that is nearest to CIE L*a*b* for the pixels of portraits, grey staying grey: off by 4 on average, and
with no root to take.
"""
RGB: Matrix = tuple(map(tuple, np.linalg.inv(LIGHTNESS + TINT).tolist()))
LUMINANCE: Matrix = ((0.3, 0.59, 0.11),)


class Layers(NamedTuple):
    """What a hand sees of a face, whatever the look."""

    paint: Tensor
    """The picture in flat strokes [B, 3, H, W], 0..1: broad ones for skin and cloth, fine ones for eyes and mouth."""
    lines: Tensor
    """How much darker than what surrounds it a pixel is [B, 2, H, W], for a fine and a broad pen, along the strokes."""
    attention: Tensor
    """Where a hand presses harder [B, 1, H, W], 0..1."""
    painted: Tensor
    """How much of the scene is painted at all [B, 1, H, W], 0..1."""
    lightness: Tensor
    """Of the face's skin [B], 0..100: shades are dark for this skin, not dark for the camera."""


def nearest(style: np.ndarray) -> str:
    """The name of the look whose style vector is the nearest to one [10]."""
    return min(STYLES, key=lambda name: float(np.linalg.norm(np.subtract(STYLES[name].style(), style))))


def ruling(side: int) -> tuple[Tensor, Tensor]:
    """How paper is ruled, in rows [3, side, 2] and columns [3, 2, side], whose product are the `strokes` on it.

    The phase of a stroke is a number of its row and one of its column, added: its sine is two products of sines and
    cosines, and so much smaller a thing to store than a picture. A larger sheet has more strokes and broader ones.
    """
    at = (torch.arange(side, dtype=torch.float64) + 0.5) * math.sqrt(256 / side) - 0.5
    turn = 2 * torch.pi / HATCH_PERIOD
    sways = [0.8 * torch.sin(2 * torch.pi * at / period) for period in (61, 47)]
    rows, columns = [], []
    for slope in (1.0, -0.35):
        row, column = (
            turn * (sway + share * at / math.hypot(slope, 1)) for sway, share in zip(sways, (slope, 1), strict=True)
        )
        rows.append(torch.stack([row.sin(), row.cos()], 1))
        columns.append(torch.stack([column.cos(), column.sin()]))
    dots = torch.cos(math.sqrt(2) * torch.pi * at / DOT_PERIOD)
    rows.append(torch.stack([dots, torch.zeros_like(dots)], 1))
    columns.append(torch.stack([dots, torch.zeros_like(dots)]))
    return torch.stack(rows).float(), torch.stack(columns).float()


def strokes(side: int) -> Tensor:
    """On paper [3, side, side], -1..1: two crossing gratings and a screen of dots."""
    rows, columns = ruling(side)
    return rows @ columns


def laid_down(layers: Layers, look: Look, paper: Tensor) -> Tensor:
    """The drawing [B, 3, H, W], 0..1, in the looks of tensors, on paper with `strokes` [3, H, W]."""
    paint = without_grain(layers)
    light, tint = mapped(paint, LIGHTNESS), mapped(paint, TINT)
    face = layers.lightness[:, None, None, None]
    colour = tones(light, tint, face, look)
    ink = torch.maximum(ink_lines(layers, look), shadow(light, face, look))
    bare = (1.4 * look.paper).clamp(max=1) * (1 - layers.painted)
    wash = look.paper**2 * (1.5 * mapped(colour, LUMINANCE) - 0.1).clamp(0, 1)
    sheet = mixed(_colour(PAPER, colour), colour, (1 - bare) * (1 - wash))
    tone = mapped(sheet, LUMINANCE)
    first, second, screen = (paper[place] for place in range(3))
    # A dot or a stroke is as broad as its place is dark.
    sheet = sheet * (1 - 0.9 * look.dots * torch.sigmoid(7 * (screen - 2.8 * tone + 1.3)) * (1 - colour))
    hatch = torch.sigmoid((2 + 6 * look.line) * (torch.maximum(first + 1.2, second + 0.2) - 3 * tone))
    ink = (ink * (1 - 0.85 * bare) + 0.95 * (look.hatch - 0.05).clamp(min=0) * hatch).clamp(max=1)
    return mixed(sheet, mixed(_colour(INK, colour), _colour(SEPIA, colour), look.warmth**4), ink)


def without_grain(layers: Layers) -> Tensor:
    """The paint [B, 3, H, W], each pixel the mean of those about it but where the likeness is: tones are told apart."""
    mean = F.avg_pool2d(layers.paint, 3, 1, 1, count_include_pad=False)
    return mixed(mean, layers.paint, (2 * layers.attention - 1).clamp(min=0))


def tones(light: Tensor, tint: Tensor, face: Tensor, look: Look) -> Tensor:
    """Few soft tones, stronger or weaker colour, cool or warm light, printer's inks: RGB [B, 3, H, W], 0..1."""
    # Paint is lit from the face: its middle tone comes some way towards a bright one, and contrast is kept around it.
    lit = (light + (0.22 + 0.3 * look.paper) * (66 - face)).clamp(0, 100)
    # What is lit shows more of its colour: dark skin would turn grey otherwise.
    chroma = (1.75 * look.colour + 0.08) * ((lit + 10) / (light.clamp(min=0) + 10)).clamp(0.8, 1.5)
    step = 100 / (12 - 7 * look.flat)
    tone, sharpness = torch.round(lit / step) * step, 0.32 * (1 - 0.1 * look.flat)
    # Half a step away from a tone it is the same seen from either of the two.
    stepped = tone + step / 2 * torch.tanh((lit - tone) * sharpness) / torch.tanh(step / 2 * sharpness)
    tilt = look.split * torch.tanh((lit - face) / 12)
    laid = lit + (0.35 + 0.66 * look.flat) * (stepped - lit)
    red = 3 * (look.warmth - 0.5) + 14 * look.split - 8 * tilt
    yellow = 24 * (look.warmth - 0.5) + 30 * tilt - 6 * look.split
    painted = mapped(torch.cat([laid, tint * chroma + torch.cat([red, yellow], 1)], 1), RGB).clamp(0, 1)
    return mixed(painted, printed(lit, face), look.print)


def printed(light: Tensor, face: Tensor) -> Tensor:
    """The inks of a print [B, 3, H, W] for a lightness [B, 1, H, W]: three soft steps about the face's own."""
    own = 0.78 * face + 14.5
    steps = torch.sigmoid((light - torch.cat([above * own for above in (0.5, 0.86, 1.1)], 1)) / 1.5)
    dark, bright, brightest = (steps[:, place, None] for place in range(3))
    over = torch.cat([1 - dark, dark * (1 - bright), bright * (1 - brightest), brightest], 1)
    return mapped(over, INKS)


def shadow(light: Tensor, face: Tensor, look: Look) -> Tensor:
    """Where ink fills the shade [B, 1, H, W], 0..1: what is much darker than the face."""
    return look.solid * torch.sigmoid(((0.25 + 0.4 * look.solid) * face - light) / 2)


def ink_lines(layers: Layers, look: Look) -> Tensor:
    """How much ink lies on each pixel [B, 1, H, W], 0..1: of a fine and a broad pen the darker one."""
    bars = torch.cat([torch.full_like(look.line, 0.014), 0.035 - 0.017 * look.line], 1)
    beyond = layers.lines - bars * (1 - 0.64 * layers.attention)
    ink = torch.tanh(90 * (0.55 + 0.75 * layers.attention) * beyond.amax(1, keepdim=True))
    return ink.clamp(min=0) * (0.25 + 0.75 * look.line)


def mapped(picture: Tensor, matrix: Matrix) -> Tensor:
    """Channels [B, N, H, W] of those of a picture [B, C, H, W], by a matrix [N, C]."""
    weight = torch.tensor(matrix, dtype=picture.dtype, device=picture.device)
    return F.conv2d(picture, weight[:, :, None, None])


def mixed(one: Tensor, other: Tensor, share: Tensor) -> Tensor:
    """From one to the other by a share of 0..1."""
    return one + share * (other - one)


def _colour(colour: tuple[float, float, float], like: Tensor) -> Tensor:
    return torch.tensor(colour, dtype=like.dtype, device=like.device)[None, :, None, None]
