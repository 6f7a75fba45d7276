"""The pictures that clients send: the committed portraits as photos of three sizes, and crops of their faces."""

from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pillow

from export.alignment import SQUARE_256, Image
from export.repository import Repository
from service.faces import FaceFinder
from service.photo import Photo

ROOT = Path(__file__).resolve().parents[1]
PORTRAITS = (ROOT / "demo" / "photo.jpg", *sorted((ROOT / "tests" / "assets").glob("person*.jpg")))

# Width and height in pixels -> how many of ten photos have them.
MIX = {(4000, 3000): 4, (1600, 1200): 4, (640, 480): 2}
PORTRAIT_HEIGHT = 0.6  # of the photo's; about half of it is the face
NOISE = 4.0  # standard deviation of a sensor's noise, in levels
PHOTO_QUALITY, CROP_QUALITY = 92, 92


def photos(mix: dict[tuple[int, int], int] = MIX) -> list[bytes]:
    """JPEG files, sizes spread evenly; the same bytes at every call."""
    sizes = [size for size, count in mix.items() for _ in range(count)]
    step = next(step for step in (3, 7, 1) if np.gcd(step, len(sizes)) == 1)
    spread = [sizes[index * step % len(sizes)] for index in range(len(sizes))]
    return [_photo(PORTRAITS[index % len(PORTRAITS)], *size, seed=index) for index, size in enumerate(spread)]


def crops(models: Path = ROOT / "models") -> list[bytes]:
    """JPEG files of 256 x 256 pixels, each a face of another portrait as the service aligns it."""
    finder = FaceFinder(Repository(models).resolve("landmarks").path("model.dat"))
    files = []
    for index, portrait in enumerate(PORTRAITS):
        photo = Photo(_photo(portrait, 1600, 1200, seed=index), "image/jpeg", 40_000_000)
        files.append(_jpeg(finder.largest(photo).crop(photo, SQUARE_256), CROP_QUALITY))
    return files


def broken(photo: bytes) -> dict[str, bytes]:
    """What clients send instead of a photo, by the code of the problem that they must be told."""
    bomb = bytearray(photo)
    frame = bomb.index(b"\xff\xc0")  # start of frame: length, precision, then height and width
    bomb[frame + 5 : frame + 9] = b"\x3f\xff\x3f\xff"
    return {
        "malformed-image": photo[: len(photo) // 2],
        "unsupported-image-type": b"GIF89b" + bytes(1000),
        "empty-body": b"",
        "image-type-mismatch": b"\x89PNG\r\n\x1a\n" + bytes(1000),
        "too-many-pixels": bytes(bomb),
        "no-face-found": _jpeg(np.full((480, 640, 3), 128, np.uint8), PHOTO_QUALITY),
    }


def _photo(portrait: Path, width: int, height: int, seed: int) -> bytes:
    """The portrait in the middle of a picture whose edge colours go on, under noise."""
    with Pillow.open(portrait) as opened:
        face = np.asarray(opened.convert("RGB"))
    scale = PORTRAIT_HEIGHT * height / face.shape[0]
    shift = [(length - scale * side) / 2 for length, side in zip((width, height), face.shape[1::-1], strict=True)]
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    placed = cv2.warpAffine(face, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    grain = np.random.default_rng(seed).normal(0, NOISE, (512, 512, 3)).astype(np.float32)
    noise = np.tile(grain, (-(-height // 512), -(-width // 512), 1))[:height, :width]
    return _jpeg(np.clip(placed + noise, 0, 255).astype(np.uint8), PHOTO_QUALITY)


def _jpeg(pixels: Image, quality: int) -> bytes:
    buffer = BytesIO()
    Pillow.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
