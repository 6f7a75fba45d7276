"""Figures with how sure they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 1_000
DEVIATIONS = 1.96
"""Of a normal distribution, within which 95 of 100 are."""


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % interval."""

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


def share(found: ArrayLike, independent: float | None = None) -> Interval:
    """How many of N answers are true, with Wilson's interval (1927); as if so many were independent, by default all.

    Not the bootstrap's, which is sure of everything where all of three are true.
    """
    answers = np.asarray(found, bool)
    count, value, square = independent or len(answers), float(answers.mean()), DEVIATIONS**2
    middle = (value + square / (2 * count)) / (1 + square / count)
    half = DEVIATIONS * np.sqrt(value * (1 - value) / count + square / (4 * count**2)) / (1 + square / count)
    return Interval(value, float(max(0, middle - half)), float(min(1, middle + half)))


def mean(values: ArrayLike) -> Interval:
    """The mean of independent values [N]."""
    return resampled(lambda drawn: float(drawn.mean()), np.asarray(values, np.float64))
