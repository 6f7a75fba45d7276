"""training.data.pose: a photo as if the head had turned."""

import cv2
import numpy as np
import pytest

from training.data.pose import LIMIT, Head, turned
from training.data.recognition import FRAME

POINTS = np.array(FRAME.points)
SYMMETRIC = (POINTS + (np.array([FRAME.width - 1, 0]) + (-1, 1) * POINTS)[[1, 0, 2, 4, 3]]) / 2


def crop():
    """Smooth and colourful."""
    y, x = np.mgrid[: FRAME.height, : FRAME.width]
    return np.stack([x * 1.8, y * 1.6, 120 + 60 * np.sin(x / 7) * np.cos(y / 9)], axis=2).astype(np.uint8)


def test_no_turn_is_no_change():
    """Level by level."""
    assert np.abs(turned(crop(), POINTS, 0.0).astype(int) - crop()).max() <= 1


@pytest.mark.parametrize("degrees", [-LIMIT, -10, 10, LIMIT])
def test_there_and_back_is_where_it_was(degrees):
    """At every pixel, so that nothing folds."""
    head = Head(SYMMETRIC, np.radians(degrees))
    grid = np.stack(np.meshgrid(np.arange(FRAME.width), np.arange(FRAME.height)), -1).reshape(-1, 2).astype(float)
    assert np.abs(head.forth(head.back(grid)) - grid).max() < 0.1
    rows = head.back(grid)[:, 0].reshape(FRAME.height, FRAME.width)
    assert (np.diff(rows, axis=1) > 0).all()


@pytest.mark.parametrize("degrees", [-20, 20])
def test_the_nose_goes_where_the_head_turns(degrees):
    """Farther than the eyes, which come nearer to each other; nothing moves up or down."""
    left, right, nose, *_ = moved = Head(SYMMETRIC, np.radians(degrees)).forth(SYMMETRIC)
    middle = (left[0] + right[0]) / 2
    assert (nose[0] - middle) * degrees > 0 and abs(nose[0] - middle) > 2
    assert right[0] - left[0] < SYMMETRIC[1, 0] - SYMMETRIC[0, 0]
    assert np.allclose(moved[:, 1], SYMMETRIC[:, 1])


def test_a_dot_is_found_where_its_point_went():
    """The picture moves as the points do, and the turned face is aligned again."""
    from export.alignment import apply, similarity

    nose = SYMMETRIC[2]
    image = np.zeros((FRAME.height, FRAME.width, 3), np.uint8)
    cv2.circle(image, tuple(np.rint(nose).astype(int)), 3, (255, 255, 255), -1)
    head = Head(SYMMETRIC, np.radians(15))
    places = head.forth(SYMMETRIC)
    expected = apply(similarity(places, SYMMETRIC), places)[2]
    y, x = np.nonzero(turned(image, SYMMETRIC, 15)[..., 0] > 100)
    assert np.hypot(x.mean() - expected[0], y.mean() - expected[1]) < 1


def test_a_mirrored_face_turns_the_other_way():
    """Turning the mirrored picture back is mirroring the turned one."""
    mirrored = np.ascontiguousarray(crop()[:, ::-1])
    one, other = turned(crop(), SYMMETRIC, 18), turned(mirrored, SYMMETRIC, -18)[:, ::-1]
    assert np.abs(one.astype(int) - other).max() <= 2


def test_five_points_of_68_do_as_well():
    """Whatever landmarks there are."""
    many = np.zeros((68, 2))
    for where, point in zip((range(36, 42), range(42, 48), (30,), (48,), (54,)), SYMMETRIC, strict=True):
        many[list(where)] = point
    assert np.array_equal(turned(crop(), many, 12), turned(crop(), SYMMETRIC, 12))


def test_a_profile_is_not_to_be_had():
    """Beyond the limit a relief would have to show what the photo does not."""
    with pytest.raises(ValueError, match="40 degrees"):
        turned(crop(), POINTS, 40)
