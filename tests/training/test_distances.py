"""training.metrics.distances: known values and properties."""

import numpy as np
import pytest

from training.metrics.distances import (
    Moments,
    TooFewPictures,
    distances,
    frechet,
    frechet_of_moments,
    kernel,
    nearest_neighbours,
)

RANDOM = np.random.default_rng(0)


def test_the_frechet_distance_of_known_gaussians() -> None:
    """Shifted by d: d squared. Scaled by s in D dimensions: D (s - 1)^2. The same: 0."""
    mean, one = np.zeros(4), np.eye(4)
    unit = Moments(mean, one)
    assert frechet_of_moments(unit, Moments(mean + 3, one)) == pytest.approx(36)
    assert frechet_of_moments(unit, Moments(mean, 9 * one)) == pytest.approx(16)
    rotated = np.linalg.qr(RANDOM.standard_normal((4, 4)))[0] @ np.diag([1, 2, 3, 4.0])
    turned = Moments(mean, rotated @ rotated.T)
    assert frechet_of_moments(turned, turned) == pytest.approx(0, abs=1e-9)


def test_the_frechet_distance_is_refused_for_few_pictures() -> None:
    """And the kernel distance offered instead; for enough it is near the truth, which its interval covers."""
    many = RANDOM.standard_normal((4000, 4))
    with pytest.raises(TooFewPictures, match=r"100 pictures .*KID"):
        frechet(many, many[:100])
    found = frechet(many[:2000], many[2000:] + 1)
    assert found.low < 4 < found.high and found.high - found.low < 0.6


def test_of_known_moments_there_is_the_frechet_distance_alone() -> None:
    """The same as from the features themselves, though how many they were is not told; of few made it is refused."""
    many, made = RANDOM.standard_normal((2000, 4)), RANDOM.standard_normal((2000, 4)) + 1
    found, refused = distances(Moments.of(many), made)
    assert found == {"fid": frechet(many, made)} and not refused
    assert distances(Moments.of(many), made[:100])[0] == {}


def test_a_set_is_at_no_distance_from_itself() -> None:
    """By Frechet."""
    many = RANDOM.standard_normal((2000, 4))
    assert frechet(many, many).value == pytest.approx(0, abs=1e-9)


def test_the_kernel_distance_is_unbiased() -> None:
    """Around 0 for halves of one set however small, clearly above for another one; its interval says so."""
    same = [
        kernel(RANDOM.standard_normal((50, 8)), RANDOM.standard_normal((50, 8)), subsets=1).value for _ in range(300)
    ]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(300)
    other = kernel(RANDOM.standard_normal((500, 8)), RANDOM.standard_normal((500, 8)) + 1, subset=100)
    assert 0 < other.low < other.value < other.high


def test_the_kernel_distance_of_known_points() -> None:
    """All at the origin against all at x, in one dimension: k(0,0) + k(x,x) - 2 k(0,x) = (x^2 + 1)^3 - 1."""
    found = kernel(np.zeros((8, 1)), np.full((8, 1), 2.0))
    assert found.value == pytest.approx(124) and found.low == pytest.approx(found.high)


def test_the_interval_of_the_kernel_distance_covers_its_truth() -> None:
    """0 for two sets of one distribution, also where half of a set is all that a subset can be."""
    covered = 0
    for _ in range(100):
        found = kernel(*RANDOM.standard_normal((2, 40, 8)), subsets=50)
        covered += found.low <= 0 <= found.high
    assert covered >= 90


def test_nearest_neighbours_at_its_three_marks() -> None:
    """Half where nothing tells the sets apart, one where they are apart, zero where one is a copy of the other."""
    left, right = RANDOM.standard_normal((2, 300, 3))
    half = nearest_neighbours(left, right)
    assert half.low < 0.5 < half.high
    assert nearest_neighbours(left, right + 100).value == 1
    assert nearest_neighbours(left, left + 1e-9).value == 0


def test_the_interval_of_nearest_neighbours_covers_its_truth() -> None:
    """One half for two sets of one distribution, where many are each other's neighbours."""
    found = [nearest_neighbours(*RANDOM.standard_normal((2, 60, 3))) for _ in range(200)]
    assert sum(each.low <= 0.5 <= each.high for each in found) >= 182


def test_nearest_neighbours_of_sets_of_two_sizes() -> None:
    """The larger set is not everybody's neighbour."""
    found = nearest_neighbours(RANDOM.standard_normal((2000, 3)), RANDOM.standard_normal((200, 3)))
    assert found.low < 0.5 < found.high


def test_what_is_too_small_is_left_out_with_the_reason() -> None:
    """Of three pictures only the neighbours, of a hundred the kernel distance as well."""
    some = RANDOM.standard_normal((100, 4))
    found, refused = distances(some[:3], some)
    assert set(found) == {"1nn"} and len(refused) == 2
    found, refused = distances(some, some)
    assert set(found) == {"kid", "1nn"} and "KID" in refused[0]
