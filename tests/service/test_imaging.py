"""service.imaging: answers carry their pixels, the mark and nothing else."""

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from service.imaging import Format, encode
from service.marking import Source
from service.photo import Photo

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
            assert b"secret" not in encode(Photo(file, None, LIMIT).full(), format, 90, Source.DRAWN)
