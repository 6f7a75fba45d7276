"""training.data.views: rows of a pack as a network sees them."""

from pathlib import Path

import numpy as np

from training.data.pack import Example, Pack, write
from training.data.views import Views


def test_a_view_has_the_columns_but_no_points(tmp_path: Path) -> None:
    """Points are places in the packed picture; in a part of it, resized and mirrored, they would be wrong."""
    numbers = {"points": np.zeros((5, 2), np.float32), "male": np.float32(1)}
    write(tmp_path / "x.pack", [Example(np.zeros((32, 32, 3), np.uint8), {"domain": "photo"}, numbers)])
    row = Views(Pack(tmp_path / "x.pack"), 16).row(0, np.random.default_rng(0))
    assert row.keys() == {"image", "domain", "male"} and row["image"].shape == (16, 16, 3) and row["male"] == 1
