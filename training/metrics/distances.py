"""How far two sets of pictures are from each other, by features of some network: Frechet, kernel, nearest neighbours.

Features are float arrays [N, D]. A figure is only comparable with one by the same network, which its name must say:
"FID" and "KID" without more mean Inception-v3's pooled features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from training.engine.errors import TrainingError
from training.metrics import interval
from training.metrics.interval import Interval

Features = NDArray[np.floating]

MINIMUM = 2_000
"""Pictures in a set, below which the Frechet distance says more about their number than about them."""
SUBSETS, SUBSET = 100, 1_000
ROWS = 1_000
"""Of the matrix of distances, made at a time."""
RESAMPLES = 20
"""Of the Frechet distance, each of which takes a decomposition of D x D."""


@dataclass(frozen=True)
class Moments:
    """Of a set's features: mean [D] and covariance [D, D], float64."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @classmethod
    def of(cls, features: Features) -> Moments:
        """Of two pictures or more."""
        values = np.asarray(features, np.float64)
        return cls(values.mean(0), np.cov(values, rowvar=False))

    @cached_property
    def root(self) -> NDArray[np.float64]:
        """Of the covariance, which is symmetric and has no negative eigenvalues."""
        values, vectors = np.linalg.eigh(self.covariance)
        return np.asarray((vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T)


class TooFewPictures(TrainingError):
    """Too few for the figure that was asked for."""


def distances(real: Features | Moments, made: Features) -> tuple[dict[str, Interval], list[str]]:
    """All that are here by their short names, and why those are refused that the sets are too small for.

    Of a set whose moments alone are known there is only the Frechet distance.
    """
    found, refused = dict[str, Interval](), list[str]()
    measures: dict[str, Callable[[], Interval]] = {"fid": lambda: frechet(real, made)}
    if not isinstance(real, Moments):
        measures = {"kid": lambda: kernel(real, made), "1nn": lambda: nearest_neighbours(real, made), **measures}
    for name, measure in measures.items():
        try:
            found[name] = measure()
        except TooFewPictures as refusal:
            refused.append(f"No {name}: {refusal}")
    return found, refused


def frechet(real: Features | Moments, made: Features, *, seed: int = 0) -> Interval:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of the Gaussians with the sets' moments (Heusel et al. 2017).

    The interval is that of other pictures made in the same way, by their bootstrap deviation: its percentiles would
    lie too high, since a picture that is drawn twice takes the place of another.

    TooFewPictures below MINIMUM in either set, as far as it is told how many there were: the estimate falls with their
    number whatever they show. `kernel` does not.
    """
    fewest = min(len(made), MINIMUM if isinstance(real, Moments) else len(real))
    if fewest < MINIMUM:
        raise TooFewPictures(f"a Frechet distance of {fewest} pictures is mostly bias; use the kernel distance (KID)")
    random = np.random.default_rng(seed)
    known = real if isinstance(real, Moments) else Moments.of(real)
    value, *drawn = (
        frechet_of_moments(known, Moments.of(made[rows]))
        for rows in [np.arange(len(made)), *random.integers(0, len(made), (RESAMPLES, len(made)))]
    )
    return _around(value, float(np.std(drawn, ddof=1)))


def frechet_of_moments(known: Moments, other: Moments) -> float:
    """The same of moments alone.

    The trace of the root of S1 S2 is that of (S1^(1/2) S2 S1^(1/2))^(1/2), whose matrix is symmetric: no imaginary
    parts that have to be thrown away.
    """
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(known.root @ other.covariance @ known.root), 0, None)).sum()
    difference = known.mean - other.mean
    return float(difference @ difference + np.trace(known.covariance) + np.trace(other.covariance) - 2 * cross)


def kernel(real: Features, made: Features, *, seed: int = 0, subset: int = SUBSET, subsets: int = SUBSETS) -> Interval:
    """Squared maximum mean discrepancy with the kernel (x.y / D + 1)^3, unbiased (Binkowski et al. 2018).

    The mean over random subsets of at most half of the pictures, and the interval that follows from how these differ.
    TooFewPictures below 4: a half must have two.
    """
    fewest = min(len(real), len(made))
    if fewest < 4:
        raise TooFewPictures(f"a kernel distance needs four pictures of each kind; there are {fewest}")
    size = min(subset, fewest // 2)
    random = np.random.default_rng(seed)
    values = np.array(
        [
            _discrepancy(
                np.asarray(real[random.choice(len(real), size, replace=False)], np.float64),
                np.asarray(made[random.choice(len(made), size, replace=False)], np.float64),
            )
            for _ in range(subsets)
        ]
    )
    # Subsets that are no small part of the set differ less than sets would: the correction for a finite population.
    share = size / fewest
    return _around(float(values.mean()), float(values.std()) * float(np.sqrt(share / (1 - share))))


def nearest_neighbours(real: Features, made: Features, *, seed: int = 0) -> Interval:
    """Share of pictures whose nearest other one is of their own set (Lopez-Paz and Oquab 2017), 0..1.

    One half where nobody can tell the sets apart, 1 where they are apart, near 0 where one copies the other. Of the
    larger set as many are drawn as the other has: the larger would be everybody's neighbour.
    """
    random, fewest = np.random.default_rng(seed), min(len(real), len(made))
    both = np.concatenate([each[random.permutation(len(each))[:fewest]] for each in (real, made)]).astype(np.float64)
    squares = (both**2).sum(1)
    nearest = np.empty(len(both), np.int64)
    for rows in np.array_split(np.arange(len(both)), -(-len(both) // ROWS)):
        distances = squares[None] - 2 * both[rows] @ both.T
        distances[np.arange(len(rows)), rows] = np.inf
        nearest[rows] = distances.argmin(1)
    places = np.arange(len(both))
    is_real = places < fewest
    # Two that are each other's neighbours give one answer between them (Henze 1988).
    mutual = float((nearest[nearest] == places).mean())
    return interval.share(is_real[nearest] == is_real, len(both) / (1 + mutual))


def _around(value: float, deviation: float) -> Interval:
    """95 of 100, were it normal."""
    half = interval.DEVIATIONS * deviation
    return Interval(value, value - half, value + half)


def _discrepancy(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    count = len(left)
    within = [_kernel(each, each) for each in (left, right)]
    own = sum((matrix.sum() - np.trace(matrix)) / (count * (count - 1)) for matrix in within)
    return float(own - 2 * _kernel(left, right).mean())


def _kernel(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((left @ right.T / left.shape[1] + 1) ** 3)
