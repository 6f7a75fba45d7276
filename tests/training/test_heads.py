"""Where hair begins and ends along rays."""

import numpy as np
import pytest

from training.data.heads import PLACES, RAYS, STEP, borders, calm, cheapest, head, jaw_radius


def test_the_borders_of_two_circles_are_found():
    """Skin up to 60 pixels, hair up to 90: both within a place, on all rays above the jaw."""
    radius = STEP * np.arange(PLACES)
    truth = np.where(radius < 60, 0, np.where(radius < 90, 1, 2))
    scores = np.tile(np.where(np.eye(3)[truth] > 0, 0.0, -3.0), (RAYS, 1, 1))
    angles = np.radians(np.linspace(-100, 100, RAYS))
    inner, outer = borders(scores, np.zeros((RAYS, PLACES)), np.full(RAYS, 60.0), angles)
    assert np.abs(STEP * inner - 60).max() <= STEP and np.abs(STEP * outer - 90).max() <= STEP


def test_there_may_be_no_hair():
    """Skin up to 80 pixels and then the background: both borders are one."""
    radius = STEP * np.arange(PLACES)
    scores = np.tile(np.where(np.eye(3)[np.where(radius < 80, 0, 2)] > 0, 0.0, -3.0), (RAYS, 1, 1))
    angles = np.radians(np.linspace(-100, 100, RAYS))
    inner, outer = borders(scores, np.zeros((RAYS, PLACES)), np.full(RAYS, 60.0), angles)
    assert (inner == outer).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_the_cheapest_step_is_found(axis):
    """As by trying all steps; what it says is where the cost came from."""
    cost = np.random.default_rng(0).random((9, 9))
    best, steps = cheapest(cost, 0.05, axis)
    for place in np.ndindex(9, 9):
        source = list(place)
        source[axis] -= steps[place]
        assert np.isclose(best[place], cost[tuple(source)] + 0.05 * steps[place] ** 2)
        assert best[place] <= cost[place]


def test_the_jaw_is_met_at_its_landmarks(mean_face):
    """A ray through a point of the jaw is as long as the point is far."""
    centre = mean_face[27:30].mean(0)
    away = mean_face[:17] - centre
    far = np.linalg.norm(away, axis=1)
    assert np.allclose(jaw_radius(mean_face, centre, away / far[:, None]), far, atol=1e-6)


def test_a_head_is_calm_and_in_order(photo, mean_face):
    """Of a real photo: hair begins before it ends, and no border jumps."""
    found = head(photo, mean_face)
    assert len(found.angles) == RAYS and (found.inner <= found.outer).all()
    assert np.abs(np.diff(found.outer)).max() <= 3 * STEP
    assert 70 < found.outer[RAYS // 2] < 130


def test_calm_keeps_a_constant():
    """Blurring changes no constant, and keeps the length."""
    assert np.allclose(calm(np.full(20, 3.0), 2.0), 3.0)
