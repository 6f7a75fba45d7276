"""Whether a drawing keeps what a photo shows: woman or man, glasses, a smile.

A classifier of attributes says so (training.metrics.classifier), or of what none knows a linear probe on a face's
descriptor, taught on the photos' own labels and asked about the photos, and the drawings of photos, that it was not
taught on. Both err; so only drawings of photos are counted that they were right about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.metrics import interval
from training.metrics.interval import Interval

FOLDS = 5
RIDGE = 1e-2
"""Share of the mean variance that is added to each: descriptors have more numbers than a small set has faces."""
FEWEST = 20
"""Photos of each answer, below which nothing can be taught."""
TRUSTED = 0.75
"""Accuracy of a probe, below which its answers are too near to guessing."""


@dataclass(frozen=True)
class Flips:
    """What became of an attribute."""

    rate: Interval
    """Share of drawings in which it is the other way round than in the photo."""
    accuracy: float
    """Of the probe on photos, the mean of both answers'."""


def flips(photos: NDArray[np.float64], drawings: NDArray[np.float64], has: NDArray[np.bool_]) -> Flips | None:
    """Of faces [N, D] and drawings of the same faces; `has` [N] is the photos' label.

    None where there are fewer than FEWEST photos of either answer, or the probe is right about none.
    """
    if min(has.sum(), (~has).sum()) < FEWEST:
        return None
    seen, drawn = np.zeros((2, len(has)), bool)
    for fold in _folds(has):
        taught = np.ones(len(has), bool)
        taught[fold] = False
        weights = _probe(photos[taught], has[taught])
        seen[fold], drawn[fold] = (_answer(each[fold], weights) for each in (photos, drawings))
    right = seen == has
    if not right.any():
        return None
    return Flips(interval.share(drawn[right] != has[right]), balanced(has, seen))


def kept(known: NDArray[np.int64], photos: NDArray[np.int64], drawings: NDArray[np.int64]) -> Interval | None:
    """Share of drawings with the answer of their photo, of the photos [N] of which it is right; None if it never is."""
    right = photos == known
    return interval.share(drawings[right] == known[right]) if right.any() else None


def balanced(known: NDArray[Any], found: NDArray[Any]) -> float:
    """The share of right answers [N], the mean over all answers that there are: the commonest alone is worth little."""
    return float(np.mean([(found[known == answer] == answer).mean() for answer in np.unique(known)]))


def _folds(has: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Rows of each fold, with an equal share of both answers."""
    random = np.random.default_rng(0)
    kinds = [np.array_split(random.permutation(np.flatnonzero(kind)), FOLDS) for kind in (has, ~has)]
    return [np.concatenate(parts) for parts in zip(*kinds, strict=True)]


def _probe(faces: NDArray[np.float64], has: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Least squares of +1 and -1, both answers weighing the same: D weights and a constant."""
    weight = np.where(has, 1 / has.sum(), 1 / (~has).sum()) / 2
    middle = weight @ faces
    x = faces - middle
    square = (x * weight[:, None]).T @ x
    ridge = RIDGE * np.trace(square) / len(square) * np.eye(len(square))
    found = np.linalg.solve(square + ridge, (x * weight[:, None]).T @ np.where(has, 1.0, -1.0))
    return np.append(found, -found @ middle)


def _answer(faces: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(faces @ weights[:-1] + weights[-1] > 0)
