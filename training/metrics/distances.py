"""How far two sets of pictures are from each other, by features of some network: Frechet, kernel, nearest neighbours.

Features are float arrays [N, D]. A figure is only comparable with one by the same network, which its name must say:
"FID" and "KID" without more mean Inception-v3's pooled features.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.engine.errors import TrainingError
from training.metrics.interval import Interval

Features = NDArray[np.floating]

MINIMUM = 2_000
"""Pictures in a set, below which the Frechet distance says more about their number than about them."""
SUBSETS, SUBSET = 100, 1_000


class TooFewPictures(TrainingError):
    """Too few for the figure that was asked for."""


def frechet(real: Features, made: Features) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of the Gaussians with the sets' moments (Heusel et al. 2017).

    TooFewPictures below MINIMUM in either set: the estimate falls with their number whatever they show. `kernel` does
    not.
    """
    fewest = min(len(real), len(made))
    if fewest < MINIMUM:
        raise TooFewPictures(f"a Frechet distance of {fewest} pictures is mostly bias; use the kernel distance (KID)")
    return frechet_of_moments(*moments(real), *moments(made))


def moments(features: Features) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean [D] and covariance [D, D]."""
    values = np.asarray(features, np.float64)
    return values.mean(0), np.cov(values, rowvar=False)


def frechet_of_moments(
    mean: NDArray[np.float64],
    covariance: NDArray[np.float64],
    other_mean: NDArray[np.float64],
    other_covariance: NDArray[np.float64],
) -> float:
    """The same of moments that are known, such as a file's.

    The trace of the root of S1 S2 is that of (S1^(1/2) S2 S1^(1/2))^(1/2), whose matrix is symmetric: no imaginary
    parts that have to be thrown away.
    """
    root = _root(covariance)
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ other_covariance @ root), 0, None)).sum()
    difference = mean - other_mean
    return float(difference @ difference + np.trace(covariance) + np.trace(other_covariance) - 2 * cross)


def kernel(real: Features, made: Features, *, seed: int = 0, subset: int = SUBSET, subsets: int = SUBSETS) -> Interval:
    """Squared maximum mean discrepancy with the kernel (x.y / D + 1)^3, unbiased (Binkowski et al. 2018).

    The mean over random subsets, and the interval that 95 per cent of their means would be in. TooFewPictures below 2.
    """
    size = min(subset, len(real), len(made))
    if size < 2:
        raise TooFewPictures("a kernel distance needs two pictures of each kind")
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
    spread = 1.96 * values.std(ddof=min(1, subsets - 1)) / np.sqrt(max(1, min(len(real), len(made)) / size))
    return Interval(float(values.mean()), float(values.mean() - spread), float(values.mean() + spread))


def nearest_neighbours(real: Features, made: Features) -> float:
    """Share of pictures whose nearest other one is of their own set (Lopez-Paz and Oquab 2017), 0..1.

    One half where nobody can tell the sets apart, 1 where they are apart, near 0 where one copies the other.
    """
    both = np.concatenate([real, made]).astype(np.float64)
    squares = (both**2).sum(1)
    distances = squares[:, None] + squares[None] - 2 * both @ both.T
    np.fill_diagonal(distances, np.inf)
    is_real = np.arange(len(both)) < len(real)
    return float((is_real[distances.argmin(1)] == is_real).mean())


def _discrepancy(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    count = len(left)
    within = [_kernel(each, each) for each in (left, right)]
    own = sum((matrix.sum() - np.trace(matrix)) / (count * (count - 1)) for matrix in within)
    return float(own - 2 * _kernel(left, right).mean())


def _kernel(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((left @ right.T / left.shape[1] + 1) ** 3)


def _root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T)
