"""training.data.drawn: what a translator makes of photos that may be learnt from."""

from pathlib import Path

import numpy as np
import pytest

from training.data.drawn import STRENGTHS, drawings, main, request
from training.data.errors import DataError
from training.data.pack import Pack
from training.data.recognition import FRAME, TEST, TRAIN, Faces, realigned
from training.exported import Exported


@pytest.fixture(name="faces")
def faces_() -> Faces:
    """Three grey faces, of which the last is set aside."""
    levels = np.array([100, 150, 200], np.uint8)[:, None, None, None]
    crops = np.broadcast_to(levels, (3, FRAME.height, FRAME.width, 3)).copy()
    points = np.broadcast_to(np.float32(FRAME.points), (3, 5, 2))
    descriptors = np.arange(3 * 128, dtype=np.float32).reshape(3, 128)
    splits = np.array([TRAIN, TRAIN, TEST])
    return Faces(crops, points, descriptors, np.array(["a", "b", "c"]), splits, np.full(3, "toys (CC0)"))


def test_a_drawing_is_all_that_its_photo_is(faces: Faces, models: Path) -> None:
    """But for the pixels, which are the translator's."""
    drawn = drawings(Exported(models / "caricature" / "1"), faces)
    assert np.array_equal(drawn.descriptors, faces.descriptors) and np.array_equal(drawn.persons, faces.persons)
    assert drawn.crops.shape == faces.crops.shape and (drawn.crops != faces.crops).any((1, 2, 3)).all()
    with pytest.raises(DataError, match="sphereface/1 draws no faces"):
        drawings(Exported(models / "sphereface" / "1"), faces)


def test_features_stay_where_the_frame_has_them(faces: Faces, models: Path) -> None:
    """There and back, a spot on an eye is on that eye."""
    template = Exported(models / "caricature" / "1").contract.template
    assert template is not None
    x, y = map(round, FRAME.points[0])
    face = faces.crops[0]
    face[y - 2 : y + 3, x - 2 : x + 3] = 255
    back = realigned(realigned(face, FRAME, template), template, FRAME)
    found = np.argwhere(back[..., 0] > 200).mean(0)
    assert np.abs(found - (y, x)).max() < 1


def test_drawings_are_asked_for_in_all_ways(models: Path) -> None:
    """At strengths of the range; in the named looks, and in others."""
    contract = Exported(models / "caricature" / "1").contract
    rng = np.random.default_rng(0)
    asked = [request(contract, rng) for _ in range(200)]
    strengths = [each["strength"] for each in asked]
    assert min(strengths) >= STRENGTHS[0] and max(strengths) <= STRENGTHS[1] and np.ptp(strengths) > 1
    named = [each["style"] in contract.styles.values() for each in asked]
    assert 60 < sum(named) < 140
    for each in asked:
        contract.values(each)


def test_nobody_who_is_set_aside_is_drawn(faces: Faces, models: Path, tmp_path: Path) -> None:
    """The pack has all faces, and a drawing of each that may be learnt from."""
    faces.save(tmp_path / "faces.pack", "teacher")
    main(tmp_path / "faces.pack", models / "caricature" / "1", tmp_path / "more.pack")
    more = Faces.of(Pack(tmp_path / "more.pack"))
    assert [*more.persons] == ["a", "b", "c", "a", "b"] and [*more.splits] == [TRAIN, TRAIN, TEST, TRAIN, TRAIN]
