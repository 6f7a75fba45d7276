"""training.data.portraits: photos of a table in the translator's frame, with what it says of them."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.training.conftest import ASSETS
from training.data.errors import DataError
from training.data.portraits import Portraits, labelled


@pytest.fixture(name="listed")
def listed_(tmp_path: Path) -> Path:
    """Two photos of one person, and a picture without a face."""
    photos = sorted(ASSETS.glob("person*.jpg"))[:2]
    cv2.imwrite(str(tmp_path / "grey.jpg"), np.full((256, 256, 3), 128, np.uint8))
    rows = [(photos[0], "ada", 1), (photos[1], "ada", -1), (tmp_path / "grey.jpg", "bob", 1)]
    with (tmp_path / "index.csv").open("w", newline="") as opened:
        csv.writer(opened).writerows([("file", "person", "gender"), *rows])
    return tmp_path / "index.csv"


def test_photos_come_with_what_their_table_says(listed: Path) -> None:
    """Those with a face, in its order; a set that does not say its terms is of its authors'."""
    found = labelled(listed)
    assert len(found) == 2 and found.images.shape == (2, 256, 256, 3) and found.landmarks.shape == (2, 68, 2)
    assert found.labels["person"].tolist() == ["ada", "ada"] and found.labels["gender"].tolist() == [1, -1]
    assert all(source.startswith(f"{listed.parent.name} (its authors' terms") for source in found.labels["source"])


def test_what_is_packed_is_read_again(listed: Path, tmp_path: Path) -> None:
    """Labels and all."""
    found = labelled(listed)
    found.save(tmp_path / "train.npz")
    again = Portraits.load(tmp_path / "train.npz")
    assert np.array_equal(again.images, found.images) and again.labels.keys() == found.labels.keys()
    assert all(np.array_equal(again.labels[name], values) for name, values in found.labels.items())


def test_what_is_no_table_is_named(tmp_path: Path) -> None:
    """Before a picture is opened."""
    with pytest.raises(DataError, match=r"none\.csv"):
        labelled(tmp_path / "none.csv")
