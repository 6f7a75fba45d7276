"""The rendering of caricature: a photo becomes flat paint, coherent ink lines, hatching and paper.

A look is ten numbers, each drawn from N(0, 1): the style vector of the translators. Strokes follow the picture's own
directions (structure tensor), and the landmarks say where a hand would press harder: eyes, brows, nose, lips.

Sources: anisotropic Kuwahara filter (Kyprianidis et al. 2009), flow-based difference of Gaussians and soft tone
quantisation (Winnemoeller et al. 2006, Kang et al. 2007).
"""

from dataclasses import dataclass, fields, replace

import cv2
import numpy as np


@dataclass(frozen=True)
class Look:
    """Ingredients of a drawing, each 0..1."""

    line: float  # how dark and wide the ink is
    flat: float  # how few tones the paint has
    colour: float  # 0 grey, about .4 as in the photo, 1 vivid
    paper: float  # how far the paint thins out to white paper
    hatch: float  # how dark the hatching in the shades is
    warmth: float  # 0 cool light, 1 warm light
    solid: float  # how much of the shade is filled with ink
    print: float  # how far three printer's inks replace the colours: blue, red, cream
    dots: float  # how strong a halftone screen is
    split: float  # how far light turns orange and shade violet

    @classmethod
    def from_style(cls, style: np.ndarray) -> "Look":
        """The look of a style vector [10]: each number through the (approximate) normal distribution function."""
        return cls(*(1 / (1 + np.exp(-1.702 * np.asarray(style, float)))))

    def style(self) -> tuple[float, ...]:
        """The style vector [10] of a look: the inverse of `from_style`."""
        shares = np.clip([getattr(self, field.name) for field in fields(self)], 0.01, 0.99)
        return tuple(float(value) for value in np.round(np.log(shares / (1 - shares)) / 1.702, 4))


PLAIN = Look(0.85, 0.9, 0.6, 0.05, 0.02, 0.55, 0.02, 0.02, 0.02, 0.02)

