"""What a hand sees in a photo: flat strokes, lines along them, and where the likeness is.

Strokes follow the picture's own directions (structure tensor), and the landmarks say where a hand would press harder:
eyes, brows, nose, lips. How it is drawn then is a look's (`looks.py`).

Sources: anisotropic Kuwahara filter (Kyprianidis et al. 2009), flow-based difference of Gaussians (Kang et al. 2007).
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from training.data.looks import LIGHTNESS, Layers, Look, laid_down, strokes

PEN = 1.2  # pixels: the width of the fine pen; the broad one's is twice that


def paint(image: np.ndarray, landmarks: np.ndarray, style: Sequence[float]) -> np.ndarray:
    """The drawing uint8 [H, H, 3] of a photo uint8 [H, H, 3] RGB with 68 landmarks in its pixels, in a style [10]."""
    look = Look.from_style(torch.tensor(style).float()[None])
    drawn = laid_down(layers(image, landmarks), look, strokes(len(image)))
    return (255 * drawn[0].permute(1, 2, 0) + 0.5).clamp(0, 255).to(torch.uint8).contiguous().numpy()


def layers(image: np.ndarray, landmarks: np.ndarray) -> Layers:
    """Of one photo uint8 [H, W, 3] RGB with 68 landmarks in its pixels."""
    photo = image.astype(np.float32) / 255
    direction = stroke_direction(photo)
    attention = features(landmarks, image.shape[:2])
    # Broad strokes for skin and cloth, fine ones where the likeness is: eyes and mouth.
    broad, fine = kuwahara(photo, direction), cv2.bilateralFilter(photo, 5, 0.1, 2)
    likeness = np.clip(2 * attention - 1, 0, 1)[..., None]
    return Layers(
        channels(broad + likeness * (fine - broad)),
        channels(darker(photo, direction)),
        channels(attention[..., None]),
        channels(vignette(landmarks, image.shape[:2])[..., None]),
        torch.tensor([face_lightness(photo, landmarks)]),
    )


def channels(picture: np.ndarray) -> Tensor:
    """[H, W, C] as a batch of one, float32 [1, C, H, W]."""
    return torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None]


def face_lightness(photo: np.ndarray, landmarks: np.ndarray) -> float:
    """Median lightness (0..100) of the face's hull."""
    inside = np.zeros(photo.shape[:2], np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.round(landmarks[:27]).astype(np.int32)), 1)
    return float(np.median(photo[inside > 0] @ np.array(LIGHTNESS[0], np.float32)))


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


def darker(photo: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """How much darker than its surroundings a pixel is [H, W, 2], along the strokes: for a fine and a broad pen."""
    grey = np.sqrt(np.clip(photo @ np.array([0.3, 0.59, 0.11], np.float32), 0, 1))
    found = []
    for pen in (PEN, 2 * PEN):
        difference = cv2.GaussianBlur(grey, (0, 0), 1.6 * pen) - cv2.GaussianBlur(grey, (0, 0), pen)
        found.append(along(difference, direction, 4))
    return np.dstack(found)
