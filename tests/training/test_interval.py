"""training.metrics.interval: figures with how sure they are."""

import numpy as np

from training.metrics.interval import Interval, resampled


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
