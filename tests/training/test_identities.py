"""training.data.identities: who is who in a pack, and views of them."""

from pathlib import Path

import numpy as np
import pytest

from training.data.errors import DataError
from training.data.identities import UNKNOWN, Identities, Views
from training.data.pack import Example, Pack, write
from training.data.recognition import FRAME

FACE = np.random.default_rng(0).integers(0, 256, (FRAME.height // 8, FRAME.width // 8, 3), dtype=np.uint8)


def packed(path: Path, persons: list[str], splits: str = "", **numbers: np.ndarray) -> Path:
    """Faces of the frame's size; splits by their first letters."""
    image = np.kron(FACE, np.ones((8, 8, 1), np.uint8))
    names = {"r": "train", "e": "test"}
    write(
        path,
        [
            Example(
                image,
                {"person": person, **({"split": names[splits[row]]} if splits else {})},
                {name: values[row] for name, values in numbers.items()},
            )
            for row, person in enumerate(persons)
        ],
    )
    return path


def row(path: Path, views: Views = Views(), index: int = 0, seed: int = 0) -> np.ndarray:  # noqa: B008 - it is frozen
    return Identities(Pack(path), views).row(index, np.random.default_rng(seed))["image"]


def test_labels_are_people_who_may_be_learnt_from(tmp_path: Path) -> None:
    """Counted from 0 among them alone; a face without a name has none."""
    path = packed(tmp_path / "x.pack", ["ann", "bob", "cy", "", "cy", "dee"], "rerrrr")
    faces = Identities(Pack(path), Views())
    labels = [faces.row(index, np.random.default_rng(0))["label"] for index in range(len(faces))]
    assert faces.people == ["ann", "cy", "dee"] and labels == [0, 1, UNKNOWN, 1, 2]


def test_descriptors_are_less_their_mean(tmp_path: Path) -> None:
    """Of those that are learnt from."""
    path = packed(tmp_path / "x.pack", ["a", "b", "b"], "rre", descriptor=np.array([[1, 2], [3, 6], [50, 50]], "f4"))
    faces = Identities(Pack(path), Views())
    rows = [faces.row(index, np.random.default_rng(0))["descriptor"] for index in range(2)]
    assert faces.descriptor == 2 and np.array_equal(rows, [[-1, -2], [1, 2]])


@pytest.mark.parametrize(
    "persons, complaint", [(["ann", "ann"], "one person only"), (["", ""], "neither `person` nor `descriptor`")]
)
def test_nothing_to_learn_from_is_said(tmp_path: Path, persons: list[str], complaint: str) -> None:
    """With the file."""
    with pytest.raises(DataError, match=rf"x\.pack: .*{complaint}"):
        Identities(Pack(packed(tmp_path / "x.pack", persons)), Views())


def test_each_augmentation_can_be_switched_off(tmp_path: Path) -> None:
    """With none but light and camera, views of one seed and place differ by what is switched on alone."""
    path = packed(tmp_path / "x.pack", ["a", "b"])
    plain = Views(jitter=0, mirrored=False)
    still = row(path, plain, seed=3)
    assert np.array_equal(still, row(path, plain, seed=3))
    for other in (Views(jitter=1, mirrored=False), Views(jitter=0, mirrored=False, turned=1)):
        assert not np.array_equal(still, row(path, other, seed=3))
    flips = [not np.array_equal(row(path, Views(jitter=0), seed=s), row(path, plain, seed=s)) for s in range(30)]
    assert 5 < sum(flips) < 25


def test_only_people_of_few_photos_are_turned(tmp_path: Path) -> None:
    """Of the others there are poses enough; a face without a name may have many."""
    path = packed(tmp_path / "x.pack", ["a", "b", "b", ""])
    plain, some = Views(jitter=0), Views(jitter=0, turned=1, few=1)
    changed = [not np.array_equal(row(path, plain, index), row(path, some, index)) for index in range(4)]
    assert changed == [True, False, False, False]


def test_a_picture_of_another_size_needs_points(tmp_path: Path) -> None:
    """It is cut by them; without any it is refused by its number and size."""
    large = np.kron(FACE, np.ones((20, 20, 1), np.uint8))
    points = np.array(FRAME.points, np.float32) * 2.5
    people = [{"person": "a"}, {"person": "b"}]
    write(tmp_path / "x.pack", [Example(large, each, {"points": points}) for each in people])
    assert row(tmp_path / "x.pack").shape == (112, 96, 3)
    write(tmp_path / "x.pack", [Example(large, each) for each in people])
    with pytest.raises(DataError, match="picture 0 is 320 x 360 and has no points"):
        row(tmp_path / "x.pack")
