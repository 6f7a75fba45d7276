"""People whose drawings became photos again: whether a face is seen there, and whose, by dlib, which is in no loss."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import dlib
import numpy as np
from numpy.typing import NDArray

from export.alignment import Image, Template, cut, similarity
from training.data.errors import DataError
from training.data.portraits import Landmarker
from training.data.recognition import Photo, Teacher, detector_box, see
from training.metrics.interval import Interval, share

DRAWN = 2
"""Photos of a person that are drawn; one more stands among those of the others, to be known by."""
BATCH = 32


@dataclass(frozen=True)
class People:
    """N photos of P people in a translator's frame, `persons` int [N], and another one of each of the people, P."""

    photos: Sequence[Image]
    persons: NDArray[np.int64]
    known: Sequence[Image]

    @classmethod
    def of(cls, photos: Iterable[Photo], template: Template) -> Self:
        """The first photos of everyone who has two. DataError if nobody has."""
        rows = defaultdict[str, list[Photo]](list)
        for photo in photos:
            rows[photo.person].append(photo)
        crops = [
            [cut(each.image, similarity(each.points, template.points), template) for each in see(some[: DRAWN + 1])]
            for some in rows.values()
        ]
        known, drawn = [], list[tuple[int, Image]]()
        for first, *others in (some for some in crops if len(some) > 1):
            drawn += [(len(known), each) for each in others]
            known.append(first)
        if not known:
            raise DataError("there is nobody with two photos")
        persons, chosen = zip(*drawn, strict=True)
        return cls(chosen, np.array(persons), known)


class Eyes:
    """dlib's detector, its 68 points and its recogniser."""

    def __init__(self) -> None:
        self._landmarker, self._teacher = Landmarker(), Teacher()

    def landmarks(self, face: Image, template: Template) -> NDArray[np.float64]:
        """The 68 points [68, 2] of an aligned photo."""
        parts = self._teacher.shape(face, detector_box(np.array(template.points)))
        return np.array([(part.x, part.y) for part in parts.parts()], float)

    def known(self, photos: Sequence[Image], template: Template) -> NDArray[np.float32]:
        """Descriptors [N, 128] of aligned photos."""
        return self._described([self._teacher.chip(photo, np.array(template.points)) for photo in photos])

    def seen(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        """Descriptors [N, 128] of the largest face that is found in each; not numbers where none is."""
        found = [self._landmarker.parts(picture) for picture in pictures]
        faces = [row for row, parts in enumerate(found) if parts is not None]
        descriptors = np.full((len(pictures), 128), np.nan, np.float32)
        if faces:
            descriptors[faces] = self._described([dlib.get_face_chip(pictures[row], found[row]) for row in faces])
        return descriptors

    def _described(self, chips: Sequence[Image]) -> NDArray[np.float32]:
        rows = range(0, len(chips), BATCH)
        return np.concatenate([self._teacher.describe(chips[begin : begin + BATCH]) for begin in rows])


def recognised(
    seen: NDArray[np.float32], persons: NDArray[np.int64], known: NDArray[np.float32]
) -> Mapping[str, Interval]:
    """Which share has a face, and in which that is nearer to its person's known photo than to any other's.

    `seen` [N, 128] with a row that is no numbers for no face, `persons` [N] of `known` [P, 128]. The pictures of one
    person are alike: intervals are as of so many people.
    """
    found, count = np.isfinite(seen).all(1), len(known)
    apart = np.linalg.norm(np.nan_to_num(seen)[:, None] - known[None], axis=2)
    return {"detected": share(found, count), "rank-1": share(found & (apart.argmin(1) == persons), count)}
