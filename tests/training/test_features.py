"""training.metrics.features: what a network is shown, and what its figures are called."""

from pathlib import Path

import numpy as np
import pytest
import torch

from export.alignment import SQUARE_256, Template
from training.data.errors import DataError
from training.metrics.features import CHIP, Dlib, Encoder, Inception, described, framed, labelled


def dotted(template: Template, factor: int) -> np.ndarray:
    """A black picture of a template's frame at `factor` times its size, white around the eyes."""
    image = np.zeros((template.height * factor, template.width * factor, 3), np.uint8)
    y, x = np.mgrid[: len(image), : image.shape[1]]
    for point in template.points[:2]:
        at = (np.array(point) + 0.5) * factor - 0.5
        image[(x - at[0]) ** 2 + (y - at[1]) ** 2 < (6 * factor) ** 2] = 255
    return image


@pytest.mark.parametrize("factor", [1, 2])
def test_the_eyes_are_where_the_network_expects_them(factor: int) -> None:
    """From a picture of the frame at any size."""
    chip = framed(dotted(SQUARE_256, factor), SQUARE_256, CHIP)
    assert chip.shape == (150, 150, 3)
    for side, (x, y) in zip((slice(75), slice(75, None)), CHIP.points, strict=True):
        rows, columns = np.nonzero(chip[:, side, 0] > 127)
        assert columns.mean() + (side.start or 0) == pytest.approx(x, abs=0.5)
        assert rows.mean() == pytest.approx(y, abs=0.5)


def test_of_an_unknown_frame_the_middle_is_shown() -> None:
    """As large as it goes: of a wide picture its sides are left out, of one of the right shape nothing."""
    wide = np.zeros((75, 200, 3), np.uint8)
    wide[:, 62:138] = 255
    assert framed(wide, None, CHIP).min() == 255
    whole = np.random.default_rng(0).integers(0, 256, (150, 150, 3), np.uint8)
    assert np.array_equal(framed(whole, None, CHIP), whole)


def test_figures_carry_their_networks_name() -> None:
    """But those of Inception with the weights of 2015, which are what the papers report."""
    network = Encoder("sphereface/1", lambda crops: np.full((len(crops), 4), 0.5, np.float32))
    assert labelled("kid", network) == "kid@sphereface/1"
    network.name = ""
    assert labelled("kid", network) == "kid"


def test_features_are_of_a_size_that_the_kernel_expects() -> None:
    """Unit rows become 1 in square on average, for any number of pictures."""
    network = Encoder("toy", lambda crops: np.full((len(crops), 4), 0.5, np.float32))
    found = described((np.zeros((20, 20, 3), np.uint8) for _ in range(70)), network, None)
    assert found.shape == (70, 4) and np.allclose((found**2).mean(1), 1)


def test_dlib_describes_what_it_is_shown() -> None:
    """The same picture by the same numbers, 128 of them."""
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    found = described([image, image], Dlib(), None)
    assert found.shape == (2, 128) and np.array_equal(found[0], found[1])


def test_what_is_no_inception_is_refused(tmp_path: Path) -> None:
    """A file of something else, or of nothing, by its name."""
    torch.save({"layer": torch.zeros(1)}, tmp_path / "other.pth")
    (tmp_path / "broken.pth").write_bytes(b"not a file of torch")
    (tmp_path / "broken.safetensors").write_bytes(b"")
    for name in ("other.pth", "broken.pth", "broken.safetensors", "missing.pth"):
        with pytest.raises(DataError, match=name):
            Inception(tmp_path / name)
