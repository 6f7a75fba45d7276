"""service.photo: every kind of picture becomes upright sRGB, no finer than asked; hostile ones cost nobody anything."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from service.errors import EmptyBody, ImageTypeMismatch, MalformedImage, TooManyPixels, UnsupportedImage
from service.photo import MAX_SCANS, Photo

LIMIT = 40_000_000
TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def saved(picture: Image.Image, format: str, **options: object) -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def turned(upright: Image.Image, orientation: int, format: str, **options: object) -> bytes:
    """The picture as a camera stores it that says how to turn it upright."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright.transpose(TURNED[orientation]) if orientation > 1 else upright
    return saved(stored, format, exif=exif, **options)


def decoded(content: bytes) -> np.ndarray:
    """Every pixel."""
    return Photo(content, None, LIMIT).full()


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.fixture(name="picture")
def picture_(photo: bytes) -> Image.Image:
    """A photo, decoded by Pillow."""
    return Image.open(io.BytesIO(photo)).convert("RGB")


@pytest.fixture(name="large")
def large_(picture: Image.Image) -> Image.Image:
    """The photo enlarged, of an even and an odd width that eight does not divide."""
    return picture.resize((1604, 1203), Image.Resampling.BICUBIC)


def far(left: np.ndarray, right: Image.Image | np.ndarray) -> float:
    """Mean difference in levels."""
    return float(np.abs(left.astype(int) - np.asarray(right).astype(int)).mean())


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_format_is_read(picture: Image.Image, format: str) -> None:
    """JPEG, PNG, WebP, GIF, BMP and TIFF give the same picture, up to their own losses."""
    pixels = decoded(saved(picture, format))
    assert pixels.dtype == np.uint8 and pixels.shape == (256, 256, 3)
    assert far(pixels, picture) < 6


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright(picture: Image.Image, orientation: int, format: str) -> None:
    """However a camera stored it, the picture comes out the right way up."""
    upright = picture.crop((0, 0, 256, 200))
    photo = Photo(turned(upright, orientation, format, lossless=True), None, LIMIT)
    pixels = photo.full()
    assert photo.size == upright.size
    np.testing.assert_array_equal(pixels, np.asarray(upright))


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK"])
def test_grey_palette_and_cmyk_become_rgb(picture: Image.Image, mode: str) -> None:
    """Pictures of other colour models look the same in RGB."""
    converted = picture.convert(mode)
    pixels = decoded(saved(converted, "TIFF"))
    assert far(pixels, converted.convert("RGB")) <= 1


def test_a_cmyk_jpeg_keeps_its_colours(picture: Image.Image) -> None:
    """CMYK JPEGs, which Adobe stores inverted, do not come out as negatives."""
    assert far(decoded(saved(picture.convert("CMYK"), "JPEG")), picture) < 10


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bits_become_eight(picture: Image.Image, format: str) -> None:
    """16-bit grey keeps its upper byte."""
    grey = np.asarray(picture.convert("L"))
    deep = Image.fromarray((grey.astype(np.uint16) << 8) + 77)
    pixels = decoded(saved(deep, format))
    np.testing.assert_array_equal(pixels, np.repeat(grey[..., None], 3, axis=2))


def test_sixteen_bit_colour_is_read() -> None:
    """A PNG with 16 bits per colour channel is read too."""
    row = b"\0" + struct.pack(">6H", 0xFFFF, 0, 0, 0, 0x8000, 0)
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND")
    assert decoded(b"\x89PNG\r\n\x1a\n" + chunks).tolist() == [[[255, 0, 0], [0, 128, 0]]]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_lies_over_white(mode: str) -> None:
    """What is transparent is white, what is opaque is itself."""
    picture = Image.new("RGBA", (4, 2), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 2, 2))
    pixels = decoded(saved(picture.convert(mode), "PNG"))
    assert pixels[0, 0].tolist() == [0, 0, 0] and pixels[0, 3].tolist() == [255, 255, 255]


def test_the_first_frame_of_an_animation_is_used() -> None:
    """Of an animated GIF or WebP the first frame counts."""
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for format in ("GIF", "WEBP"):
        file = saved(frames[0], format, save_all=True, append_images=frames[1:], lossless=True)
        assert decoded(file)[0, 0].tolist() == [255, 0, 0] or format == "WEBP"
        assert decoded(file)[0, 0, 0] > 240


