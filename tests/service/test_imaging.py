"""service.imaging: every kind of picture becomes upright sRGB, hostile ones are refused before they cost anything."""

import contextlib
import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from service.errors import EmptyBody, ImageTypeMismatch, LikenessError, MalformedImage, TooManyPixels, UnsupportedImage
from service.imaging import Format, decode, encode
from service.marking import Source

LIMIT = 40_000_000


def saved(picture: Image.Image, format: str, **options: object) -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.fixture(name="picture")
def picture_(photo: bytes) -> Image.Image:
    """A photo, decoded by Pillow."""
    return Image.open(io.BytesIO(photo)).convert("RGB")


def far(left: np.ndarray, right: Image.Image | np.ndarray) -> float:
    """Mean difference in levels."""
    return float(np.abs(left.astype(int) - np.asarray(right).astype(int)).mean())


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_format_is_read(picture: Image.Image, format: str) -> None:
    """JPEG, PNG, WebP, GIF, BMP and TIFF give the same picture, up to their own losses."""
    pixels = decode(saved(picture, format), None, LIMIT)
    assert pixels.dtype == np.uint8 and pixels.shape == (256, 256, 3)
    assert far(pixels, picture) < 6


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright(picture: Image.Image, orientation: int, format: str) -> None:
    """However a camera stored it, the picture comes out the right way up."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = picture.crop((0, 0, 256, 200))
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decode(saved(stored, format, exif=exif, lossless=True), None, LIMIT)
    np.testing.assert_array_equal(pixels, np.asarray(upright))


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK"])
def test_grey_palette_and_cmyk_become_rgb(picture: Image.Image, mode: str) -> None:
    """Pictures of other colour models look the same in RGB."""
    converted = picture.convert(mode)
    pixels = decode(saved(converted, "TIFF"), None, LIMIT)
    assert far(pixels, converted.convert("RGB")) <= 1


def test_a_cmyk_jpeg_keeps_its_colours(picture: Image.Image) -> None:
    """CMYK JPEGs, which Adobe stores inverted, do not come out as negatives."""
    assert far(decode(saved(picture.convert("CMYK"), "JPEG"), None, LIMIT), picture) < 10


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bits_become_eight(picture: Image.Image, format: str) -> None:
    """16-bit grey keeps its upper byte."""
    grey = np.asarray(picture.convert("L"))
    deep = Image.fromarray((grey.astype(np.uint16) << 8) + 77)
    pixels = decode(saved(deep, format), None, LIMIT)
    np.testing.assert_array_equal(pixels, np.repeat(grey[..., None], 3, axis=2))


def test_sixteen_bit_colour_is_read() -> None:
    """A PNG with 16 bits per colour channel is read too."""
    row = b"\0" + struct.pack(">6H", 0xFFFF, 0, 0, 0, 0x8000, 0)
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    file = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(row)), (b"IEND", b"")):
        file += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    assert decode(file, None, LIMIT).tolist() == [[[255, 0, 0], [0, 128, 0]]]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_lies_over_white(mode: str) -> None:
    """What is transparent is white, what is opaque is itself."""
    picture = Image.new("RGBA", (4, 2), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 2, 2))
    pixels = decode(saved(picture.convert(mode), "PNG"), None, LIMIT)
    assert pixels[0, 0].tolist() == [0, 0, 0] and pixels[0, 3].tolist() == [255, 255, 255]


def test_the_first_frame_of_an_animation_is_used() -> None:
    """Of an animated GIF or WebP the first frame counts."""
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for format in ("GIF", "WEBP"):
        file = saved(frames[0], format, save_all=True, append_images=frames[1:], lossless=True)
        assert decode(file, None, LIMIT)[0, 0].tolist() == [255, 0, 0] or format == "WEBP"
        assert decode(file, None, LIMIT)[0, 0, 0] > 240


def test_colours_go_through_the_icc_profile() -> None:
    """A picture in another colour space is converted; a broken profile is ignored."""
    picture = Image.new("RGB", (4, 4), (220, 30, 90))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"____").replace(b"gXYZ", b"rXYZ").replace(b"____", b"gXYZ")
    for profile, expected in ((srgb, [220, 30, 90]), (swapped, [30, 220, 90]), (b"junk" * 50, [220, 30, 90])):
        pixels = decode(saved(picture, "PNG", icc_profile=profile), None, LIMIT)
        assert np.abs(pixels[0, 0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_truncated_files_are_refused(picture: Image.Image, format: str, share: float) -> None:
    """A file that ends too early is malformed, wherever it was cut."""
    file = saved(picture, format)
    with pytest.raises(MalformedImage):
        decode(file[: max(20, int(share * len(file)))], None, LIMIT)


@pytest.mark.parametrize(
    "content", [b"hello", b"<svg/>", b"%PDF-1.7", b"\0" * 100, b"RIFF1234WAVEfmt ", b"P6 1 1 255\nabc"]
)
def test_what_is_no_supported_picture_is_refused(content: bytes) -> None:
    """Text, PDF, sound or formats off the list are unsupported."""
    with pytest.raises(UnsupportedImage):
        decode(content, None, LIMIT)


def test_no_bytes_are_refused() -> None:
    """Nothing is not a picture."""
    with pytest.raises(EmptyBody):
        decode(b"", None, LIMIT)


def test_a_wrong_declaration_is_refused(photo: bytes) -> None:
    """A JPEG that is declared as PNG is a mismatch; other names of JPEG, or none, are fine."""
    with pytest.raises(ImageTypeMismatch):
        decode(photo, "image/png", LIMIT)
    for media_type in ("image/jpeg", "image/jpg", "image/*", "application/octet-stream", None):
        decode(photo, media_type, LIMIT)


def bomb(side: int) -> bytes:
    """A PNG of side x side black pixels in a few kilobytes."""
    return saved(Image.new("1", (side, side)), "PNG")


@pytest.mark.parametrize("side", [6400, 10_000, 16_000])
def test_a_pixel_bomb_is_refused_from_its_header(side: int) -> None:
    """More pixels than the limit are refused without being decoded, above Pillow's own limits too."""
    file = bomb(side)
    tracemalloc.start()
    try:
        with pytest.raises(TooManyPixels):
            decode(file, None, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_random_damage_is_always_a_domain_error(photo: bytes, picture: Image.Image) -> None:
    """Whatever bytes are changed, the file is either read or refused by one of our own errors."""
    rng = np.random.default_rng(0)
    for file in (photo, *(saved(picture, format) for format in ("PNG", "WEBP", "GIF", "TIFF"))):
        for _ in range(40):
            damaged = bytearray(file)
            for place in rng.integers(0, min(len(file), 2000), 6):
                damaged[place] = rng.integers(0, 256)
            with contextlib.suppress(LikenessError):
                decode(bytes(damaged), None, LIMIT)


@pytest.mark.parametrize("format", list(Format))
@pytest.mark.parametrize("source", list(Source))
def test_answers_carry_the_mark_and_nothing_else(picture: Image.Image, format: Format, source: Source) -> None:
    """Every format embeds the XMP mark, no EXIF, profile, comment or text, and keeps the pixels."""
    file = encode(np.asarray(picture), format, 95, source)
    answer = Image.open(io.BytesIO(file))
    assert answer.format == format.name and far(np.asarray(answer.convert("RGB")), picture) < 4
    xmp = answer.info["xmp"]
    assert str(source).encode() in (xmp if isinstance(xmp, bytes) else xmp.encode())
    assert b"AI-generated" in file
    assert not answer.getexif() and "icc_profile" not in answer.info and "comment" not in answer.info


def test_encoding_is_deterministic(picture: Image.Image) -> None:
    """The same pixels give the same bytes."""
    for format in Format:
        files = {encode(np.asarray(picture), format, 90, Source.DRAWN) for _ in range(2)}
        assert len(files) == 1


def test_input_metadata_does_not_reach_the_pixels_file(picture: Image.Image) -> None:
    """EXIF, comments and text of the upload appear nowhere in the answer."""
    exif = Image.Exif()
    exif[0x010E] = "secret-place"
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "secret-name")
    for file in (saved(picture, "PNG", exif=exif, pnginfo=text), saved(picture, "JPEG", exif=exif, comment=b"secret")):
        for format in Format:
            assert b"secret" not in encode(decode(file, None, LIMIT), format, 90, Source.DRAWN)
