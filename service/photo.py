"""An encoded picture: judged by its header, decoded when pixels are asked for and no finer than they are needed."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import ExifTags, ImageCms, TiffImagePlugin
from PIL import Image as Pillow

from export.alignment import Image
from service.errors import EmptyBody, ImageTypeMismatch, LikenessError, MalformedImage, TooManyPixels, UnsupportedImage

# Phones' panoramas end at 16,382 pixels, and OpenCV warps no picture of 32,767 or more.
MAX_SIDE = 16_384
# Scans of a JPEG. Encoders write 10; one of 65 bytes over 40 megapixels costs 25 ms, and 20 MB hold 300,000.
MAX_SCANS = 32
# How often a decoder may ask for bytes, which it does a few times for each of a file's parts. Files of 20 MB stay below
# 10,000; one that is nothing but empty parts asks 15 million times and holds the interpreter for seconds.
MAX_READS = 100_000


@dataclass(frozen=True)
class _Magic:
    """How a readable format begins, what Pillow calls it, and the media types that name it."""

    pillow: str
    prefixes: tuple[bytes, ...]
    media_types: tuple[str, ...]
    form_type: bytes = b""  # the word at byte 8 of a RIFF file


_READABLE = (
    _Magic("JPEG", (b"\xff\xd8\xff",), ("image/jpeg", "image/jpg", "image/pjpeg")),
    _Magic("PNG", (b"\x89PNG\r\n\x1a\n",), ("image/png", "image/x-png", "image/apng")),
    _Magic("WEBP", (b"RIFF",), ("image/webp",), b"WEBP"),
    _Magic("GIF", (b"GIF87a", b"GIF89a"), ("image/gif",)),
    _Magic("BMP", (b"BM",), ("image/bmp", "image/x-bmp", "image/x-ms-bmp")),
    _Magic("TIFF", (b"II*\0", b"MM\0*"), ("image/tiff", "image/tif")),
)
_UPRIGHT = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # within a scan 0xFF stands before 0 and restarts alone
_UNSUPPORTED = ("I", "F", "LAB", "HSV")  # Pillow's modes whose range of values is anyone's guess
_SRGB = ImageCms.createProfile("sRGB")
_COLOURS = Pillow.fromarray((17 * np.indices((16, 16, 16)).reshape(3, -1).T).astype(np.uint8).reshape(64, 64, 3))


class _Metered(io.BytesIO):
    """The bytes of a file; MalformedImage after MAX_READS."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > MAX_READS:
            raise MalformedImage("the file is in too many pieces")
        return super().read(size)


class Photo:
    """A picture in one of the readable formats. Of one thread at a time; it keeps the largest decode made so far.

    JPEG alone can be decoded at a half, a quarter or an eighth of its size, for a fraction of the time; the other
    formats are always decoded whole.
    """

    def __init__(self, content: bytes, media_type: str | None, max_pixels: int) -> None:
        """Reads the header, no pixel.

        `media_type` is what the client says it is; None, or anything that is not image/*, says nothing. Raises
        EmptyBody, UnsupportedImage, ImageTypeMismatch, TooManyPixels, MalformedImage.
        """
        self._content = content
        self._format = _sniff(content, media_type).pillow
        self._decode: tuple[Image, int] | None = None  # and by how much it is reduced
        if self._format == "JPEG" and _scans(content) > MAX_SCANS:
            raise UnsupportedImage(f"the JPEG has more than {MAX_SCANS} scans")
        with _typed_errors():
            self._opened: Pillow.Image | None = self._open()  # for the first decode, which changes it
            self._stored = self._opened.size
            self._sideways = self._format == "JPEG" and _orientation(self._opened) >= 5
            _check(self._opened, max_pixels)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the whole picture, upright.

        Only a JPEG says in its header how it is to be turned: pictures of other formats are decoded to know.
        """
        if self._format != "JPEG":
            height, width = self.full().shape[:2]
            return width, height
        width, height = self._stored
        return (height, width) if self._sideways else (width, height)

    @property
    def decoded_bytes(self) -> int:
        """Bytes of the whole picture's pixels, known before any is decoded; a full decode takes four times as much."""
        return self._stored[0] * self._stored[1] * 3

    def full(self) -> Image:
        """The whole picture, uint8 [height, width, 3] sRGB, upright; of an animation the first frame, over white.

        Raises MalformedImage, UnsupportedImage.
        """
        return self.pixels(max(self._stored))[0]

    def fitted(self, width: int, height: int) -> Image:
        """The whole picture at another size, uint8 [height, width, 3], whatever that does to its proportions."""
        return _resized(self.full(), width, height)

    def middle(self, width: int, height: int) -> Image:
        """As much around the middle of the picture as has the shape of width x height, at that size.

        uint8 [height, width, 3], of a decode no coarser than that.
        """
        share = min(self.size[0] / width, self.size[1] / height)
        pixels, scale = self.pixels(max(self.size) / share)
        across, down = (max(1, round(each * share * scale)) for each in (width, height))
        x, y = (pixels.shape[1] - across) // 2, (pixels.shape[0] - down) // 2
        return _resized(pixels[y : y + down, x : x + across], width, height)

    def pixels(self, long_side: float) -> tuple[Image, float]:
        """The cheapest decode whose long side has at least `long_side` pixels, or all, and its scale, 1/8 to 1.

        A point p of the whole picture stands at scale (p + 1/2) - 1/2 in it. Raises as `full` does.
        """
        wanted = self._reduction(long_side)
        if self._decode is None or self._decode[1] > wanted:
            self._decode = self._decoded(wanted)
        image, reduction = self._decode
        return image, 1 / reduction

    def _reduction(self, long_side: float) -> int:
        if self._format != "JPEG":
            return 1
        return next((each for each in (8, 4, 2) if max(self._stored) / each >= long_side), 1)

    def _decoded(self, reduction: int) -> tuple[Image, int]:
        with _typed_errors():
            picture, self._opened = self._opened or self._open(), None
            if reduction > 1:
                width, height = self._stored
                drafted = picture.draft(None, (max(1, width // reduction), max(1, height // reduction)))
                reduction = round(width / drafted[1][2]) if drafted else 1  # narrow pictures are reduced by less
            return np.asarray(_upright_srgb(picture)), reduction

    def _open(self) -> Pillow.Image:
        return Pillow.open(_Metered(self._content), formats=[self._format])


@contextlib.contextmanager
def _typed_errors() -> Iterator[None]:
    """Whatever a decoder raises becomes an error of ours."""
    try:
        yield
    except LikenessError:
        raise
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning):
        raise TooManyPixels("far more pixels than the limit") from None
    except Exception as error:  # decoders raise anything at all on hostile bytes
        raise MalformedImage("the picture is truncated or corrupt") from error


def _resized(pixels: Image, width: int, height: int) -> Image:
    size = pixels.shape[1], pixels.shape[0]
    if size == (width, height):
        return pixels
    interpolation = cv2.INTER_AREA if size > (width, height) else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=interpolation), np.uint8)


