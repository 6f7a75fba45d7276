"""How well similarities tell same from different people: accuracy, TAR at a false-accept rate, area under the curve.

A pair is accepted where its similarity reaches the threshold (>=). TAR is the share of pairs of one person that are
accepted, FAR that of pairs of two people.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from training.data.errors import DataError
from training.metrics.interval import Interval

FARS = (0.01, 0.001)
REDRAWS = 100
"""Times that people are drawn once more where those drawn have pairs of one kind only, as few people often have."""


@dataclass(frozen=True)
class Pairs:
    """Rows of the two pictures of each pair, int64 [N]."""

    left: np.ndarray
    right: np.ndarray

    def same(self, persons: np.ndarray) -> np.ndarray:
        """bool [N]: whether both pictures show one person; `persons` names the person of every row."""
        return persons[self.left] == persons[self.right]


@dataclass(frozen=True)
class Roc:
    """Rates [T] at falling thresholds [T]; the first accepts nothing."""

    thresholds: np.ndarray
    far: np.ndarray
    tar: np.ndarray

    @property
    def auc(self) -> float:
        """The chance that a pair of one person is more similar than one of two; ties count half."""
        return float(np.trapezoid(self.tar, self.far))

    def at(self, far: float) -> tuple[float, float]:
        """(TAR, threshold) at the lowest threshold whose FAR is no more than `far`."""
        index = np.searchsorted(self.far, far, side="right") - 1
        return float(self.tar[index]), float(self.thresholds[index])


def all_pairs(rows: int) -> Pairs:
    """Every unordered pair of different rows."""
    return Pairs(*np.triu_indices(rows, k=1))


def drawn(pairs: Pairs, persons: np.ndarray, count: int, seed: int = 0) -> Pairs:
    """At most `count` of the pairs, half of them of one person and half of two; all of a kind that has fewer.

    Which they are follows from the persons of the rows and from the seed alone, so that all recognisers get the same.
    """
    rng, same = np.random.default_rng(seed), pairs.same(persons)
    kinds = [rng.permutation(np.flatnonzero(kind))[: count // 2] for kind in (same, ~same)]
    chosen = np.sort(np.concatenate(kinds))
    return Pairs(pairs.left[chosen], pairs.right[chosen])


def roc(similarity: np.ndarray, same: np.ndarray, weights: np.ndarray | None = None) -> Roc:
    """The curve over all thresholds that occur; ValueError where there are not pairs of both kinds."""
    weights = np.ones(len(similarity)) if weights is None else weights
    order = np.argsort(-similarity, kind="stable")
    similarity, same, weights = similarity[order], same[order], weights[order]
    last_of_its_value = np.append(similarity[1:] != similarity[:-1], True)
    accepted = np.stack([np.cumsum(weights * same), np.cumsum(weights * ~same)])
    if not (accepted[:, -1] > 0).all():
        raise ValueError("a curve needs pairs of one person and pairs of two")
    tar, far = np.concatenate([np.zeros((2, 1)), accepted[:, last_of_its_value] / accepted[:, -1:]], axis=1)
    nothing = np.nextafter(similarity[0], np.inf)
    return Roc(np.append(nothing, similarity[last_of_its_value]), far, tar)


def impostor_threshold(similarity: np.ndarray, far: float) -> float:
    """The lowest threshold that accepts no more than the share `far` of these pairs of two people."""
    falling = np.sort(similarity.astype(float))[::-1]
    accepted = int(far * len(falling) + 1e-9)
    return float(np.nextafter(falling[accepted], np.inf)) if accepted < len(falling) else float(falling[-1])


def best_threshold(similarity: np.ndarray, same: np.ndarray) -> float:
    """Where TAR exceeds FAR by most, halfway to the next value, lest the margin lie on one side."""
    curve = roc(similarity, same)
    best = int(np.argmax(curve.tar - curve.far))
    return float(curve.thresholds[best : best + 2].mean())


def accuracy(similarity: np.ndarray, same: np.ndarray, folds: int = 10, seed: int = 0) -> float:
    """Mean accuracy over folds, each at the threshold that is best on the others; as many pairs of each kind.

    The protocol of LFW (Huang et al. 2007): of the kind with more pairs a random choice is taken. DataError below two
    pairs of either kind.
    """
    rng = np.random.default_rng(seed)
    kinds = [rng.permutation(np.flatnonzero(kind)) for kind in (same, ~same)]
    count = min(map(len, kinds))
    if count < 2:
        raise DataError(f"an accuracy needs two pairs of each kind, of one person and of two; of one there are {count}")
    folds = min(folds, count)
    parts = [np.concatenate([np.array_split(kind[:count], folds)[fold] for kind in kinds]) for fold in range(folds)]
    scores = []
    for fold, test in enumerate(parts):
        rest = np.concatenate(parts[:fold] + parts[fold + 1 :])
        threshold = best_threshold(similarity[rest], same[rest])
        scores.append(np.mean((similarity[test] >= threshold) == same[test]))
    return float(np.mean(scores))


def bootstrap(
    figure: Callable[[Roc], Sequence[float]],
    similarity: np.ndarray,
    pairs: Pairs,
    persons: np.ndarray,
    rounds: int = 200,
    seed: int = 0,
) -> list[Interval]:
    """The figures of the curve with their intervals when people are drawn again, with replacement.

    People, not pairs, are the independent draws: a person drawn n times weighs n in pairs of its own and n m in pairs
    with one drawn m times. DataError where their draws have pairs of one kind only, as those of one person have.
    """
    names, person = np.unique(persons, return_inverse=True)
    order = np.argsort(-similarity, kind="stable")  # once; every curve below finds its pairs in order
    similarity, same = similarity[order], pairs.same(persons)[order]
    left, right = person[pairs.left][order], person[pairs.right][order]
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(rounds):
        weights = _drawn_again(same, left, right, len(names), rng)
        values.append(figure(roc(similarity, same, weights)))
    lows, highs = np.percentile(values, [2.5, 97.5], axis=0)
    return [Interval(*map(float, each)) for each in zip(figure(roc(similarity, same)), lows, highs, strict=True)]


def _drawn_again(
    same: np.ndarray, left: np.ndarray, right: np.ndarray, people: int, rng: np.random.Generator
) -> np.ndarray:
    """The weights of all pairs when people are drawn with replacement, some of each kind above 0."""
    for _ in range(REDRAWS):
        drawn = np.bincount(rng.integers(people, size=people), minlength=people).astype(float)
        weights = np.where(same, drawn[left], drawn[left] * drawn[right])
        if weights[same].any() and weights[~same].any():
            return weights
    raise DataError(f"too few people for an interval ({people}): drawn again, they have pairs of one kind only")
