"""training.data.blends: faces between two that may be learnt from, with what dlib's recogniser says of their pixels."""

from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data import dlib_networks
from training.data.blends import BENT_PIXELS, SHARES, blend, chip, main
from training.data.pack import Pack
from training.data.pictures import read
from training.data.points import five
from training.data.portraits import Landmarker
from training.data.recognition import FRAME, TEST, TRAIN, Faces, Sight, Teacher, gather

ASSETS = Path(__file__).parents[1] / "assets"


def grey(*levels: int) -> np.ndarray:
    return np.stack([np.full((FRAME.height, FRAME.width, 3), level, np.uint8) for level in levels])


def test_a_blend_is_between_two_faces() -> None:
    """Of two greys it is a grey between them, by no more than the largest share of either; of one face, that colour."""
    rng = np.random.default_rng(0)
    made = [blend(*grey(40, 200), rng) for _ in range(50)]
    low, high = (200 - 160 * share for share in reversed(SHARES))
    assert all(len(np.unique(each)) == 1 for each in made)
    assert all(low - 1 <= each[0, 0, 0] <= high + 1 for each in made) and len({each[0, 0, 0] for each in made}) > 30
    assert (blend(*grey(90, 90), rng) == 90).all()


def test_a_blend_is_bent_a_little() -> None:
    """A dot moves, by no more than it may."""
    dot = np.zeros((FRAME.height, FRAME.width, 3), np.uint8)
    cv2.circle(dot, (64, 72), 3, (255, 255, 255), -1)
    far = []
    for seed in range(20):
        bent = blend(dot, dot, np.random.default_rng(seed))
        y, x = np.argwhere(bent[..., 0] > bent.max() // 2).mean(0)
        far.append(np.hypot(min(abs(x - 64), abs(x - 63)), y - 72))
    assert max(far) <= BENT_PIXELS + 1.5 and np.mean(far) > 0.5


@pytest.fixture(name="faces", scope="module")
def faces_() -> Faces:
    """Two people, the first twice; the second is set aside, but for a copy that is not."""
    pictures = [read(ASSETS / f"{name}.jpg") for name in ("person1-neutral", "person1-smiling", "person2-neutral")]
    points = [five(found) for picture in pictures if (found := Landmarker()(picture)) is not None]
    known = [("a", TRAIN), ("a", TRAIN), ("b", TEST)]
    sights = zip(pictures, points, known, strict=True)
    return gather(Sight(picture, five, person, split, "toys (CC0)") for picture, five, (person, split) in sights)


def test_it_looks_at_faces_in_the_frame_as_dlib_looks_at_photos(faces: Faces) -> None:
    """Everybody is nearest to what dlib says of the photo itself, and near."""
    seen = Teacher().describe([*map(chip, faces.crops)])
    distances = np.linalg.norm(seen[:, None] - faces.descriptors, axis=2)
    assert (distances.argmin(1) == np.arange(3)).all() and distances.diagonal().max() < 0.3
    assert distances[0, 2] > 0.6


def test_a_pack_gets_faces_of_nobody(faces: Faces, tmp_path: Path) -> None:
    """Beside all that it had: nameless, to be learnt from, each with what is said of it; one seed, one pack."""
    faces.save(tmp_path / "faces.pack", dlib_networks.recogniser_name())
    for name in ("more", "same"):
        main(tmp_path / "faces.pack", tmp_path / f"{name}.pack", count=5)
    more = Faces.of(Pack(tmp_path / "more.pack"))
    assert [*more.persons] == ["a", "a", "b", *[""] * 5] and [*more.splits] == [TRAIN, TRAIN, TEST, *[TRAIN] * 5]
    assert set(more.sources) == {"toys (CC0)"}
    np.testing.assert_array_equal(more.descriptors[:3], faces.descriptors)
    said = Teacher().describe([*map(chip, more.crops[3:])])
    np.testing.assert_allclose(more.descriptors[3:], said, atol=0.05)  # JPEG is between
    own, other = (np.linalg.norm(more.descriptors[3:] - each, axis=1) for each in faces.descriptors[[0, 2]])
    assert (own < other).all()
    again = Faces.of(Pack(tmp_path / "same.pack"))
    for each in fields(Faces):
        np.testing.assert_array_equal(getattr(again, each.name), getattr(more, each.name), each.name)
