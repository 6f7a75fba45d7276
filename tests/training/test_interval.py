"""training.metrics.interval: figures with how sure they are."""

import numpy as np
import pytest

from training.metrics.interval import Interval, mean, resampled, share


def test_an_interval_covers_the_mean() -> None:
    """In about 95 of 100 samples."""
    covered = 0
    for seed in range(100):
        sample = np.random.default_rng(seed).standard_normal(60) + 2
        found = resampled(lambda values: float(values.mean()), sample, seed)
        covered += found.low <= 2 <= found.high
    assert 88 <= covered <= 100


def test_an_interval_reads_well() -> None:
    """The value, then its ends."""
    assert f"{Interval(0.12345, 0.1, 0.15):.3f}" == "0.123 (0.100..0.150)"


def test_a_share_of_few_is_never_sure() -> None:
    """12 of 12 may be 0.757 (Wilson: n / (n + 1.96^2)); half of 100 is 0.404 to 0.596."""
    all_of_twelve, half = share([True] * 12), share([True, False] * 50)
    assert (all_of_twelve.value, all_of_twelve.high) == (1, 1) and all_of_twelve.low == pytest.approx(0.7575, abs=1e-4)
    assert (half.low, half.high) == (pytest.approx(0.4038, abs=1e-4), pytest.approx(0.5962, abs=1e-4))


def test_a_mean_is_as_sure_as_its_values_agree() -> None:
    """The interval is 1.96 standard errors on each side, about; of equal values it has no width."""
    found = mean(np.random.default_rng(0).standard_normal(400))
    assert found.high - found.low == pytest.approx(2 * 1.96 / 20, rel=0.15)
    assert mean([2, 2, 2]) == Interval(2, 2, 2)
