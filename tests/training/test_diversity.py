"""training.metrics.diversity: known values."""

import numpy as np
import pytest

from training.metrics.diversity import diversity


def flat(*levels: int) -> np.ndarray:
    """Pictures of one grey each."""
    return np.stack([np.full((4, 4, 3), level, np.uint8) for level in levels])


def test_the_difference_of_known_pictures() -> None:
    """Black and white differ by 1, copies by 0; of three the mean of their three pairs."""
    assert diversity([flat(0, 255)]).value == 1
    assert diversity([flat(80, 80), flat(3, 3)]).value == 0
    assert diversity([flat(0, 51, 255)]).value == pytest.approx((0.2 + 1 + 0.8) / 3)
