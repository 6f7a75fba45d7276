"""Figures with how sure they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 1_000


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        return f"{self.value:{spec}} ({self.low:{spec}}..{self.high:{spec}})"


def resampled(figure: Callable[[NDArray[np.float64]], float], values: NDArray[np.float64], seed: int = 0) -> Interval:
    """A figure of independent values [N, ...], with its interval when they are drawn again, with replacement."""
    random = np.random.default_rng(seed)
    drawn = [figure(values[random.integers(0, len(values), len(values))]) for _ in range(RESAMPLES)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(figure(values), float(low), float(high))


def mean(values: ArrayLike) -> Interval:
    """The mean of independent values [N]; a share, where they are true or false."""
    return resampled(lambda drawn: float(drawn.mean()), np.asarray(values, np.float64))
