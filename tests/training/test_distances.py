"""training.metrics.distances: known values and properties."""

import numpy as np
import pytest

from training.metrics.distances import TooFewPictures, frechet, frechet_of_moments, kernel, nearest_neighbours

RANDOM = np.random.default_rng(0)


def test_the_frechet_distance_of_known_gaussians() -> None:
    """Shifted by d: d squared. Scaled by s in D dimensions: D (s - 1)^2. The same: 0."""
    mean, one = np.zeros(4), np.eye(4)
    assert frechet_of_moments(mean, one, mean + 3, one) == pytest.approx(36)
    assert frechet_of_moments(mean, one, mean, 9 * one) == pytest.approx(16)
    rotated = np.linalg.qr(RANDOM.standard_normal((4, 4)))[0] @ np.diag([1, 2, 3, 4.0])
    assert frechet_of_moments(mean, rotated @ rotated.T, mean, rotated @ rotated.T) == pytest.approx(0, abs=1e-9)


def test_the_frechet_distance_is_refused_for_few_pictures() -> None:
    """And the kernel distance offered instead; for enough it is near the truth."""
    many = RANDOM.standard_normal((4000, 4))
    with pytest.raises(TooFewPictures, match=r"100 pictures .*KID"):
        frechet(many, many[:100])
    assert frechet(many[:2000], many[2000:] + 1) == pytest.approx(4, abs=0.3)


def test_the_kernel_distance_is_unbiased() -> None:
    """Around 0 for halves of one set however small, clearly above for another one; its interval says so."""
    same = [
        kernel(RANDOM.standard_normal((50, 8)), RANDOM.standard_normal((50, 8)), subsets=1).value for _ in range(300)
    ]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(300)
    other = kernel(RANDOM.standard_normal((500, 8)), RANDOM.standard_normal((500, 8)) + 1, subset=100)
    assert 0 < other.low < other.value < other.high


def test_nearest_neighbours_at_its_three_marks() -> None:
    """Half where nothing tells the sets apart, one where they are apart, zero where one is a copy of the other."""
    left, right = RANDOM.standard_normal((2, 300, 3))
    assert nearest_neighbours(left, right) == pytest.approx(0.5, abs=0.1)
    assert nearest_neighbours(left, right + 100) == 1
    assert nearest_neighbours(left, left + 1e-9) == 0
