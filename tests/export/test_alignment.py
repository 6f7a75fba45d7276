"""export.alignment: known similarities, crops without aliasing, and crops laid back where they came from."""

import cv2
import numpy as np
import pytest

from export.alignment import SPHEREFACE, SQUARE_256, DegeneratePoints, apply, cut, invert, paste, similarity

IDENTITY = np.array([[1.0, 0, 0], [0, 1.0, 0]])


def turned(points, degrees, scale, shift):
    """The points rotated, scaled and shifted."""
    angle = np.deg2rad(degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * np.asarray(points) @ rotation.T + shift


def smooth_picture(height=300, width=400):
    """A picture without fine detail."""
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def test_the_template_maps_onto_itself():
    """Points that already stand where the template wants them need no motion."""
    for template in (SPHEREFACE, SQUARE_256):
        np.testing.assert_allclose(similarity(template.points, template.points), IDENTITY, atol=1e-9)


@pytest.mark.parametrize("degrees", [-170, -90, -15, 0, 30, 90, 179])
def test_rotation_scale_and_shift_are_undone(degrees):
    """Any rotated, scaled and shifted copy of the template comes back to the template exactly."""
    points = turned(SPHEREFACE.points, degrees, 3.7, (250.0, -31.0))
    matrix = similarity(points, SPHEREFACE.points)
    np.testing.assert_allclose(apply(matrix, points), SPHEREFACE.points, atol=1e-9)


def test_a_mirrored_face_is_never_reflected():
    """The fit of mirrored points keeps a positive determinant, as Umeyama's solution without reflection does."""
    rng = np.random.default_rng(1)
    mirrored = np.asarray(SPHEREFACE.points) * (-1, 1) + rng.normal(0, 3, (5, 2))
    matrix = similarity(mirrored, SPHEREFACE.points)
    assert np.linalg.det(matrix[:, :2]) > 0


def test_the_fit_is_the_least_squares_one():
    """No small change of the fitted similarity brings noisy points nearer to the template."""
    rng = np.random.default_rng(2)
    points = turned(SPHEREFACE.points, 20, 2, (9, 9)) + rng.normal(0, 4, (5, 2))
    matrix = similarity(points, SPHEREFACE.points)
    best = np.sum((apply(matrix, points) - SPHEREFACE.points) ** 2)
    for a, b, x, y in 1e-3 * np.vstack([np.eye(4), -np.eye(4)]):
        other = matrix + np.array([[a, -b, x], [b, a, y]])
        assert np.sum((apply(other, points) - SPHEREFACE.points) ** 2) > best


@pytest.mark.parametrize("points", [[(5, 5)] * 5, [(np.nan, 1)] * 5, [(0, 0), (1, 1)]])
def test_points_without_extent_are_refused(points):
    """Coincident, missing or non-finite points raise DegeneratePoints."""
    with pytest.raises(DegeneratePoints):
        similarity(points, SPHEREFACE.points)


def test_the_square_frame_shows_the_same_face():
    """The square template is the SphereFace one under a pure scale and shift."""
    matrix = similarity(SPHEREFACE.points, SQUARE_256.points)
    np.testing.assert_allclose(matrix[:, :2], 1.59 * np.eye(2), atol=1e-9)
    np.testing.assert_allclose(apply(matrix, [(48.0, 51.6)]), [(128.0, 116.0)], atol=1e-9)


def test_invert_undoes_apply():
    """A point mapped into the crop and back is where it was."""
    matrix = similarity(turned(SPHEREFACE.points, 33, 0.4, (7, 8)), SPHEREFACE.points)
    points = np.array([(3.0, 4.0), (-5.0, 60.0)])
    np.testing.assert_allclose(apply(invert(matrix), apply(matrix, points)), points, atol=1e-9)


def test_an_identity_crop_is_the_picture():
    """Cutting with the identity copies pixels."""
    picture = np.random.default_rng(3).integers(0, 256, (112, 96, 3), dtype=np.uint8)
    np.testing.assert_array_equal(cut(picture, IDENTITY, SPHEREFACE), picture)


@pytest.mark.parametrize("shrink", [2, 3.3, 10, 30])
def test_a_shrunken_fine_pattern_turns_grey(shrink):
    """Detail finer than a crop's pixel is averaged, not aliased."""
    side = int(130 * shrink)
    board = np.indices((side, side)).sum(0) % 2 * 255
    picture = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    crop = cut(picture, IDENTITY / shrink, SPHEREFACE).astype(int)
    assert abs(crop - 127).max() <= 20 if shrink < 4 else abs(crop - 127).max() <= 3


@pytest.mark.parametrize("scale", [0.99, 0.5, 0.21])
def test_shrinking_keeps_positions(scale):
    """The averaged and the point-sampled crop of a smooth picture show the same thing at the same place."""
    picture = smooth_picture(900, 1200)
    matrix = np.array([[scale, 0.05 * scale, -60 * scale], [-0.05 * scale, scale, -100 * scale]])
    sampled = cv2.warpAffine(picture, matrix, (96, 112), borderMode=cv2.BORDER_REPLICATE)
    assert np.abs(cut(picture, matrix, SPHEREFACE).astype(int) - sampled).mean() < 1.0


def test_outside_the_picture_its_edge_goes_on():
    """A shrinking crop that leaves the picture repeats the picture's edge, so that no face appears twice."""
    picture = smooth_picture(1120, 960)
    matrix = np.array([[0.1, 0, 48], [0, 0.1, 0]])
    crop = cut(picture, matrix, SPHEREFACE).astype(int)
    assert np.abs(crop[:, :47] - crop[:, 47:48]).max() <= 2


@pytest.mark.parametrize("face_scale", [0.3, 1.0, 2.5])
def test_pasting_an_unchanged_crop_changes_next_to_nothing(face_scale):
    """Cut and paste of the same pixels leaves a smooth photo as it was."""
    photo = smooth_picture()
    points = turned(SPHEREFACE.points, 12, face_scale, (120, 60))
    matrix = similarity(points, SPHEREFACE.points)
    pasted = paste(photo, cut(photo, matrix, SPHEREFACE), matrix, SPHEREFACE)
    assert np.abs(pasted.astype(int) - photo).mean() < 1.5


def test_pasting_touches_only_the_face():
    """A black crop darkens the face's place, fades at its border and leaves the rest of the photo alone."""
    photo = np.full((300, 400, 3), 200, np.uint8)
    matrix = similarity(turned(SPHEREFACE.points, 0, 1, (150, 90)), SPHEREFACE.points)
    pasted = paste(photo, np.zeros((224, 192, 3), np.uint8), matrix, SPHEREFACE)
    assert pasted[90 + 56, 150 + 48].max() == 0
    assert 100 < pasted[90 + 56, 150 + 4].min() < 200
    assert (pasted[:80] == 200).all() and (pasted[:, :140] == 200).all()
    assert (photo == 200).all()


def test_pasting_wholly_outside_leaves_the_photo():
    """A crop whose place lies beyond the photo changes nothing."""
    photo = smooth_picture()
    matrix = np.array([[1.0, 0, 5000], [0, 1.0, 5000]])
    np.testing.assert_array_equal(paste(photo, np.zeros((112, 96, 3), np.uint8), matrix, SPHEREFACE), photo)
