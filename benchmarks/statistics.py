"""Figures out of samples: percentiles, and ratios with how sure they are."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 10_000
CONFIDENCE = 0.95

Rounds = Sequence[Sequence[float]]
"""Answers in each second of each round."""


def percentiles(seconds: ArrayLike) -> dict[str, float]:
    """Milliseconds, p50 to p99 and the largest; empty where there is no sample."""
    values = 1000 * np.asarray(seconds, np.float64)
    if not values.size:
        return {}
    p50, p90, p99 = np.percentile(values, [50, 90, 99])
    figures = {"p50": p50, "p90": p90, "p99": p99, "max": values.max()}
    return {name: round(float(value), 3) for name, value in figures.items()}


def ratio(ours: Rounds, theirs: Rounds, seed: int = 0) -> tuple[float, float, float]:
    """Our rate over theirs, and the ends of its bootstrap confidence interval.

    Rounds are interleaved, so both sides are resampled by the same rounds, and within each round by its seconds.
    """
    random = np.random.default_rng(seed)
    rounds = random.integers(0, min(len(ours), len(theirs)), (RESAMPLES, min(len(ours), len(theirs))))
    ratios = _resampled(ours, rounds, random) / _resampled(theirs, rounds, random)
    low, high = np.percentile(ratios, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return rate(ours) / rate(theirs), float(low), float(high)


def second_and_last_tenth(values: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    """When everything has warmed up, and the end."""
    tenth = max(1, len(values) // 10)
    return values[tenth : 2 * tenth], values[-tenth:]


def growth(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """The ends of the bootstrap confidence interval of how much the median grew from the second to the last tenth."""
    random = np.random.default_rng(seed)
    before, after = (
        np.median(random.choice(np.asarray(each), (RESAMPLES, len(each))), axis=1)
        for each in second_and_last_tenth(values)
    )
    low, high = np.percentile(after - before, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return float(low), float(high)


def rate(rounds: Rounds) -> float:
    """Answers a second over all rounds."""
    return float(np.mean([count for seconds in rounds for count in seconds]))


def _resampled(rounds: Rounds, chosen: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.float64]:
    """The mean rate of each resampling: the mean, over its rounds, of as many seconds drawn anew."""
    means = np.zeros(chosen.shape)
    for index, seconds in enumerate(rounds):
        picked = chosen == index
        draws = random.choice(np.asarray(seconds, np.float64), (int(picked.sum()), len(seconds)))
        means[picked] = draws.mean(1)
    return means.mean(1)
