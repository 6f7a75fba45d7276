"""training.evaluation.restoration: who is chosen, and what counts as recognised."""

from pathlib import Path

import numpy as np
import pytest

from export.alignment import SQUARE_256
from training.data.errors import DataError
from training.data.recognition import Photo
from training.evaluation.restoration import DRAWN, People, recognised

ASSETS = Path(__file__).parents[1] / "assets"


def photos(person: str, count: int) -> list[Photo]:
    """Always the same picture."""
    points = np.array(SQUARE_256.points)
    return [Photo(ASSETS / "person1-neutral.jpg", person, points, "test", "toys") for _ in range(count)]


def test_people_have_one_photo_more_than_are_drawn() -> None:
    """Few of each, in the template's frame; whoever has a single one is left out, and somebody must be left."""
    people = People.of([*photos("ann", 9), *photos("bo", 1), *photos("cy", 2)], SQUARE_256)
    assert people.persons.tolist() == [0] * DRAWN + [1]
    assert len(people.photos) == DRAWN + 1 and len(people.known) == 2
    assert all(each.shape == (256, 256, 3) for each in people.photos)
    with pytest.raises(DataError, match="nobody with two photos"):
        People.of(photos("bo", 1), SQUARE_256)


def test_a_face_that_is_not_found_is_not_recognised() -> None:
    """Nearest to the own photo: yes; to another person's: no; no face: neither, though the first photo is its own."""
    known = np.eye(3, 128, dtype=np.float32)
    seen = np.stack([known[0], known[1] + 0.1, known[2], np.full(128, np.nan, np.float32)])
    found = recognised(seen, np.array([0, 1, 1, 0]), known)
    assert (found["detected"].value, found["rank-1"].value) == (0.75, 0.5)
