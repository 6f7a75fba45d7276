"""training.metrics.lips: painted lips are found, redness elsewhere is not."""

import cv2
import numpy as np
import pytest

from training.metrics.lips import INNER, OUTER, lipstick_rate, reddened_rate, redness

SKIN = (205, 165, 145)


def face(points: np.ndarray, lips: tuple[int, int, int], skin: tuple[int, int, int] = SKIN) -> np.ndarray:
    """A face of one colour with lips of another."""
    image = np.full((256, 256, 3), skin, np.uint8)
    cv2.fillPoly(image, [np.rint(points[OUTER]).astype(np.int32)], lips)
    return image


def test_lips_like_the_skin_have_no_redness(mean_face: np.ndarray) -> None:
    """Whatever colour the skin has."""
    for skin in (SKIN, (90, 60, 50), (230, 120, 110)):
        assert redness(face(mean_face, skin, skin), mean_face) == pytest.approx(0, abs=1e-4)


def test_redness_is_a_difference_of_a_star(mean_face: np.ndarray) -> None:
    """Pure red has a* 80.1, grey 0."""
    found = redness(face(mean_face, (255, 0, 0), (128, 128, 128)), mean_face)
    assert found == pytest.approx(80.1, abs=1)


def test_an_open_mouth_is_no_lip(mean_face: np.ndarray) -> None:
    """What is between the lips does not count."""
    image = face(mean_face, (190, 80, 90))
    opened = image.copy()
    cv2.fillPoly(opened, [np.rint(mean_face[INNER]).astype(np.int32)], (40, 10, 10))
    assert redness(opened, mean_face) == pytest.approx(redness(image, mean_face), abs=1e-4)


def test_the_rate_is_5_percent_where_nothing_is_painted() -> None:
    """1 where all are redder than any photo."""
    photos = np.random.default_rng(0).standard_normal(2000)
    assert lipstick_rate(photos, photos).value == pytest.approx(0.05)
    assert lipstick_rate(photos, photos + 20).value == 1


def test_lips_are_reddened_beyond_the_tolerance_of_their_own_photo() -> None:
    """Red lips that were red are not, pale ones that became as red are."""
    photos = np.array([0.0, 20.0, 3.0, 3.0])
    assert reddened_rate(photos, np.array([20.0, 20.0, 7.1, 6.9])).value == 0.5
