"""training.data.pictures: what is seen of a file."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from service.photo import Photo
from tests.training import sets
from training.data.errors import DataError
from training.data.pictures import middle, read, size, squared


def test_a_picture_is_upright_and_on_white(tmp_path: Path) -> None:
    """EXIF turns it, transparency shows white, grey and palettes become RGB."""
    turned = Pillow.Exif()
    turned[0x0112] = 6  # a quarter to the right
    Pillow.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / "turned.jpg", exif=turned)
    assert read(tmp_path / "turned.jpg").shape == (6, 4, 3)
    Pillow.fromarray(np.zeros((4, 6, 4), np.uint8)).save(tmp_path / "clear.png")
    assert (read(tmp_path / "clear.png") == 255).all()
    grey = Pillow.fromarray(np.full((4, 6), 9, np.uint8))
    grey.save(tmp_path / "grey.png")
    grey.convert("P").save(tmp_path / "palette.png")
    assert all((read(tmp_path / name) == 9).all() for name in ("grey.png", "palette.png"))
    assert size(tmp_path / "grey.png") == (6, 4)


def test_of_sixteen_bits_the_upper_ones_are_seen(tmp_path: Path) -> None:
    """As the service sees them, in either order of bytes; 32-bit numbers are refused by name."""
    ramp = np.arange(0, 1 << 16, 257, dtype=np.uint16).reshape(16, 16)
    for name, order in (("little.png", "<u2"), ("little.tif", "<u2"), ("big.tif", ">u2")):
        Pillow.fromarray(ramp.astype(order)).save(tmp_path / name)
        found = read(tmp_path / name)
        assert np.array_equal(found[..., 0].ravel(), np.arange(256)), name
        assert np.array_equal(found, Photo((tmp_path / name).read_bytes(), None, 10**6).full())
    Pillow.fromarray(ramp.astype(np.int32)).save(tmp_path / "deep.tif")
    with pytest.raises(DataError, match=r"deep\.tif cannot be read: pixels of the kind I are not supported"):
        read(tmp_path / "deep.tif")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Nothing there, no picture, half a picture: a decoder that fills in the rest would teach grey."""
    whole = sets.picture(tmp_path / "whole.jpg", size=(256, 256)).read_bytes()
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.jpg").write_text("no picture")
    for name, complaint in (("half", "truncated"), ("text", "it is no picture"), ("none", "No such file")):
        with pytest.raises(DataError, match=rf"{name}\.jpg cannot be read: .*{complaint}"):
            read(tmp_path / f"{name}.jpg")


def test_a_square_is_the_middle() -> None:
    """Of a wide and of a high picture."""
    wide = np.repeat(np.arange(60, dtype=np.uint8)[None, :, None], 3, 2).repeat(20, 0)
    assert squared(wide, 20)[0, :, 0].tolist() == list(range(20, 40))
    assert np.array_equal(squared(wide.transpose(1, 0, 2), 20)[:, 0], squared(wide, 20)[0])


def test_the_middle_has_the_proportions_that_are_asked_for() -> None:
    """As much of the picture as has them, at whichever size."""
    wide = np.repeat(np.arange(60, dtype=np.uint8)[None, :, None], 3, 2).repeat(20, 0)
    assert np.array_equal(middle(wide, 60, 20), wide)
    assert middle(wide, 40, 20)[0, :, 0].tolist() == list(range(10, 50))
    assert middle(wide, 10, 40).shape == (40, 10, 3)
