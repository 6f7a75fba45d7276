"""training.data.proportions: from portraits to cartoons by one map."""

from itertools import pairwise

import numpy as np

from training.data.proportions import HALF, knots, moved


def test_proportions_are_moved_alike_for_everyone(mean_face):
    """The map is symmetric, comes near to its knots, and does not fold: points stay in order."""
    source, target = knots()
    assert len(source) == 2 * len(HALF) - (HALF[:, 0, 0] == 128).sum()
    assert np.abs(moved(source) - target).mean() < 2
    flipped = moved(mean_face * (-1, 1) + (256, 0))
    assert np.allclose(flipped, moved(mean_face) * (-1, 1) + (256, 0), atol=0.5)
    line = moved(np.stack([np.full(50, 90.0), np.linspace(5, 250, 50)], -1))
    assert all(below > above for above, below in pairwise(line[:, 1]))
