"""How much pictures differ where they should: drawings of one photo in several styles, faces of several numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from training.metrics import interval
from training.metrics.interval import Interval


def diversity(groups: Sequence[NDArray[np.uint8]]) -> Interval:
    """Mean absolute difference of two pictures of one group, each uint8 [K >= 2, H, W, 3], as a share of 255.

    0 where style does nothing. It says how much changes, not how well: noise is diverse too.
    """
    return interval.mean([np.mean([_apart(*pair) for pair in combinations(group, 2)]) for group in groups])


def _apart(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> float:
    return float(np.abs(left.astype(np.float32) - right).mean() / 255)
