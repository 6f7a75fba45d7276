"""Small valid pictures of every format and kind: what clients send when they mean well."""

import io
from functools import cache
from typing import Any

from PIL import Image, ImageCms, PngImagePlugin

SIZE = (64, 48)


def saved(picture: Image.Image, format: str, **options: Any) -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    if "append_images" in options:
        options["append_images"] = [each.copy() for each in options["append_images"]]
    picture.copy().save(buffer, format, **options)  # copies: saving as JPEG leaves its settings in a picture
    return buffer.getvalue()


def scenery() -> Image.Image:
    """Two slopes of colour and a disc: something for every predictor and table of the codecs."""
    across, down = Image.linear_gradient("L").rotate(90), Image.linear_gradient("L")
    disc = Image.radial_gradient("L")
    return Image.merge("RGB", (across, down, disc)).resize(SIZE, Image.Resampling.BILINEAR)


def exif(orientation: int) -> Image.Exif:
    """EXIF with an orientation, a maker and a place."""
    tags = Image.Exif()
    tags[0x0112], tags[0x010F] = orientation, "maker"
    tags.get_ifd(0x8825)[1] = "N"
    return tags


def profile() -> bytes:
    """An ICC profile of another RGB than sRGB: its red is sRGB's green."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    srgb = srgb[:24] + bytes(12) + srgb[36:]  # the time at which it was made
    return srgb.replace(b"rXYZ", b"____").replace(b"gXYZ", b"rXYZ").replace(b"____", b"gXYZ")


@cache
def pictures() -> dict[str, bytes]:
    """The files by name."""
    rgb = scenery()
    grey, alpha = rgb.convert("L"), rgb.convert("RGBA")
    alpha.putalpha(grey)
    deep = Image.frombytes("I;16", SIZE, grey.tobytes() * 2)
    frames: dict[str, Any] = {"save_all": True, "append_images": [rgb.rotate(90), rgb.rotate(180)]}
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "c" * 300, zip=True)
    text.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    kinds: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "jpeg": (rgb, "JPEG", {}),
        "jpeg-444": (rgb, "JPEG", {"subsampling": 0, "quality": 98}),
        "jpeg-progressive": (rgb, "JPEG", {"progressive": True, "restart_marker_blocks": 2}),
        "jpeg-grey": (grey, "JPEG", {}),
        "jpeg-cmyk": (rgb.convert("CMYK"), "JPEG", {}),
        "jpeg-tagged": (rgb, "JPEG", {"exif": exif(6), "icc_profile": profile(), "comment": b"comment"}),
        "jpeg-large": (rgb.resize((320, 241)), "JPEG", {"exif": exif(8)}),
        "jpeg-pair": (rgb, "MPO", frames),
        "png": (rgb, "PNG", {}),
        "png-alpha": (alpha, "PNG", {}),
        "png-grey-alpha": (alpha.convert("LA"), "PNG", {}),
        "png-palette": (rgb.quantize(16), "PNG", {"transparency": 3}),
        "png-bilevel": (rgb.convert("1"), "PNG", {"transparency": 0}),
        "png-deep": (deep, "PNG", {}),
        "png-tagged": (rgb, "PNG", {"exif": exif(5), "icc_profile": profile(), "pnginfo": text}),
        "png-animated": (rgb, "PNG", frames),
        "webp": (rgb, "WEBP", {}),
        "webp-lossless": (rgb, "WEBP", {"lossless": True}),
        "webp-alpha": (alpha, "WEBP", {}),
        "webp-tagged": (rgb, "WEBP", {"exif": exif(3), "icc_profile": profile(), "xmp": b"<x/>"}),
        "webp-animated": (rgb, "WEBP", frames),
        "gif": (rgb, "GIF", {}),
        "gif-transparent": (rgb.quantize(16), "GIF", {"transparency": 3, "comment": b"comment"}),
        "gif-animated": (rgb, "GIF", {**frames, "duration": 40, "disposal": 2}),
        "bmp": (rgb, "BMP", {}),
        "bmp-palette": (rgb.quantize(16), "BMP", {}),
        "bmp-bilevel": (rgb.convert("1"), "BMP", {}),
        "tiff": (rgb, "TIFF", {}),
        "tiff-lzw": (rgb, "TIFF", {"compression": "tiff_lzw"}),
        "tiff-deflate": (rgb, "TIFF", {"compression": "tiff_adobe_deflate"}),
        "tiff-jpeg": (rgb, "TIFF", {"compression": "jpeg"}),
        "tiff-fax": (rgb.convert("1"), "TIFF", {"compression": "group4"}),
        "tiff-deep": (deep, "TIFF", {}),
        "tiff-cmyk": (rgb.convert("CMYK"), "TIFF", {}),
        "tiff-float": (grey.convert("F"), "TIFF", {}),
        "tiff-pages": (rgb, "TIFF", {**frames, "exif": exif(7)}),
    }
    return {name: saved(picture, format, **options) for name, (picture, format, options) in kinds.items()}
