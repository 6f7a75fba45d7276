"""How a face is cut out of a picture and put back: one code path for training crops and for the service.

Points are (x, y) in pixels with pixel centres at integers; matrices are float64 [2, 3] and map a picture to a crop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Image = NDArray[np.uint8]  # [H, W, 3], RGB
Matrix = NDArray[np.float64]  # [2, 3]

FEATHER = 0.12  # share of the crop's shorter side over which a pasted crop fades into the photo


class DegeneratePoints(ValueError):
    """The points determine no similarity: not finite, coincident, or a mirror image of the template."""


@dataclass(frozen=True)
class Template:
    """Where five facial points stand in an aligned crop of `width` x `height` pixels.

    The points are the centres of the eyes (left of the picture, then right), the tip of the nose and the corners of
    the mouth (left of the picture, then right).
    """

    width: int
    height: int
    points: tuple[tuple[float, float], ...]


def _square(side: int, scale: float, source: tuple[float, float], target: tuple[float, float]) -> Template:
    """The SphereFace points moved into a square by one fixed similarity that takes `source` to `target`."""
    points = tuple(
        (scale * (x - source[0]) + target[0], scale * (y - source[1]) + target[1]) for x, y in SPHEREFACE.points
    )
    return Template(side, side, points)


# Liu et al. 2017, SphereFace: the five points of the 96 x 112 frame.
SPHEREFACE = Template(
    96, 112, ((30.2946, 51.6963), (65.5318, 51.5014), (48.0252, 71.7366), (33.5493, 92.3655), (62.7299, 92.2041))
)
# Room for hair, ears and exaggeration around the same face.
SQUARE_256 = _square(256, scale=1.59, source=(48.0, 51.6), target=(128.0, 116.0))


def similarity(points: ArrayLike, template_points: ArrayLike) -> Matrix:
    """The least-squares similarity [2, 3] (rotation, uniform scale, shift; never a reflection) points -> template.

    Umeyama (1991) without reflections. In the plane it is one complex regression w = a z + b, whose factor a holds
    rotation and scale. Raises DegeneratePoints where the fit means nothing.
    """
    z, w = _complex(points), _complex(template_points)
    if z.shape != w.shape or z.size < 2:
        raise DegeneratePoints(f"{z.size} points cannot be matched with {w.size}")
    z_mean, w_mean = z.mean(), w.mean()
    z_spread, w_spread = np.linalg.norm(z - z_mean), np.linalg.norm(w - w_mean)
    if not np.isfinite([z_spread, w_spread]).all() or min(z_spread, w_spread) < 1e-6:
        raise DegeneratePoints("the points are not finite or coincide")
    a = np.vdot(z - z_mean, w - w_mean) / z_spread**2
    # |a| * spread ratio is the correlation: near zero, no rotation explains the points (they are mirrored or random).
    if abs(a) * z_spread < 0.1 * w_spread:
        raise DegeneratePoints("no rotation and scale brings the points near the template")
    b = w_mean - a * z_mean
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def apply(matrix: Matrix, points: ArrayLike) -> NDArray[np.float64]:
    """The points [N, 2] after `matrix`."""
    return np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]


def invert(matrix: Matrix) -> Matrix:
    """The matrix that maps the crop back to the picture."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.hstack([linear, -linear @ matrix[:, 2:]])


def cut(image: Image, matrix: Matrix, template: Template) -> Image:
    """The aligned crop, uint8 [template.height, template.width, 3]; outside the picture its edge goes on."""
    return _warp(image, matrix, template.width, template.height)


