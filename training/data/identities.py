"""What a face encoder learns from: views of a pack's faces, each with who it is and what the teacher says of it.

The pack has aligned faces, or faces with `points` to align them by, and further columns: `person` ("" where nobody
knows), `split` (what is not `train` is set aside), `source` (a data set and its terms), `descriptor` (the teacher's)
and `teacher` (its file and digest).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from export.alignment import SPHEREFACE
from training.data.disguise import disguise
from training.data.errors import DataError
from training.data.pack import Pack
from training.data.pose import turned
from training.data.recognition import TRAIN, aligned
from training.engine.recipe import Row

UNKNOWN = -1
"""The label of a face without a name."""


@dataclass(frozen=True)
class Views:
    """How a face is varied from one view to the next."""

    drawn: float = 0.0
    """Share of views that look drawn."""
    turned: float = 0.0
    """Share of views with the head turned, by up to `degrees`."""
    degrees: float = 20.0
    few: int = 0
    """Only people with no more photos than these are turned; 0: everyone."""
    jitter: float = 1.0
    """Times the small random similarity."""
    mirrored: bool = True


class Identities:
    """The faces of a pack that may be learnt from (rows of a stream)."""

    def __init__(self, pack: Pack, views: Views) -> None:
        """DataError if there is nothing to learn: no names and no descriptors, or one person only."""
        self._pack = pack.where("split", TRAIN) if "split" in pack.names else pack
        self._views = views
        columns, count = self._pack.columns, len(self._pack)
        codes = columns["person"] if "person" in columns else np.zeros(count, np.int32)
        names = np.array(pack.names.get("person", [""]))
        known = [code for code in np.unique(codes) if names[code]]
        if len(known) == 1:
            raise DataError(f"{pack.path}: one person only; telling people apart takes two")
        self.people = [str(names[code]) for code in known]
        """Of the labels 0, 1, ..."""
        self._labels = np.where(np.isin(codes, known), np.searchsorted(known, codes), UNKNOWN)
        descriptors = np.asarray(columns.get("descriptor", np.zeros((count, 0))), np.float32)
        self._descriptors = descriptors - descriptors.mean(0)
        if not self.people and not self.descriptor:
            raise DataError(f"{pack.path}: nothing to learn from; it has neither `person` nor `descriptor`")
        photos = np.bincount(self._labels - UNKNOWN)[self._labels - UNKNOWN]
        self._turns = (views.few == 0) | ((self._labels != UNKNOWN) & (photos <= views.few))

    def __len__(self) -> int:
        return len(self._pack)

    @property
    def descriptor(self) -> int:
        """How many numbers the teacher says of a face; 0: there is no teacher."""
        return int(self._descriptors.shape[1])

    @property
    def teachers(self) -> tuple[str, ...]:
        """The networks whose descriptors are learnt, if the pack knows them."""
        return self._pack.present("teacher") if self.descriptor else ()

    @property
    def sources(self) -> tuple[str, ...]:
        """The data sets and their terms, if the pack knows them."""
        return self._pack.present("source")

    def row(self, index: int, random: np.random.Generator) -> Row:
        """`image` uint8 [112, 96, 3], `label`, and `descriptor` less the mean of all."""
        how = self._views
        crop, points = aligned(self._pack, index)
        share, angle = random.random(), random.uniform(-how.degrees, how.degrees)
        if share < how.turned and self._turns[index]:
            crop = turned(crop, points, angle)
        size = SPHEREFACE.width, SPHEREFACE.height
        image = disguise(crop, *size, how.drawn, random, jitter=how.jitter, mirrored=how.mirrored)
        row = {"image": np.ascontiguousarray(image), "label": int(self._labels[index])}
        return row | ({"descriptor": self._descriptors[index]} if self.descriptor else {})
