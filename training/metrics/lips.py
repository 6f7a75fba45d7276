"""Whether men get lipstick: the fault of SATNet whose styles are of women as well, as a rate.

The redness of lips is the distance of their mean a* (CIE Lab) from that of the cheeks, so that a drawing that is
redder as a whole is not taken for one with painted lips.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from export.alignment import Image
from training.metrics import interval
from training.metrics.interval import Interval

PERCENTILE = 95
TOLERANCE = 4.0
"""Of a*, photo to drawing; two shots of a person, neutral and smiling, differ by 1.4, of 19 in 20 by less than 3."""
# Of the 68 points.
OUTER, INNER = slice(48, 60), slice(60, 68)
# A cheek is a disc halfway from the wing of the nose to the jaw, with a radius in distances between the eyes.
CHEEKS = ((31, 3), (35, 13))
RADIUS = 0.12
EYES = slice(36, 42), slice(42, 48)


def redness(image: Image, landmarks: NDArray[np.float64]) -> float:
    """a* of the lips above a* of the cheeks, in units of CIE Lab."""
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return float(lab[_lips(image, landmarks), 1].mean() - lab[_cheeks(image, landmarks), 1].mean())


def lipstick_rate(photos: NDArray[np.float64], drawings: NDArray[np.float64]) -> Interval:
    """Share of drawings of men [N] whose lips are redder than those of 95 of 100 of the men's photos [M].

    0.05 where drawing leaves lips as they are.
    """
    return interval.share(drawings > np.percentile(photos, PERCENTILE))


def reddened_rate(photos: NDArray[np.float64], drawings: NDArray[np.float64]) -> Interval:
    """Share of drawings [N] whose lips are redder than in their own photos [N], by more than TOLERANCE.

    It asks nobody's sex.
    """
    return interval.share(drawings > photos + TOLERANCE)


def _lips(image: Image, landmarks: NDArray[np.float64]) -> NDArray[np.bool_]:
    """bool [H, W]; a mouth that is closed has no inside."""
    mask = np.zeros(image.shape[:2], np.uint8)
    inside = np.zeros_like(mask)
    cv2.fillPoly(mask, [_whole(landmarks[OUTER])], 1)
    cv2.fillPoly(inside, [_whole(landmarks[INNER])], 1)
    lips = (mask > 0) & (inside == 0)
    return lips if lips.any() else mask > 0


def _cheeks(image: Image, landmarks: NDArray[np.float64]) -> NDArray[np.bool_]:
    mask = np.zeros(image.shape[:2], np.uint8)
    eyes = [landmarks[eye].mean(0) for eye in EYES]
    radius = max(1, round(RADIUS * float(np.linalg.norm(eyes[1] - eyes[0]))))
    for nose, jaw in CHEEKS:
        x, y = _whole((landmarks[nose] + landmarks[jaw]) / 2)
        cv2.circle(mask, (int(x), int(y)), radius, 1, cv2.FILLED)
    return mask > 0


def _whole(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.rint(points).astype(np.int32)
