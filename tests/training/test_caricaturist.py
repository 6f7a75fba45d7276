"""The geometry of caricature."""

import numpy as np
import pytest

from export.alignment import apply, similarity
from training.data.caricaturist import (
    CODE_SIZE,
    FACTOR,
    TILT_SHARE,
    artists_slope,
    drifted,
    ease,
    flow,
    frame_anchors,
    mirrored,
    spline,
)
from training.data.pairs import cell_centres, resampled
from training.data.portraits import MIRROR


def test_mirroring_twice_changes_nothing(faces):
    """The table of mirrored landmarks is its own inverse."""
    assert (MIRROR[MIRROR] == np.arange(68)).all()
    assert np.allclose(mirrored(mirrored(faces)), faces)


def test_the_mean_face_is_symmetric_and_has_no_deviation(space):
    """A mirrored mean is the mean, and there is nothing particular about it."""
    assert np.allclose(mirrored(space.mean[None])[0], space.mean, atol=1e-6)
    assert np.abs(space.deviation(space.mean)).max() < 1e-6


def test_the_deviation_does_not_depend_on_where_the_face_stands(space, faces):
    """Turning, moving and scaling a face turns and scales its deviation alike."""
    face = faces[0]
    turn = np.array([[0.95, -0.2, 7.0], [0.2, 0.95, -4.0]])
    assert np.allclose(space.deviation(apply(turn, face)), space.deviation(face) @ turn[:, :2].T, atol=1e-6)


def test_mirrored_faces_get_mirrored_caricatures(space, faces):
    """Left and right are treated alike."""
    face = faces[1]
    moved = face + space.displacement(face)
    other = mirrored(face[None])[0]
    assert np.allclose(mirrored(moved[None])[0], other + space.displacement(other), atol=1e-6)


def test_strength_one_multiplies_a_symmetric_deviation_by_the_factor(space):
    """A face that differs in its jaw alone ends up FACTOR times as far from the mean, the artists' habit aside."""
    face = space.mean + (space.components[0] * space.deviations[0]).reshape(68, 2)
    face = (face + mirrored(face[None])[0]) / 2
    calm = space.displacement(face) - space.displacement(space.mean)
    jaw = slice(0, 17)
    deviation = apply(similarity(face, space.mean), face)[jaw] - space.mean[jaw]
    gain = (calm[jaw] * deviation).sum() / (deviation * deviation).sum()
    assert gain == pytest.approx(FACTOR - 1, rel=0.1)


def test_what_is_not_symmetric_is_exaggerated_less(space):
    """A leaning face, which is mostly pose, gets TILT_SHARE of the exaggeration."""
    lean = np.zeros((68, 2))
    lean[27:36, 0] = 3.0
    full = (lean.reshape(-1) @ space.components.T @ space.components).reshape(68, 2)
    odd = (full - (mirrored((full + space.mean)[None])[0] - space.mean)) / 2
    got = space.deviation(space.mean + odd)[:48]
    gain = (got * odd[:48]).sum() / (odd[:48] * odd[:48]).sum()
    assert gain == pytest.approx(TILT_SHARE, rel=0.15)


def test_an_expression_is_not_what_is_particular(space):
    """Raising the mouth's corners and parting the lips, as people of this space do, changes no deviation."""
    smile = space.mean + (np.array([4.0, 5.0]) @ space.expression).reshape(68, 2)
    assert np.abs(smile - space.mean).max() > 2
    assert np.abs(space.deviation(smile)).max() < 1


def test_a_code_weighs_the_shape_components(space):
    """One more in its first number multiplies the first component by the square root of e, and nothing else."""
    face = space.mean + (space.components[0] * space.deviations[0]).reshape(68, 2)
    plain, coded = space.deviation(face), space.deviation(face, np.eye(CODE_SIZE)[0])
    outside = slice(0, 48)
    assert np.allclose(coded[outside], np.exp(0.5) * plain[outside], atol=0.2)
    assert np.allclose(space.deviation(face, np.zeros(CODE_SIZE)), plain)
    assert np.allclose(space.deviation(face, np.eye(CODE_SIZE)[7]), plain, atol=0.05)


