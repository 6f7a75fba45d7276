"""Bytes to pixels and back. Nothing is decoded before its format and size are known to be harmless."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms, ImageOps, PngImagePlugin

from export.alignment import Image
from service.errors import EmptyBody, ImageTypeMismatch, MalformedImage, TooManyPixels, UnsupportedImage
from service.marking import Source, xmp


class Format(StrEnum):
    """The formats of an answer."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"

    @property
    def media_type(self) -> str:
        """Its Content-Type."""
        return f"image/{self.value}"


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
_SRGB = ImageCms.createProfile("sRGB")


def decode(content: bytes, media_type: str | None, max_pixels: int) -> Image:
    """The picture as uint8 [H, W, 3] sRGB, upright; of an animation the first frame, over white where transparent.

    `media_type` is what the client says it is; None, or anything that is not image/*, says nothing. Raises EmptyBody,
    UnsupportedImage, ImageTypeMismatch, TooManyPixels (from the header, before any pixel is decoded), MalformedImage.
    """
    magic = _sniff(content)
    if media_type and media_type.startswith("image/") and media_type not in ("image/*", *magic.media_types):
        raise ImageTypeMismatch(f"the bytes are {magic.media_types[0]}, the request says {media_type}")
    try:
        with Pillow.open(io.BytesIO(content), formats=[magic.pillow]) as picture:
            width, height = picture.size
            if width * height > max_pixels:
                raise TooManyPixels(f"{width} x {height} pixels; the limit is {max_pixels / 1e6:g} megapixels")
            return np.asarray(_upright_srgb(picture))
    except (TooManyPixels, UnsupportedImage):
        raise
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning):
        raise TooManyPixels(f"the limit is {max_pixels / 1e6:g} megapixels") from None
    except Exception as error:  # decoders raise anything at all on hostile bytes
        raise MalformedImage("the picture is truncated or corrupt") from error


def encode(image: Image, format: Format, quality: int, source: Source) -> bytes:
    """The picture as a file whose only metadata is the mark of `source`; `quality` 1..100 is ignored by PNG."""
    picture = Pillow.fromarray(image)
    buffer = io.BytesIO()
    match format:
        case Format.JPEG:
            # 4:4:4: a drawing's hard colour edges bleed under chroma subsampling
            picture.save(buffer, "JPEG", quality=quality, subsampling=0, xmp=xmp(source))
        case Format.WEBP:
            picture.save(buffer, "WEBP", quality=quality, method=2, xmp=xmp(source))
        case Format.PNG:
            chunks = PngImagePlugin.PngInfo()
            chunks.add_itxt("XML:com.adobe.xmp", xmp(source).decode())
            # zlib level 3: a few per cent larger than the default and several times faster
            picture.save(buffer, "PNG", compress_level=3, pnginfo=chunks)
    return buffer.getvalue()


def _sniff(content: bytes) -> _Magic:
    if not content:
        raise EmptyBody("the picture has no bytes")
    for magic in _READABLE:
        if content.startswith(magic.prefixes) and content[8:12].startswith(magic.form_type):
            return magic
    raise UnsupportedImage("the bytes are not JPEG, PNG, WebP, GIF, BMP or TIFF")


def _upright_srgb(picture: Pillow.Image) -> Pillow.Image:
    """Decoded, turned as EXIF says, flattened to sRGB."""
    picture.load()
    profile = picture.info.get("icc_profile")
    with contextlib.suppress(Exception):  # a picture with broken EXIF is still a picture
        ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode.startswith("I;16"):
        picture = Pillow.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F", "LAB", "HSV"):
        raise UnsupportedImage(f"pixels of the kind {picture.mode} are not supported")
    if picture.mode in ("LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
    if picture.mode == "RGBA":
        white = Pillow.new("RGBA", picture.size, "white")
        picture = Pillow.alpha_composite(white, picture).convert("RGB")
    elif picture.mode in ("P", "1"):
        picture = picture.convert("RGB")
    picture = _to_srgb(picture, profile)
    return picture if picture.mode == "RGB" else picture.convert("RGB")  # converting RGB to RGB would copy it


def _to_srgb(picture: Pillow.Image, profile: bytes | None) -> Pillow.Image:
    """Through the embedded ICC profile; one that is broken or meant for another kind of pixel is ignored."""
    if not profile:
        return picture
    try:
        source: Any = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(picture, source, _SRGB, outputMode="RGB") or picture
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture
