"""training.data.rejection: six rules, each with its reason."""

import numpy as np
import pytest

from export.alignment import Template
from training.data import rejection
from training.data.points import five
from training.data.rejection import reasons

# An orderly face in SATNet's frame of 200 x 232.
FACE = np.array(
    [
        *[(100, 20), (20, 110), (100, 220), (180, 110)],
        *[(40, 80), (80, 78), (120, 78), (160, 80)],
        *[(50, 105), (78, 105), (122, 105), (150, 105)],
        *[(100, 148), (100, 175), (71, 188), (100, 200), (130, 188)],
    ],
    float,
)
FRAME = Template(200, 232, tuple(map(tuple, five(FACE))))


def moved(index: int, x: float, y: float) -> np.ndarray:
    """The face with one point elsewhere."""
    face = FACE.copy()
    face[index] = x, y
    return face


def test_an_orderly_face_is_kept() -> None:
    """With 17 points and with five."""
    assert reasons(FACE, FRAME) == [] and reasons(five(FACE), FRAME) == []


@pytest.mark.parametrize(
    ("face", "reason"),
    [
        (moved(rejection.CHIN, 100, 100), "ends of the face"),
        (moved(5, 30, 78), "left to right"),
        (moved(9, 130, 105), "left to right"),
        (moved(rejection.MOUTH_LEFT, 105, 188), "nose and mouth"),
        (moved(rejection.NOSE, 100, 190), "nose and mouth"),
        (moved(rejection.EAR_LEFT, 75, 110), "between the ears"),
        (moved(4, 40, 110), "top to bottom"),
        (FACE + (60, 0), "far from its place"),
        (FACE + (0, 120), "far from its place"),
    ],
)
def test_each_rule_has_its_reason(face: np.ndarray, reason: str) -> None:
    """What is wrong is said."""
    assert any(reason in each for each in reasons(face, FRAME))


def test_the_tolerance_is_a_share_of_the_picture() -> None:
    """A point may be away by the radius of a circle that has that share of the area."""
    radius = np.sqrt(0.10 * 200 * 232 / np.pi)
    for distance, kept in ((0.99 * radius, True), (1.01 * radius, False)):
        points = five(FACE).copy()
        points[2, 0] += distance
        assert (not reasons(points, FRAME, tolerance=0.10)) is kept
