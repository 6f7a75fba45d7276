"""training.data.views: what a network sees of a picture, at random in training and the same ever after."""

from pathlib import Path

import numpy as np
import pytest

from training.data.crops import TEMPLATES, part
from training.data.pack import Example, Pack, write
from training.data.views import Views

SATNET = TEMPLATES["satnet"]


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """One picture of SATNet's frame: brightness is the column, in a green that is the row."""
    path = tmp_path_factory.mktemp("data") / "one.pack"
    image = np.zeros((SATNET.height, SATNET.width, 3), np.uint8)
    image[..., 0], image[..., 1] = np.arange(SATNET.width), np.arange(SATNET.height)[:, None]
    write(path, [Example(image)], quality=100)
    return Pack(path)


def corner(image: np.ndarray) -> tuple[int, int]:
    """Left and top of the part that is seen, if it is not mirrored, to a pixel."""
    return round(float(image[10, 20, 0]) - 20), round(float(image[10, 20, 1]) - 10)


def test_parts_need_not_be_squares(pack: Pack) -> None:
    """SATNet's: 224 x 192 pixels of 232 x 200, wherever these fit, every other one mirrored."""
    views = Views(pack, 192, 224, margin=8 / 192)
    seen = [views.row(0, np.random.default_rng(seed))["image"] for seed in range(40)]
    assert all(image.shape == (224, 192, 3) for image in seen)
    plain = [image for image in seen if image[0, 0, 0] < image[0, -1, 0]]
    assert 8 < len(plain) < 32
    lefts, tops = zip(*map(corner, plain), strict=True)
    assert min(lefts) >= -1 and max(lefts) <= 9 and min(tops) >= -1 and max(tops) <= 9
    assert len(set(lefts)) > 4 and len(set(tops)) > 4


def test_what_is_not_varied_is_the_middle(pack: Pack) -> None:
    """The same whatever the random numbers, as the frame says that is in use; pixel by pixel where nothing is resized.

    SATNet cut at random in use too, so that no photo was drawn twice in one way.
    """
    views = Views(pack, 192, 224, margin=8 / 192, varied=False)
    first, second = (views.row(0, np.random.default_rng(seed))["image"] for seed in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(first, pack.image(0)[4:-4, 4:-4])
    moved = np.array(SATNET.points) - np.array(part(SATNET, 192, 224, 8).points)
    assert np.allclose(moved, 4)


def test_a_view_has_the_columns_but_no_points(tmp_path: Path) -> None:
    """Points are places in the packed picture; in a part of it, resized and mirrored, they would be wrong."""
    numbers = {"points": np.zeros((5, 2), np.float32), "male": np.float32(1)}
    write(tmp_path / "x.pack", [Example(np.zeros((32, 32, 3), np.uint8), {"domain": "photo"}, numbers)])
    row = Views(Pack(tmp_path / "x.pack"), 16).row(0, np.random.default_rng(0))
    assert row.keys() == {"image", "domain", "male"} and row["image"].shape == (16, 16, 3) and row["male"] == 1
