"""The many looks of one face that an encoder must see through: jitter, bad cameras, and the ways of caricaturists.

All functions take and return uint8 RGB pictures [H, W, 3] and draw from the generator that they are given.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

JITTER_PIXELS, JITTER_DEGREES, JITTER_SCALE = 2.0, 4.0, 0.05
EXAGGERATION_PIXELS = 8.0  # largest displacement of a warp that still leaves a face, at a height of 112

Rng = np.random.Generator
Filter = Callable[[np.ndarray, Rng], np.ndarray]


def disguise(
    crop: np.ndarray, width: int, height: int, drawn: float, rng: Rng, *, jitter: float = 1.0, mirrored: bool = True
) -> np.ndarray:
    """A view of `width` x `height` from the middle of a larger crop; with probability `drawn` as if it were drawn.

    `jitter` scales the small similarity; every other view is mirrored, if any is.
    """
    as_drawing = rng.random() < drawn
    amplitude = rng.uniform(0.2, 1) * EXAGGERATION_PIXELS if as_drawing else 0.0
    view = moved(crop, width, height, amplitude, rng, jitter)
    if rng.random() < 0.5 and mirrored:
        view = view[:, ::-1]
    if as_drawing and rng.random() < 0.75:
        view = painted(view, rng)
    return degraded(view, rng)


def moved(crop: np.ndarray, width: int, height: int, amplitude: float, rng: Rng, jitter: float = 1.0) -> np.ndarray:
    """The middle of `crop` after a small random similarity and a smooth random warp of at most `amplitude` pixels."""
    angle = jitter * np.deg2rad(rng.uniform(-JITTER_DEGREES, JITTER_DEGREES))
    scale = 1 + jitter * rng.uniform(-JITTER_SCALE, JITTER_SCALE)
    middle = (np.array([crop.shape[1], crop.shape[0]]) - 1) / 2
    centre = middle + jitter * rng.uniform(-JITTER_PIXELS, JITTER_PIXELS, 2)
    x, y = np.meshgrid(np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2)
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    field_x = centre[0] + cosine * x - sine * y
    field_y = centre[1] + sine * x + cosine * y
    if amplitude > 0:
        warp = smooth_field(width, height, rng) * amplitude
        field_x, field_y = field_x + warp[..., 0], field_y + warp[..., 1]
    return cv2.remap(
        crop, field_x.astype(np.float32), field_y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )


def smooth_field(width: int, height: int, rng: Rng) -> np.ndarray:
    """A random field [height, width, 2] that bends over a fourth of the frame and whose longest vector has length 1."""
    coarse = rng.standard_normal((5, 4, 2)).astype(np.float32)
    field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return field / max(float(np.linalg.norm(field, axis=2).max()), 1e-6)


def painted(view: np.ndarray, rng: Rng, *, coloured: bool = False) -> np.ndarray:
    """The view through one painter's hand, sometimes inked over; `coloured`: not by one who has no colours."""
    painters: tuple[Filter, ...] = (flattened, posterised, dabbed, pencilled)
    view = painters[rng.integers(len(painters) - coloured)](view, rng)
    return inked(view, rng) if rng.random() < 0.5 else view


def flattened(view: np.ndarray, rng: Rng) -> np.ndarray:
    """Edges kept, skin smoothed to planes of colour: the bilateral filter twice."""
    strength = float(rng.uniform(30, 80))
    for _ in range(2):
        view = cv2.bilateralFilter(view, 7, strength, 4)
    return view


def posterised(view: np.ndarray, rng: Rng) -> np.ndarray:
    """A few tones only."""
    step = 256 / rng.integers(4, 9)
    return (np.floor(cv2.medianBlur(view, 3) / step) * step + step / 2).astype(np.uint8)


def dabbed(view: np.ndarray, rng: Rng) -> np.ndarray:
    """Dabs of one colour each, as from a broad brush, under stronger colours."""
    view = cv2.medianBlur(view, int(rng.choice((3, 5))))
    grey = view.mean(2, keepdims=True)
    return np.clip(grey + rng.uniform(1.0, 1.8) * (view - grey), 0, 255).astype(np.uint8)


def pencilled(view: np.ndarray, rng: Rng) -> np.ndarray:
    """Graphite on paper: the grey picture divided by its own blur."""
    grey = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY).astype(np.float32)
    tone = rng.uniform(0.2, 0.7)
    drawn = 255 * np.minimum(1, grey / (cv2.GaussianBlur(grey, (0, 0), rng.uniform(3, 8)) + 1))
    paper = (1 - tone) * drawn + tone * grey
    return np.repeat(np.clip(paper, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def inked(view: np.ndarray, rng: Rng) -> np.ndarray:
    """Dark lines where a difference of Gaussians falls (Winnemoeller et al. 2012, XDoG)."""
    grey = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    sigma = rng.uniform(0.6, 1.2)
    edges = cv2.GaussianBlur(grey, (0, 0), sigma) - 0.98 * cv2.GaussianBlur(grey, (0, 0), 1.6 * sigma)
    lines = 1 + np.tanh(np.minimum(0, edges - 0.002) * rng.uniform(60, 200))
    return (view * np.clip(lines, 0, 1)[..., None]).astype(np.uint8)


def degraded(view: np.ndarray, rng: Rng, *, coloured: bool = False) -> np.ndarray:
    """Light and camera: gain, offset and tint, then at times grey, unless `coloured`, a loss of resolution, noise."""
    colours = view.astype(np.float32)
    gain = rng.uniform(0.75, 1.3) * rng.uniform(0.92, 1.08, 3)
    mean = colours.mean()
    colours = (colours - mean) * gain.astype(np.float32) + mean + rng.uniform(-25, 25)
    if rng.random() < 0.15 and not coloured:
        colours = np.repeat(colours.mean(2, keepdims=True), 3, axis=2)
    if rng.random() < 0.25:
        colours = blurred(colours, rng)
    if rng.random() < 0.2:
        colours = colours + rng.normal(0, rng.uniform(2, 10), colours.shape)
    return np.clip(colours, 0, 255).astype(np.uint8)


def blurred(colours: np.ndarray, rng: Rng) -> np.ndarray:
    """As a picture enlarged from fewer pixels."""
    height, width = colours.shape[:2]
    factor = rng.uniform(0.35, 0.8)
    small = cv2.resize(colours, (round(width * factor), round(height * factor)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