STYLES = {
    "gouache": replace(PLAIN, flat=0.97, paper=0.12, warmth=0.6),
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
PAPER = np.array([250, 246, 236], np.float32) / 255
INK = np.array([34, 26, 32], np.float32) / 255
SEPIA = np.array([92, 50, 24], np.float32) / 255
INKS = np.array([[22, 38, 84], [206, 56, 50], [250, 226, 178], [252, 244, 224]], np.float32) / 255
"""What `print` has for the darkest tone, the dark, the light and the lightest."""
HATCH_PERIOD = 5.0  # pixels between two strokes of hatching
DOT_PERIOD = 8.0  # pixels between two dots of the screen


def nearest(style: np.ndarray) -> str:
    """The name of the look whose style vector is the nearest to one [10]."""
    return min(STYLES, key=lambda name: float(np.linalg.norm(np.subtract(STYLES[name].style(), style))))


def gratings(side: int) -> np.ndarray:
    """Two crossing gratings of strokes and a screen of dots [side, side, 3], -1..1; on the paper, not on the face."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    wobble = 0.8 * np.sin(2 * np.pi * y / 61) + 0.8 * np.sin(2 * np.pi * x / 47)
    first = np.sin(2 * np.pi * ((x + y) / np.sqrt(2) + wobble) / HATCH_PERIOD)
    second = np.sin(2 * np.pi * ((x - 0.35 * y) / np.hypot(1, 0.35) + wobble) / HATCH_PERIOD)
    down, up = (np.cos(2 * np.pi * (x + sign * y) / np.sqrt(2) / DOT_PERIOD) for sign in (1, -1))
    return np.stack([first, second, (down + up) / 2], -1)


def paint(image: np.ndarray, landmarks: np.ndarray, look: Look) -> np.ndarray:
    """The drawing uint8 [H, W, 3] of a photo uint8 [H, W, 3] RGB with 68 landmarks in its pixels."""
    photo = image.astype(np.float32) / 255
    direction = stroke_direction(photo)
    attention = features(landmarks, image.shape[:2])
    # Broad strokes for skin and cloth, fine ones where the likeness is: eyes and mouth.
    broad, fine = kuwahara(photo, direction), cv2.bilateralFilter(photo, 5, 0.1, 2)
    likeness = np.clip(2 * attention - 1, 0, 1)[..., None]
    skin = face_lightness(photo, landmarks)
    colour = tones(broad + likeness * (fine - broad), skin, look)
    line = ink_lines(photo, direction, attention, look)
    shade = shadow(broad + likeness * (fine - broad), skin, look)
    drawn = lay_down(colour, line, shade, vignette(landmarks, image.shape[:2]), look)
    return np.clip(255 * drawn + 0.5, 0, 255).astype(np.uint8)


def face_lightness(photo: np.ndarray, landmarks: np.ndarray) -> float:
    """Median lightness (CIE L*, 0..100) of the face: shades are dark for this skin, not dark for the camera."""
    inside = np.zeros(photo.shape[:2], np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.round(landmarks[:27]).astype(np.int32)), 1)
    return float(np.median(cv2.cvtColor(photo, cv2.COLOR_RGB2LAB)[..., 0][inside > 0]))


def stroke_direction(photo: np.ndarray) -> np.ndarray:
    """Unit vectors along the edges [H, W, 2] (x, y): the minor eigenvectors of the smoothed structure tensor."""
    grey = cv2.GaussianBlur(photo.mean(-1), (0, 0), 1.0)
    gx, gy = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    tensor = cv2.GaussianBlur(np.dstack([gx * gx, gy * gy, gx * gy]), (0, 0), 2.5)
    angle = 0.5 * np.arctan2(2 * tensor[..., 2], tensor[..., 0] - tensor[..., 1]) + np.pi / 2
    return np.dstack([np.cos(angle), np.sin(angle)])


def features(landmarks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Where a hand presses harder [H, W], 0..1: eyes, brows, nose, lips and the jaw, in this order of weight."""
    mask = np.zeros(shape, np.float32)
    eye_distance = float(np.linalg.norm(landmarks[36:42].mean(0) - landmarks[42:48].mean(0)))
    strokes = (
        ((0, 17), 0.45),
        ((17, 22), 0.8),
        ((22, 27), 0.8),
        ((31, 36), 0.8),
        ((36, 42), 1),
        ((42, 48), 1),
        ((48, 60), 1),
    )
    for (first, last), weight in strokes:
        points = np.round(landmarks[first:last] * 8).astype(np.int32)
        layer = np.zeros(shape, np.float32)
        closed = first in (36, 42, 48)
        cv2.polylines(layer, [points], closed, weight, max(1, round(0.14 * eye_distance)), cv2.LINE_AA, 3)
        if closed:
            cv2.fillPoly(layer, [points], weight, cv2.LINE_AA, 3)
        mask = np.maximum(mask, layer)
    return cv2.GaussianBlur(mask, (0, 0), 0.06 * eye_distance)


def vignette(landmarks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """How much of the scene is painted at all [H, W], 0..1: the head is, the far corners fade to paper."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    left, right, chin = landmarks[0], landmarks[16], landmarks[8]
    brow = landmarks[17:27].mean(0)
    centre = brow + 0.25 * (chin - brow)
    across, down = np.linalg.norm(right - left) * 0.78, np.linalg.norm(chin - brow) * 1.22
    distance = np.hypot((x - centre[0]) / across, (y - centre[1]) / down)
    return 1 / (1 + np.exp(14 * (distance - 1.12)))


def kuwahara(photo: np.ndarray, direction: np.ndarray, radius: float = 6.0, sectors: int = 8) -> np.ndarray:
    """Flat strokes with crisp borders: each pixel takes the mean of its calmest neighbouring sectors."""
    size = int(np.ceil(radius * 1.5))
    y, x = np.mgrid[-size : size + 1, -size : size + 1].astype(np.float32)
    reach = np.exp(-(x * x + y * y) / (0.5 * radius**2))
    grey = photo.mean(-1)
    stack = np.dstack([photo, grey * grey, grey])
    total, weight_sum = 0.0, 0.0
    for sector in range(sectors):
        turn = 2 * np.pi * sector / sectors
        facing = np.clip(np.cos(np.arctan2(y, x) - turn), 0, None) ** 3
        kernel = reach * facing + (np.hypot(x, y) < 0.5) * 0.3
        means = cv2.filter2D(stack, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101)
        spread = np.sqrt(np.clip(means[..., 3] - means[..., 4] ** 2, 0, None))
        weight = 1 / (1e-3 + (255 * spread) ** 4)[..., None]
        total, weight_sum = total + weight * means[..., :3], weight_sum + weight
    flat = (total / weight_sum).astype(np.float32)
    return along(flat, direction, 3)


def along(values: np.ndarray, direction: np.ndarray, steps: int) -> np.ndarray:
    """Average along the strokes: `steps` pixels in both directions (line integral convolution)."""
    height, width = direction.shape[:2]
    base = np.dstack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)))
    total = values.copy()
    for sign in (1, -1):
        at = base.copy()
        heading = sign * direction
        for _ in range(steps):
            at = at + heading
            here = cv2.remap(direction, at[..., 0], at[..., 1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
            # A direction has no sign: keep walking the way we came.
            heading = here * np.where((here * heading).sum(-1, keepdims=True) < 0, -1, 1).astype(np.float32)
            total += cv2.remap(values, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return total / (2 * steps + 1)


def tones(colour: np.ndarray, face: float, look: Look) -> np.ndarray:
    """Few soft tones, stronger or weaker colour, cool or warm light, printer's inks: RGB [H, W, 3] in and out, 0..1."""
    lab = cv2.cvtColor(np.clip(colour, 0, 1).astype(np.float32), cv2.COLOR_RGB2LAB)
    # Paint is lit from the face: its middle tone comes some way towards a bright one, and contrast is kept around it.
    lightness = np.clip(lab[..., 0] + (0.22 + 0.3 * look.paper) * (66 - face), 0, 100)
    # What is lit shows more of its colour: dark skin would turn grey otherwise.
    lit = np.clip((lightness + 10) / (lab[..., 0] + 10), 0.8, 1.5)
    step = 100 / (12 - 7 * look.flat)
    nearest = np.round(lightness / step) * step
    stepped = nearest + step / 2 * np.tanh((lightness - nearest) * 0.32 * (1 - 0.1 * look.flat))
    lab[..., 0] = lightness + (0.35 + 0.66 * look.flat) * (stepped - lightness)
    chroma = (1.75 * look.colour + 0.08) * lit
    tilt = np.tanh((lightness - face) / 12) * look.split
    lab[..., 1] = lab[..., 1] * chroma + 3 * (look.warmth - 0.5) + 14 * look.split - 8 * tilt
    lab[..., 2] = lab[..., 2] * chroma + 24 * (look.warmth - 0.5) + 30 * tilt - 6 * look.split
    painted = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)
    return painted + look.print * (printed(lightness, face) - painted)


def printed(lightness: np.ndarray, face: float) -> np.ndarray:
    """The inks of a print [H, W, 3] for a lightness [H, W]: three soft steps about the face's own."""
    sheet = np.broadcast_to(INKS[0], (*lightness.shape, 3))
    for ink, above in zip(INKS[1:], (0.5, 0.86, 1.1), strict=True):
        share = 1 / (1 + np.exp(-(lightness - above * (0.78 * face + 14.5)) / 1.5))
        sheet = sheet + share[..., None] * (ink - sheet)
    return sheet


def shadow(colour: np.ndarray, face: float, look: Look) -> np.ndarray:
    """Where ink fills the shade [H, W], 0..1: what is much darker than the face."""
    lightness = cv2.cvtColor(np.clip(colour, 0, 1).astype(np.float32), cv2.COLOR_RGB2LAB)[..., 0]
    return look.solid / (1 + np.exp(np.clip((lightness - (0.25 + 0.4 * look.solid) * face) / 2, -30, 30)))


def ink_lines(photo: np.ndarray, direction: np.ndarray, attention: np.ndarray, look: Look) -> np.ndarray:
    """How much ink lies on each pixel [H, W], 0..1: a fine and a broad pen, smoothed along the strokes."""
    grey = np.sqrt(np.clip(photo @ np.array([0.3, 0.59, 0.11], np.float32), 0, 1))
    width = 0.8 + 0.5 * look.line
    ink = 0.0
    for pen, bar in ((width, 0.014), (2 * width, 0.035 - 0.017 * look.line)):
        difference = cv2.GaussianBlur(grey, (0, 0), pen) - cv2.GaussianBlur(grey, (0, 0), 1.6 * pen)
        difference = along(difference, direction, 4)
        threshold = bar * (1 - 0.64 * attention)
        gain = 90 * (0.55 + 0.75 * attention)
        ink = np.maximum(ink, np.tanh(gain * (-difference - threshold)))
    return np.clip(ink, 0, 1) * (0.25 + 0.75 * look.line)


def lay_down(colour: np.ndarray, line: np.ndarray, shade: np.ndarray, painted: np.ndarray, look: Look) -> np.ndarray:
    """Paint, hatching, dots and ink on paper: RGB [H, W, 3], 0..1."""
    luminance = np.array([0.3, 0.59, 0.11], np.float32)
    bare = np.clip(1.4 * look.paper, 0, 1) * (1 - painted)
    wash = look.paper**2 * np.clip(1.5 * (colour @ luminance) - 0.1, 0, 1)
    density = (1 - bare) * (1 - wash)
    sheet = PAPER + (colour - PAPER) * density[..., None]
    strokes, crossing, screen = np.moveaxis(gratings(sheet.shape[0]), -1, 0)
    tone = sheet @ luminance
    # A dot or a stroke is as broad as its place is dark.
    half = 1 / (1 + np.exp(-7 * (screen - 2.8 * tone + 1.3)))
    sheet = sheet * (1 - look.dots * (0.9 * half)[..., None] * (1 - colour))
    sharp = 2 + 6 * look.line
    hatch = np.maximum(
        *(1 / (1 + np.exp(-sharp * (lines - 3 * tone + at))) for lines, at in ((strokes, 1.2), (crossing, 0.2)))
    )
    ink = np.maximum(line, shade) * (1 - 0.85 * bare) + 0.95 * np.clip(look.hatch - 0.05, 0, 1) * hatch
    ink = np.clip(ink, 0, 1)[..., None]
    return sheet * (1 - ink) + (INK + look.warmth**4 * (SEPIA - INK)) * ink