def _sniff(content: bytes, media_type: str | None) -> _Magic:
    """The format by its first bytes; EmptyBody, UnsupportedImage, ImageTypeMismatch."""
    if not content:
        raise EmptyBody("the picture has no bytes")
    for magic in _READABLE:
        if content.startswith(magic.prefixes) and content[8:12].startswith(magic.form_type):
            break
    else:
        raise UnsupportedImage("the bytes are not JPEG, PNG, WebP, GIF, BMP or TIFF")
    if media_type and media_type.startswith("image/") and media_type not in ("image/*", *magic.media_types):
        raise ImageTypeMismatch(f"the bytes are {magic.media_types[0]}, the request says {media_type}")
    return magic


def _scans(content: bytes) -> int:
    """How many scans the first picture of a JPEG has. Raises MalformedImage after MAX_READS segments."""
    place, scans = 2, 0
    for _ in range(MAX_READS):
        marker = _MARKER.search(content, place)
        if not marker or marker[0][1] == _END_OF_IMAGE:
            return scans
        scans += marker[0][1] == _START_OF_SCAN
        place = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2])
    raise MalformedImage("the file is in too many pieces")


def _check(picture: Pillow.Image, max_pixels: int) -> None:
    """TooManyPixels or UnsupportedImage, from the header."""
    width, height = picture.size
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        limits = f"{max_pixels / 1e6:g} megapixels and {MAX_SIDE} pixels a side"
        raise TooManyPixels(f"{width} x {height} pixels; the limits are {limits}")
    if picture.mode in _UNSUPPORTED:
        raise UnsupportedImage(f"pixels of the kind {picture.mode} are not supported")
    if isinstance(picture, TiffImagePlugin.TiffImageFile):  # a tile is decoded whole, however little of it is seen
        tile = [picture.tag_v2.get(tag, 1) for tag in (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH)]
        if tile[0] * tile[1] > max_pixels:
            raise TooManyPixels(f"tiles of {tile[0]} x {tile[1]} pixels; the limit is {max_pixels / 1e6:g} megapixels")


def _orientation(picture: Pillow.Image) -> int:
    """How EXIF says that the picture is stored, 1 (upright) to 8."""
    with contextlib.suppress(Exception):  # a picture with broken EXIF is still a picture
        orientation = picture.getexif().get(ExifTags.Base.Orientation)
        if orientation in _UPRIGHT:
            return int(orientation)
    return 1


def _upright_srgb(picture: Pillow.Image) -> Pillow.Image:
    """Decoded, turned as EXIF says, flattened to sRGB."""
    picture.load()
    profile, orientation = picture.info.get("icc_profile"), _orientation(picture)
    if picture.mode.startswith("I;16"):
        picture = Pillow.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
    if picture.mode == "RGBA":
        white = Pillow.new("RGBA", picture.size, "white")
        picture = Pillow.alpha_composite(white, picture).convert("RGB")
    elif picture.mode in ("P", "1"):
        picture = picture.convert("RGB")
    picture = _to_srgb(picture, profile)
    picture = picture if picture.mode == "RGB" else picture.convert("RGB")  # converting RGB to RGB would copy it
    return picture.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else picture


def _to_srgb(picture: Pillow.Image, profile: bytes | None) -> Pillow.Image:
    """Through the embedded ICC profile; one that is broken or meant for another kind of pixel is ignored."""
    if not profile:
        return picture
    try:
        source: Any = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, _SRGB, picture.mode, "RGB")
        if picture.mode == "RGB" and _changes_nothing(transform):
            return picture
        return ImageCms.applyTransform(picture, transform) or picture
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether colours stay within a level, as they do through the many profiles that are sRGB by another name."""
    before, after = np.asarray(_COLOURS, np.int16), np.asarray(ImageCms.applyTransform(_COLOURS, transform), np.int16)
    return bool(np.abs(after - before).max() <= 1)
