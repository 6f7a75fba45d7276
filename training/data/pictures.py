"""A picture of a set, opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from export.alignment import Image
from training.data.errors import DataError

_UNSUPPORTED = ("I", "F", "LAB", "HSV")  # Pillow's modes whose range of values is anyone's guess, as in the service


def read(path: Path) -> Image:
    """uint8 [H, W, 3] RGB, upright as its EXIF data say, over white where it is transparent; of 16 bits the upper 8.

    DataError names a file that is not there, no picture, or broken anywhere, and one whose pixels are of a kind that
    the service refuses, too.
    """
    with _typed_errors(path), Pillow.open(path) as opened:
        upright = ImageOps.exif_transpose(opened)
        if upright.mode in _UNSUPPORTED:
            raise ValueError(f"pixels of the kind {upright.mode} are not supported")
        if upright.mode.startswith("I;16"):  # Pillow would cut everything above 255 to white
            upright = Pillow.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")
            upright = Pillow.alpha_composite(Pillow.new("RGBA", upright.size, "white"), upright)
        return np.array(upright.convert("RGB"))


@contextmanager
def _typed_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except UnidentifiedImageError:
        raise DataError(f"{path} cannot be read: it is no picture") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # decoders raise anything at all on broken bytes
        raise DataError(f"{path} cannot be read: {error}") from error


def size(path: Path) -> tuple[int, int]:
    """Width and height, as they are stored; of the file only its head is read. DataError."""
    with _typed_errors(path), Pillow.open(path) as opened:
        return opened.size


def middle(image: Image, width: int, height: int) -> Image:
    """As much of the picture's middle as has these proportions, as uint8 [height, width, 3]. Reduced by area."""
    scale = min(image.shape[0] / height, image.shape[1] / width)
    rows, columns = round(scale * height), round(scale * width)
    top, left = (image.shape[0] - rows) // 2, (image.shape[1] - columns) // 2
    part = image[top : top + rows, left : left + columns]
    how = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (width, height), interpolation=how), np.uint8)


def squared(image: Image, side: int) -> Image:
    """The picture as a square uint8 [side, side, 3]; what is not one is cut in the middle."""
    return middle(image, side, side)