def test_colours_go_through_the_icc_profile() -> None:
    """A picture in another colour space is converted; a broken profile is ignored."""
    picture = Image.new("RGB", (4, 4), (220, 30, 90))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"____").replace(b"gXYZ", b"rXYZ").replace(b"____", b"gXYZ")
    for profile, expected in ((srgb, [220, 30, 90]), (swapped, [30, 220, 90]), (b"junk" * 50, [220, 30, 90])):
        pixels = decoded(saved(picture, "PNG", icc_profile=profile))
        assert np.abs(pixels[0, 0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_truncated_files_are_refused(picture: Image.Image, format: str, share: float) -> None:
    """A file that ends too early is malformed, wherever it was cut."""
    file = saved(picture, format)
    with pytest.raises(MalformedImage):
        decoded(file[: max(20, int(share * len(file)))])


@pytest.mark.parametrize(
    "content", [b"hello", b"<svg/>", b"%PDF-1.7", b"\0" * 100, b"RIFF1234WAVEfmt ", b"P6 1 1 255\nabc"]
)
def test_what_is_no_supported_picture_is_refused(content: bytes) -> None:
    """Text, PDF, sound or formats off the list are unsupported."""
    with pytest.raises(UnsupportedImage):
        decoded(content)


def test_no_bytes_are_refused() -> None:
    """Nothing is not a picture."""
    with pytest.raises(EmptyBody):
        decoded(b"")


def test_a_wrong_declaration_is_refused(photo: bytes) -> None:
    """A JPEG that is declared as PNG is a mismatch; other names of JPEG, or none, are fine."""
    with pytest.raises(ImageTypeMismatch):
        Photo(photo, "image/png", LIMIT)
    for media_type in ("image/jpeg", "image/jpg", "image/*", "application/octet-stream", None):
        Photo(photo, media_type, LIMIT)


@pytest.mark.parametrize("size", [(6400, 6400), (10_000, 10_000), (14_000, 14_000), (16_500, 10), (1, 40_000)])
def test_a_pixel_bomb_is_refused_from_its_header(size: tuple[int, int]) -> None:
    """Too many pixels, or too many on one side, are refused undecoded, above Pillow's own limits too."""
    file = saved(Image.new("1", size), "PNG")  # a few kilobytes
    tracemalloc.start()
    try:
        with pytest.raises(TooManyPixels):
            Photo(file, None, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("long_side", [1, 200, 201, 401, 802, 803, 1604, 5000])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_a_jpeg_is_decoded_no_finer_than_asked(large: Image.Image, long_side: int, options: dict[str, object]) -> None:
    """The decode has the pixels that were asked for, or all, and not twice as many, and shows the same picture."""
    photo = Photo(saved(large, "JPEG", quality=95, **options), None, LIMIT)
    pixels, scale = photo.pixels(long_side)
    assert scale in (1 / 8, 1 / 4, 1 / 2, 1) and photo.size == large.size
    assert pixels.shape[1] >= min(long_side, 1604) and (scale == 1 / 8 or scale == 1 or 1604 * scale / 2 < long_side)
    assert pixels.shape == (int(np.ceil(1203 * scale)), int(np.ceil(1604 * scale)), 3)
    assert far(pixels[:150, :200], large.reduce(round(1 / scale)).crop((0, 0, 200, 150))) < 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("long_side", [160, 320, 640, 1280])
def test_a_jpeg_is_upright_at_every_scale(picture: Image.Image, orientation: int, long_side: int) -> None:
    """EXIF is obeyed in the size, known from the header alone, and in every decode."""
    upright = picture.crop((0, 0, 256, 200)).resize((1280, 1000), Image.Resampling.BICUBIC)
    photo = Photo(turned(upright, orientation, "JPEG", quality=95), None, LIMIT)
    assert photo.size == (1280, 1000)
    pixels, scale = photo.pixels(long_side)
    assert scale == long_side / 1280
    assert far(pixels, upright.reduce(round(1 / scale))) < 3


@pytest.mark.parametrize("long_side", [100, 200, 400, 800])
def test_points_scale_with_the_decode(long_side: int) -> None:
    """A point p of the whole picture stands at scale (p + 1/2) - 1/2 in a decode."""
    x, y = np.meshgrid(np.arange(800), np.arange(600))
    blob = 255 * np.exp(-((x - 500.5) ** 2 + (y - 300.25) ** 2) / (2 * 40**2))
    pixels, scale = Photo(saved(Image.fromarray(blob.astype(np.uint8)), "JPEG"), None, LIMIT).pixels(long_side)
    weights = pixels[..., 0].astype(float) * (pixels[..., 0] > 20)
    centre = [(weights.sum(axis).dot(np.arange(weights.shape[1 - axis]))) / weights.sum() for axis in (0, 1)]
    assert np.abs((np.array(centre) + 0.5) / scale - 0.5 - (500.5, 300.25)).max() < 0.5


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_jpegs_of_other_colour_models_are_scaled_too(large: Image.Image, mode: str) -> None:
    """Grey and CMYK JPEGs look the same at an eighth."""
    converted = large.convert(mode)
    pixels, scale = Photo(saved(converted, "JPEG", quality=95), None, LIMIT).pixels(200)
    assert scale == 1 / 8
    assert far(pixels[:150, :200], converted.convert("RGB").reduce(8).crop((0, 0, 200, 150))) < 4


def test_of_a_phones_pair_of_pictures_the_first_is_used(large: Image.Image) -> None:
    """An MPO file, several JPEGs in one, is read as its first, at every scale."""
    file = saved(large, "MPO", save_all=True, append_images=[Image.new("RGB", large.size, "red")])
    for long_side in (200, 1604):
        pixels, scale = Photo(file, "image/jpeg", LIMIT).pixels(long_side)
        assert far(pixels[:150, :200], large.reduce(round(1 / scale)).crop((0, 0, 200, 150))) < 5


def test_narrow_pictures_are_scaled_as_far_as_they_go() -> None:
    """A JPEG of a few pixels' height keeps all it needs to be decoded."""
    for height in range(1, 18):
        pixels, scale = Photo(saved(Image.new("L", (3000, height), 200), "JPEG"), None, LIMIT).pixels(100)
        assert pixels.shape[1] == np.ceil(3000 * scale) and pixels.shape[0] == np.ceil(height * scale)
        assert (pixels > 190).all()


def test_the_largest_decode_is_kept(large: Image.Image) -> None:
    """What is asked for again, or is smaller, comes out of the decode that is there; a larger one replaces it."""
    photo = Photo(saved(large, "JPEG"), None, LIMIT)
    quarter, _ = photo.pixels(400)
    assert photo.pixels(400)[0] is quarter and photo.pixels(10) == (quarter, 1 / 4)
    full = photo.full()
    assert full.shape == (1203, 1604, 3) and photo.pixels(10) == (full, 1)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_other_formats_are_decoded_whole(picture: Image.Image, format: str) -> None:
    """Only JPEG has scales."""
    photo = Photo(saved(picture, format), None, LIMIT)
    assert photo.decoded_bytes == 256 * 256 * 3 and photo.size == (256, 256)
    assert photo.pixels(10) == (photo.full(), 1)


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize(("width", "height"), [(40, 40), (30, 50), (50, 30)])
def test_the_middle_is_as_large_as_its_shape_allows(format: str, width: int, height: int) -> None:
    """A cross in the middle of a wide picture stays there, round what is round, and nothing beside it is seen."""
    scene = Image.new("RGB", (640, 320), (0, 0, 0))
    part = (round(320 * width / height), 320)
    scene.paste((200, 200, 200), ((640 - part[0]) // 2, 0, (640 + part[0]) // 2, 320))
    scene.paste((50, 50, 50), (280, 120, 360, 200))
    found = Photo(saved(scene, format, quality=100), None, LIMIT).middle(width, height)
    wanted = scene.crop(((640 - part[0]) // 2, 0, (640 + part[0]) // 2, 320)).resize(
        (width, height), Image.Resampling.BOX
    )
    assert found.shape == (height, width, 3)
    assert np.abs(found.astype(int) - np.asarray(wanted).astype(int)).mean() < 3


def test_the_header_is_enough_until_pixels_are_asked_for(large: Image.Image) -> None:
    """A file whose pixels are missing has a size and a weight; only a decode tells that it is broken."""
    photo = Photo(saved(large, "JPEG")[:1000], None, LIMIT)
    assert photo.size == (1604, 1203) and photo.decoded_bytes == 1604 * 1203 * 3
    with pytest.raises(MalformedImage):
        photo.pixels(100)


def test_exif_behind_the_pixels_of_a_png_counts(picture: Image.Image) -> None:
    """A PNG may say after its pixels how it is to be turned; its size knows."""
    file = saved(picture.crop((0, 0, 256, 200)), "PNG")
    sideways = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    photo = Photo(file[:-12] + chunk(b"eXIf", sideways) + file[-12:], None, LIMIT)
    assert photo.size == (200, 256) and photo.full().shape == (256, 200, 3)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
@pytest.mark.parametrize(
    "exif", [b"", b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"]
)
def test_a_photo_with_broken_exif_is_still_a_photo(large: Image.Image, exif: bytes) -> None:
    """EXIF that makes no sense turns nothing and refuses nothing."""
    photo = Photo(saved(large, "JPEG", exif=exif), None, LIMIT)
    assert photo.size == large.size and photo.pixels(200)[1] == 1 / 8


def test_srgb_by_another_name_changes_no_pixel(picture: Image.Image) -> None:
    """A profile that means sRGB gives the pixels of the same file without it."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain, tagged = saved(picture, "JPEG"), saved(picture, "JPEG", icc_profile=profile)
    np.testing.assert_array_equal(decoded(tagged), decoded(plain))


def scan(file: bytes) -> slice:
    """Where the last scan of a JPEG stands."""
    return slice(file.rindex(b"\xff\xda"), len(file) - 2)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_of_endless_scans_is_refused(large: Image.Image, progressive: bool) -> None:
    """Encoders write up to ten scans; thousands of a few bytes each cost minutes, and are refused from the markers."""
    file = saved(large, "JPEG", progressive=progressive)
    decoded(file)
    with pytest.raises(UnsupportedImage):
        Photo(file[:-2] + file[scan(file)] * MAX_SCANS + file[-2:], None, LIMIT)


def test_what_looks_like_scans_behind_a_jpeg_is_not_counted(large: Image.Image) -> None:
    """The clip that phones append to a photo, and a thumbnail in its header, are no scans of it."""
    file = saved(large, "JPEG", comment=b"\xff\xda" * 100)
    assert decoded(file + bytes(8) + b"\xff\xda\0\x02" * 1000).shape == (1203, 1604, 3)


def in_pieces(format: str, picture: Image.Image) -> bytes:
    """A small picture in a file that is otherwise two hundred thousand empty pieces."""
    file = saved(picture.resize((16, 16)).convert("L"), format)
    match format:
        case "JPEG":
            return file[:2] + b"\xff\xfe\0\x02" * 200_000 + file[2:]
        case "PNG":
            return file[:-12] + chunk(b"tEXt", b"a\0b") * 200_000 + file[-12:]
        case _:
            palette = 13 + 3 * 2 ** (file[10] % 8 + 1)
            return file[:palette] + b"\x21\xfe\x01a\0" * 200_000 + file[palette:]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF"])
def test_a_file_in_too_many_pieces_is_refused(picture: Image.Image, format: str) -> None:
    """Decoders take the pieces one by one in Python: millions of empty ones would hold the interpreter for seconds."""
    with pytest.raises(MalformedImage, match="pieces"):
        decoded(in_pieces(format, picture))


def test_a_tile_larger_than_the_limit_is_refused() -> None:
    """Of a TIFF a whole tile is decoded, however small the picture in it; it would take a gigabyte."""
    tags = [(256, 64), (257, 64), (258, 8), (259, 5), (262, 1), (277, 1), (322, 30_000), (323, 30_000)]
    tags += [(324, 8 + 2 + 12 * 10 + 4), (325, 100)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    file = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + b"\x80\x0b\x60\x50" * 25
    with pytest.raises(TooManyPixels, match="tiles"):
        Photo(file, None, LIMIT)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_of_no_known_range_are_refused(picture: Image.Image, mode: str) -> None:
    """Whole and broken numbers of 32 bits have no white."""
    with pytest.raises(UnsupportedImage):
        Photo(saved(picture.convert(mode), "TIFF"), None, LIMIT)
