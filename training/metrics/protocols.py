"""The protocols of face recognition: LFW's, and WebCaricature's for verification and for identification.

Functions here take embeddings by the name of a picture, PERSON/PICTURE (`training.evaluation.protocol` makes them), and
folds of pairs that a protocol's file names. Nobody is judged whom the encoder knows: folds are refused if they have a
person of those it was trained on, or if two of them share one, because thresholds are chosen on nine folds and used on
the tenth.

LFW: Huang et al. 2007, "Labeled Faces in the Wild". WebCaricature: Huo et al. 2018.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.errors import DataError
from training.data.sources import Pair, Share, lines_of
from training.metrics.verification import FARS, Pairs, best_threshold, roc

RANKS = (1, 10)
_PICTURE = re.compile(r"(.*\S)[\s/\\]+([CP]\d{5})(?:\.jpg)?")
_BESIDE = re.compile(r"([\s/\\]+(\d+|[CP]\d{5}(\.jpg)?))+$")
"""Counts and pictures behind a name."""

Embeddings = Mapping[str, NDArray[np.float32]]
"""PERSON/PICTURE -> vector of any length."""


@dataclass(frozen=True)
class Spread:
    """A figure over folds: mean, and standard deviation of one fold (not of the mean)."""

    mean: float
    deviation: float

    def __format__(self, spec: str) -> str:
        return f"{self.mean:{spec}} ± {self.deviation:{spec}}"


@dataclass(frozen=True)
class Fold:
    """Pictures, each PERSON/PICTURE, and the pairs of them that are compared."""

    pictures: Sequence[str]
    pairs: Pairs

    @classmethod
    def of(cls, pairs: Sequence[tuple[str, str]]) -> Fold:
        """Pairs by the names of their pictures."""
        rows = {picture: row for row, picture in enumerate(dict.fromkeys(each for pair in pairs for each in pair))}
        return cls(list(rows), Pairs(*np.array([[rows[each] for each in pair] for pair in pairs]).T))

    @property
    def people(self) -> set[str]:
        return {_person(picture) for picture in self.pictures}

    @property
    def same(self) -> NDArray[np.bool_]:
        """Of each pair, whether both pictures show one person."""
        return self.pairs.same(np.array([_person(picture) for picture in self.pictures]))


@dataclass(frozen=True)
class Search:
    """One fold of identification: every probe is looked for in the gallery."""

    probes: Sequence[str]
    gallery: Sequence[str]

    @property
    def pictures(self) -> Sequence[str]:
        return [*self.probes, *self.gallery]

    @property
    def people(self) -> set[str]:
        return {_person(picture) for picture in self.pictures}


# Protocols


def lfw(listed: Path) -> list[Fold]:
    """The folds of pairs.txt, or the one of pairsDevTest.txt; pictures are NAME/NAME_0001.

    First the number of folds, if there are several, and that of pairs of each kind; then, fold by fold, lines
    `name 1 2` of one person and `name 1 other 2` of two. DataError names the line that is otherwise.
    """
    lines = _lines(listed)
    head = lines[0].split()
    if len(head) not in (1, 2) or not all(each.isdecimal() for each in head):
        raise DataError(f"{listed}:1: not the numbers of folds and pairs: {lines[0]!r}")
    folds, pairs = (int(each) for each in ([1, *head] if len(head) == 1 else head))
    if not folds * pairs:
        raise DataError(f"{listed}:1: no pairs are announced: {lines[0]!r}")
    if len(lines) != 1 + 2 * folds * pairs:
        raise DataError(f"{listed}: {len(lines) - 1} pairs; announced were {folds} times twice {pairs}")
    found = [_lfw_pair(line, f"{listed}:{number}") for number, line in enumerate(lines[1:], 2)]
    return [Fold.of(found[begin : begin + 2 * pairs]) for begin in range(0, len(found), 2 * pairs)]


def restricted(folds: Iterable[Sequence[Pair]]) -> list[Fold]:
    """The pairs that WebCaricature names (`training.data.sources.restricted_view`)."""
    return [Fold.of([("/".join(pair.drawing), "/".join(pair.photo)) for pair in fold]) for fold in folds]


def unrestricted(shares: Iterable[Sequence[Share]]) -> list[Fold]:
    """All pairs of a caricature and a photo among the people of each fold (`training.data.sources.unrestricted_view`).

    Pairs of two photos are left out: they are easy, and no question of caricatures.
    """
    folds = []
    for people in shares:
        drawings, photos = ([each for share in people for each in _pictures(share, kind)] for kind in "CP")
        left, right = np.indices((len(drawings), len(photos))).reshape(2, -1)
        folds.append(Fold([*drawings, *photos], Pairs(left, right + len(drawings))))
    return folds


def search(probes: Path, gallery: Path) -> Search:
    """One fold of WebCaricature's identification: FR_Probe_C2P1.txt with FR_Gallery_C2P1.txt, or P2C.

    A line is a name and a picture, parted by a tab, a space or a slash. DataError names the line that is otherwise.
    """
    return Search(_names(probes), _names(gallery))


def gallery_of(probes: Path) -> Path:
    """The file that belongs to one of probes, by its name and place: FR_Gallery_C2P1.txt to FR_Probe_C2P1.txt.

    DataError if the name is otherwise.
    """
    if "Probe" not in probes.name:
        raise DataError(f"{probes} is not called FR_Probe_..., which would say what its gallery is called")
    return probes.with_name(probes.name.replace("Probe", "Gallery"))


def named(listed: Path) -> frozenset[str]:
    """Everybody whom a file names: people one a line, or a training view of any protocol, of people or of pairs.

    What stands beside names is taken for names, too: it does no harm, where a name that is missed would. DataError.
    """
    cells = {cell.strip() for line in _lines(listed) for cell in line.split("\t")}
    return frozenset(cells | {_BESIDE.sub("", cell) for cell in cells})


# Figures


def verification(folds: Sequence[Fold], embeddings: Embeddings, trained_on: Collection[str]) -> dict[str, Spread]:
    """accuracy, auc, and tar@0.01 and tar@0.001 by the cosine, each of a fold alone, with mean and deviation.

    Accuracy is at the threshold that is best on all other folds (one fold alone has but itself), and both kinds of
    pairs count alike, however many there are of each. DataError if a person of `trained_on` is in a fold, if folds
    share one, if a fold has pairs of one kind only, or if a picture has no embedding.
    """
    _disjoint(folds, trained_on)
    _of_both_kinds(folds)
    scored = [(_cosines(embeddings, fold), fold.same) for fold in folds]
    figures: dict[str, list[float]] = {name: [] for name in ("accuracy", *(f"tar@{far:g}" for far in FARS), "auc")}
    for number, (similarity, same) in enumerate(scored):
        curve = roc(similarity, same)
        figures["auc"].append(curve.auc)
        for far in FARS:
            figures[f"tar@{far:g}"].append(curve.at(far)[0])
        rest = scored[:number] + scored[number + 1 :] or scored
        threshold = best_threshold(*(np.concatenate(parts) for parts in zip(*rest, strict=True)))
        right = (similarity >= threshold) == same
        figures["accuracy"].append(float(right[same].mean() + right[~same].mean()) / 2)
    return {name: _spread(values) for name, values in figures.items()}


def identification(folds: Sequence[Search], embeddings: Embeddings, trained_on: Collection[str]) -> dict[str, Spread]:
    """rank-1 and rank-10: shares of probes with a right picture among the 1 and 10 of the gallery that are nearest.

    A tie counts against the probe. DataError as for `verification`, except that folds may share people, since no
    threshold goes from one to another, and if a probe's person is not in the gallery.
    """
    refuse_known(folds, trained_on)
    figures: dict[str, list[float]] = {f"rank-{rank}": [] for rank in RANKS}
    for fold in folds:
        similarity = _unit(embeddings, fold.probes) @ _unit(embeddings, fold.gallery).T
        probes, gallery = (np.array([_person(each) for each in side]) for side in (fold.probes, fold.gallery))
        if missing := set(probes) - set(gallery):
            raise DataError(f"{min(missing)} is looked for and not in the gallery")
        right = probes[:, None] == gallery
        best = np.where(right, similarity, -np.inf).max(1, keepdims=True)
        place = 1 + (~right & (similarity >= best)).sum(1)
        for rank in RANKS:
            figures[f"rank-{rank}"].append(float(np.mean(place <= rank)))
    return {name: _spread(values) for name, values in figures.items()}


def _disjoint(folds: Sequence[Fold], trained_on: Collection[str]) -> None:
    refuse_known(folds, trained_on)
    shared = [name for name, count in Counter(name for fold in folds for name in fold.people).items() if count > 1]
    if shared:
        raise DataError(f"{min(shared)} is in more than one fold")


def _of_both_kinds(folds: Sequence[Fold]) -> None:
    for number, fold in enumerate(folds, 1):
        if not fold.same.any() or fold.same.all():
            kind = "two people" if fold.same.any() else "one person"
            whose = min(fold.people, default="nobody")
            raise DataError(f"fold {number} of {len(folds)}, that of {whose}, has no pair of {kind}")


def refuse_known(folds: Sequence[Fold] | Sequence[Search], trained_on: Collection[str]) -> None:
    """DataError names a person of the folds who was trained on, however the name is written there."""
    letters = {_letters(name) for name in trained_on}
    known = {name for fold in folds for name in fold.people if _letters(name) in letters}
    if known:
        raise DataError(f"{len(known)} of the people were trained on, {min(known)} among them: they cannot be judged")


def _letters(name: str) -> str:
    """Of a name, without case, spaces and signs: George W. Bush of one set is George_W_Bush of another."""
    return "".join(filter(str.isalnum, name.casefold()))


def _cosines(embeddings: Embeddings, fold: Fold) -> NDArray[np.float64]:
    unit = _unit(embeddings, fold.pictures)
    return np.asarray((unit @ unit.T)[fold.pairs.left, fold.pairs.right])


def _unit(embeddings: Embeddings, pictures: Sequence[str]) -> NDArray[np.float64]:
    for picture in pictures:
        if picture not in embeddings:
            raise DataError(f"{picture} has no embedding")
    rows = np.array([embeddings[picture] for picture in pictures], float)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _spread(values: Sequence[float]) -> Spread:
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0)


# Lines


def _lfw_pair(line: str, place: str) -> tuple[str, str]:
    match line.split("\t") if "\t" in line else line.split():
        case [name, first, second] if first.isdecimal() and second.isdecimal():
            return _lfw_picture(name, first), _lfw_picture(name, second)
        case [name, first, other, second] if first.isdecimal() and second.isdecimal():
            return _lfw_picture(name, first), _lfw_picture(other, second)
    raise DataError(f"{place}: not a pair: {line!r}")


def _lfw_picture(name: str, number: str) -> str:
    return f"{name}/{name}_{int(number):04d}"


def _names(listed: Path) -> list[str]:
    found = []
    for number, line in enumerate(_lines(listed), 1):
        named = _PICTURE.fullmatch(line.strip())
        if named is None:
            raise DataError(f"{listed}:{number}: not a name and a picture: {line!r}")
        found.append("/".join(named.groups()))
    return found


def _pictures(share: Share, kind: str) -> list[str]:
    count = share.drawings if kind == "C" else share.photos
    return [f"{share.person}/{kind}{number:05d}" for number in range(1, count + 1)]


def _person(picture: str) -> str:
    return picture.rpartition("/")[0]


def _lines(path: Path) -> list[str]:
    """One or more. DataError."""
    found = lines_of(path)
    if not found:
        raise DataError(f"{path} is empty")
    return found