def paste(photo: Image, crop: Image, matrix: Matrix, template: Template) -> Image:
    """A copy of `photo` with `crop` (any size; it shows the template's frame) laid back where `matrix` cut it from.

    The crop's edges fade over FEATHER of its shorter side, so that no seam shows.
    """
    height, width = crop.shape[:2]
    to_crop = _scaled(matrix, width / template.width, height / template.height)
    x0, y0, x1, y1 = _footprint(to_crop, width, height, photo.shape)
    result = photo.copy()
    if x1 <= x0 or y1 <= y0:
        return result
    to_region = invert(to_crop) - np.array([[0, 0, x0], [0, 0, y0]])
    region = result[y0:y1, x0:x1]
    colours = _warp(crop, to_region, x1 - x0, y1 - y0)
    mask = cv2.warpAffine(_feather(width, height), to_region, (x1 - x0, y1 - y0))[..., None]
    region[:] = np.rint(region + mask * (colours.astype(np.float32) - region)).astype(np.uint8)
    return result


def _complex(points: ArrayLike) -> NDArray[np.complex128]:
    xy = np.asarray(points, np.float64).reshape(-1, 2)
    return np.asarray(xy[:, 0] + 1j * xy[:, 1])


def _scaled(matrix: Matrix, x_factor: float, y_factor: float) -> Matrix:
    """`matrix` followed by a resize of its target, with pixel centres at integers."""
    factors = np.array([[x_factor], [y_factor]])
    shifted = matrix * factors
    shifted[:, 2:] += (factors - 1) / 2
    return np.asarray(shifted)


def _footprint(matrix: Matrix, width: int, height: int, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The box x0, y0, x1, y1 (end exclusive) of the picture that the crop of `width` x `height` touches."""
    low, high = _reach(matrix, width, height)
    x0, y0 = np.maximum(low, 0)
    x1, y1 = np.minimum(high, (shape[1], shape[0]))
    return int(x0), int(y0), int(x1), int(y1)


def _reach(matrix: Matrix, width: int, height: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Low and high (exclusive) pixel coordinates that the crop reads, a margin for interpolation included."""
    corners = apply(invert(matrix), [(-1, -1), (width, -1), (-1, height), (width, height)])
    return np.floor(corners.min(0)).astype(np.int64) - 1, np.ceil(corners.max(0)).astype(np.int64) + 2


def _warp(image: Image, matrix: Matrix, width: int, height: int) -> Image:
    """`image` resampled through `matrix`, bilinear, edges continued.

    Continued, not mirrored: a mirrored border shows a second crown of hair or half a second face.

    Where the matrix shrinks, the part of the picture that is read is first averaged down by area, so that a face of
    2,000 pixels does not alias.
    """
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 1:
        image, matrix = _averaged(image, matrix, width, height, scale)
    warped: Any = cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped, np.uint8)


def _averaged(image: Image, matrix: Matrix, width: int, height: int, scale: float) -> tuple[Image, Matrix]:
    """The part of `image` that the crop reads, averaged to the crop's own resolution, and the matrix from there."""
    low, high = _reach(matrix, width, height)
    size = np.array([image.shape[1], image.shape[0]])
    (x0, y0), (x1, y1) = np.clip(low, 0, size - 1), np.clip(high, 1, size)
    region = image[y0:y1, x0:x1]
    small_width = max(1, round((x1 - x0) * scale))
    small_height = max(1, round((y1 - y0) * scale))
    small: Any = cv2.resize(region, (small_width, small_height), interpolation=cv2.INTER_AREA)
    fx, fy = small_width / (x1 - x0), small_height / (y1 - y0)
    to_small = np.array([[fx, 0, fx * (0.5 - x0) - 0.5], [0, fy, fy * (0.5 - y0) - 0.5], [0, 0, 1]])
    return np.asarray(small, np.uint8), np.vstack([matrix, [0, 0, 1]])[:2] @ np.linalg.inv(to_small)


def _feather(width: int, height: int) -> NDArray[np.float32]:
    """Weights float32 [height, width]: 0 on the border, 1 inside, a smooth step between."""
    band = FEATHER * min(width, height)

    def ramp(length: int) -> NDArray[np.float64]:
        distance = np.minimum(np.arange(length), np.arange(length)[::-1])
        t = np.clip(distance / band, 0, 1)
        return np.asarray(t * t * (3 - 2 * t))

    return np.asarray(np.outer(ramp(height), ramp(width)), np.float32)
