"""What can be seen of a face in photos and in drawings: the colour of its hair, glasses, a smile.

The one place that knows what a column of labels means, the same in photos (CelebA) and in drawings (Cartoon Set):

    hair_color   0 bald, 1 blond, 2 red, 3 brown, 4 black, 5 grey; -1: nobody knows
    eyeglasses   1 there are some, of any kind; -1 or 0 there are none
    smiling      1 yes; -1 or 0 no

CelebA has no red hair: its photos of redheads are brown or not known. Every face of Cartoon Set smiles.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from export.alignment import Image
from training.data import disguise
from training.data.errors import DataError
from training.data.mouths import turned
from training.data.pack import Pack
from training.data.pictures import squared
from training.data.recognition import TRAIN
from training.data.sources import DRAWING
from training.engine.recipe import Row

HAIR, SMILE = "hair_color", "smiling"
ANSWERS: Mapping[str, tuple[str, ...]] = {
    HAIR: ("bald", "blond", "red", "brown", "black", "grey"),
    "eyeglasses": ("no", "yes"),
    SMILE: ("no", "yes"),
}
"""By attribute, in the order of their codes."""
UNKNOWN = -1
"""The code of what nobody knows."""

Codes = NDArray[np.int64]


def coded(name: str, values: ArrayLike) -> Codes:
    """Codes [N] of a column of labels; what is no number is not known. DataError names a hair colour that is none."""
    labels = np.asarray(values, np.float64)
    known = np.isfinite(labels)
    labels = np.where(known, labels, UNKNOWN)
    if name != HAIR:
        return np.where(known, labels > 0, UNKNOWN).astype(np.int64)
    codes = labels.astype(np.int64)
    if strange := labels[(codes != labels) | (codes < UNKNOWN) | (codes >= len(ANSWERS[HAIR]))].tolist():
        raise DataError(f"{HAIR} is {strange[0]:g}; there are {UNKNOWN} to {len(ANSWERS[HAIR]) - 1}")
    return codes


def codes_of(columns: Mapping[str, ArrayLike], count: int, source: object) -> dict[str, Codes]:
    """Codes [N] of every attribute, all unknown of one without a column.

    DataError names `source`, if nothing is known of any face or a label means nothing.
    """
    nothing = np.full(count, np.nan)
    try:
        found = {name: coded(name, columns.get(name, nothing)) for name in ANSWERS}
    except DataError as error:
        raise DataError(f"{source}: {error}") from None
    if all((codes == UNKNOWN).all() for codes in found.values()):
        raise DataError(f"{source}: of no face is {' or '.join(ANSWERS)} known")
    return found


def domains_of(pack: Pack) -> NDArray[np.str_]:
    """The domain of each row, "" where nobody says."""
    return np.array(pack.names.get("domain", [""]))[pack.columns.get("domain", np.zeros(len(pack), np.int64))]


class Labelled:
    """The faces of a pack that may be learnt from, each view another one (rows of a stream)."""

    def __init__(self, pack: Pack, size: int, *, drawn: float = 0.0, jitter: float = 1.0) -> None:
        """`drawn`: share of photos' views that look painted; `jitter` as in training.data.disguise. DataError.

        Answers weigh by how rare they are in their domain, as the inverse square root. An attribute in which all of a
        domain are alike weighs nothing there: what would be learnt is the domain. But half of the views of a drawing
        that smiles have the mouth turned, and do not smile.
        """
        self._pack = pack.where("split", TRAIN) if "split" in pack.names else pack
        self._size, self._drawn, self._jitter = size, drawn, jitter
        self._codes = codes_of(self._pack.columns, len(self._pack), pack.path)
        domains = domains_of(self._pack)
        self._drawing = domains == DRAWING
        self._turns = self._drawing & (self._codes[SMILE] == 1)
        self._weights = {name: weights(codes, domains) for name, codes in self._codes.items()}
        self._weights[SMILE][self._turns] = 1
        if not any(each.any() for each in self._weights.values()):
            raise DataError(f"{pack.path}: nothing to learn; all faces of a domain are alike")

    def __len__(self) -> int:
        return len(self._pack)

    def row(self, index: int, random: np.random.Generator) -> Row:
        """`image` uint8 [size, size, 3], a code for each attribute, and its `NAME_weight`."""
        codes = {name: each[index] for name, each in self._codes.items()}
        image = self._pack.image(index)
        if self._turns[index]:
            upside_down = random.random() < 0.5
            image = turned(image, upside_down=upside_down)
            codes[SMILE] = np.int64(not upside_down)
        drawn = 0.0 if self._drawing[index] else self._drawn
        weigh = {f"{name}_weight": each[index] for name, each in self._weights.items()}
        return {"image": varied(image, self._size, drawn, self._jitter, random), **codes, **weigh}


def weights(codes: Codes, domains: NDArray[np.str_]) -> NDArray[np.float32]:
    """Of each row [N], 1 on average in its domain; 0 where the code is unknown, or the same in all of the domain."""
    found = np.zeros(len(codes), np.float32)
    for domain in np.unique(domains):
        rows = np.flatnonzero((domains == domain) & (codes != UNKNOWN))
        _, answers, counts = np.unique(codes[rows], return_inverse=True, return_counts=True)
        if len(counts) > 1:
            rare = 1 / np.sqrt(counts)
            found[rows] = rare[answers] / np.average(rare, weights=counts)
    return found


def varied(image: Image, size: int, drawn: float, jitter: float, random: np.random.Generator) -> Image:
    """A view uint8 [size, size, 3]: moved, mirrored every other time, painted in colours with probability `drawn`."""
    view = disguise.moved(squared(image, size), size, size, 0.0, random, jitter)
    if random.random() < 0.5:
        view = view[:, ::-1]
    if random.random() < drawn:
        view = disguise.painted(np.ascontiguousarray(view), random, coloured=True)
    return np.ascontiguousarray(disguise.degraded(view, random, coloured=True))