def test_the_habit_is_the_artists_mean_move(space):
    """Artists who widen mouths by four pixels leave a symmetric habit that widens mouths."""
    assert space.habit[54, 0] - space.habit[48, 0] == pytest.approx(4, abs=0.4)
    assert np.allclose(space.habit[48] * [-1, 1], space.habit[54], atol=1e-6)


def test_the_law_and_the_habit_add_up(space, faces):
    """As velocities. Alone, the habit moves every upright face alike, and the law leaves the mean face where it is."""
    law, artists = space.law(), space.artists()
    whole, *parts = (each.displacement(faces[0], 1e-3) / ease(1e-3) for each in (space, law, artists))
    assert np.allclose(sum(parts), whole, atol=1e-2) and all(np.abs(part).max() > 1 for part in parts)
    assert np.abs(artists.displacement(space.mean, 1e-3) / ease(1e-3) - space.habit).mean() < 0.1
    assert np.abs(law.displacement(space.mean)).max() < 1e-5


def test_what_shrinks_is_never_used_up(space):
    """A face whose every height was to be undone twice over still has its eyes above its nose, and that above its chin.

    What grows, grows further than on a straight line.
    """
    away = (space.mean - space.mean.mean(0)) * [0, 1]
    flat, tall = (space.mean + drifted(space.mean, share * away, 1.0) for share in (-2.0, 0.5))
    for higher, lower in ((37, 41), (41, 30), (30, 51), (57, 8)):
        assert 0 < flat[lower, 1] - flat[higher, 1] < space.mean[lower, 1] - space.mean[higher, 1]
    assert tall[57, 1] - tall[27, 1] > 1.5 * (space.mean[57, 1] - space.mean[27, 1])


def test_strength_eases():
    """0 at 0, 1 at 1, ever gentler above."""
    values = [ease(strength) for strength in (0, 1, 2, 3)]
    assert values[:2] == [0, pytest.approx(1)]
    assert all(np.diff(values) > 0) and all(np.diff(values, 2) < 0)


def test_the_warp_carries_the_landmarks(space, faces):
    """Where a landmark should appear, the backward map points to where it was, within a pixel."""
    face = faces[2]
    displacement = space.displacement(face, 1.5)
    at = (face + displacement)[None]
    source = resampled(flow(face, displacement), at)[0]
    assert np.abs(source - face).mean() < 1


@pytest.mark.parametrize("strength", [1.0, 2.0, 3.0])
def test_the_warp_never_folds(space, faces, strength):
    """The Jacobian of the backward map is positive everywhere, at every strength."""
    for face in faces[:6]:
        field = flow(face, space.displacement(face, strength), cells=64)
        across, down = np.diff(field[:-1], axis=1), np.diff(field[:, :-1], axis=0)
        assert (across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]).min() > 0


def test_without_displacement_the_warp_is_the_identity(space):
    """A mean face stays as it is."""
    assert np.allclose(flow(space.mean, np.zeros((68, 2))).reshape(-1, 2), cell_centres(32), atol=1e-6)


def test_the_spline_passes_near_its_knots_and_is_exact_for_an_affine_field():
    """A thin-plate spline reproduces affine motion exactly (Bookstein 1989)."""
    knots = np.concatenate([frame_anchors(256), np.random.default_rng(0).uniform(40, 200, (30, 2))])
    motion = np.array([[0.1, 0.02], [-0.03, 0.2]])
    at = np.random.default_rng(1).uniform(0, 255, (50, 2))
    assert np.allclose(spline(knots, knots @ motion + 3, at, 256), at @ motion + 3, atol=1e-6)


def test_artists_who_double_every_deviation_have_slope_one(space, faces):
    """Faces moved as far again from the mean give a slope of one; untouched faces give zero."""
    framed = np.stack([apply(similarity(face, space.mean), face) for face in faces[:30]])
    doubled = space.mean + 2 * (framed - space.mean)
    assert artists_slope(space, framed, framed) == pytest.approx(0, abs=1e-9)
    assert artists_slope(space, framed, doubled) == pytest.approx(1, abs=0.1)
