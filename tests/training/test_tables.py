"""training.data.tables: what is written is what is read."""

from pathlib import Path

import numpy as np
import pytest

from tests.training import sets
from training.data import tables
from training.data.errors import DataError
from training.data.sources import Picture, table


def test_a_table_gives_back_what_was_written(tmp_path: Path) -> None:
    """Pictures in `img` and elsewhere, with points and without, with some attributes and with none."""
    (tmp_path / "img").mkdir()
    points = np.arange(34.0).reshape(17, 2) / 4
    written = [
        Picture(tmp_path / "img" / "a, b.png", "photo", "Ada", points, {"smile": 0.5}, "train", source="toys (CC0)"),
        Picture(tmp_path / "far" / "b.png", "drawing", rejected="no face, and so on"),
    ]
    tables.write(tmp_path / "index.csv", written)
    for before, after in zip(written, table(tmp_path / "index.csv"), strict=True):
        assert {**vars(before), "points": None} == {**vars(after), "points": None}
        assert np.array_equal(before.points, after.points) if before.points is not None else after.points is None


def test_points_of_several_forms_become_five(tmp_path: Path) -> None:
    """What all of them have."""
    rows = [Picture(tmp_path / "a.png", points=sets.SEVENTEEN), Picture(tmp_path / "b.png", points=np.zeros((5, 2)))]
    tables.write(tmp_path / "index.csv", rows)
    first, _ = table(tmp_path / "index.csv")
    assert first.points is not None and first.points[2].tolist() == [100, 148] and len(first.points) == 5


def test_a_mark_changes_one_column(tmp_path: Path) -> None:
    """What nobody here knows stays: text, other columns, the order of lines."""
    listed = sets.table(tmp_path / "index.csv", ["file", "title"], [("b.png", "x"), ("a.png", "y")])
    tables.mark(listed, "split", ["test", "train"])
    tables.mark(listed, "split", ["train", "train"])
    assert listed.read_text().split() == ["file,title,split", "b.png,x,train", "a.png,y,train"]


def test_a_table_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file where the folder should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"index\.csv cannot be written"):
        tables.write(tmp_path / "file" / "index.csv", [Picture(tmp_path / "a.png")])
