"""What there is to know of a set before anything learns from it, on one page that needs no other file."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from export.alignment import Image
from training.data.errors import DataError
from training.data.pictures import read, squared
from training.data.rejection import SEPARATOR
from training.data.sources import Picture
from training.page import embedded, filled

PAGE = Path(__file__).with_suffix(".html")
FEW = 100
"""Pictures of a domain: fewer are learnt by heart."""
SAME = 20
"""Levels. At half its size and as a JPEG of quality 60, the outline of a picture changes by 12 at most; that of another
portrait in the same frame is 29 away at least (studio portraits, cartoons of one style)."""
SAMPLES, SHOWN, ROWS = 12, 60, 20
"""Pictures of a domain, rejected pictures or groups of duplicates, and lines of a table, at most."""
_THUMBNAIL, _MEAN = 96, 128


@dataclass(frozen=True)
class Figure:
    """A small picture and what stands below it."""

    source: str
    """A data URI."""
    caption: str = ""


@dataclass(frozen=True)
class Domain:
    """A domain of the page."""

    name: str
    pictures: int
    persons: int
    rejected: int
    samples: Sequence[Figure]
    mean: Figure | None


class Examination:
    """Looks at the pictures of a set, each once, and tells."""

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self._pictures = pictures
        self._outlines: list[tuple[Picture, NDArray[np.uint8]]] = []
        self._sums: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros((_MEAN, _MEAN, 3)))
        self._summed = Counter[str]()
        self.sizes = Counter[str]()
        self.unreadable: list[str] = []

    def see(self, picture: Picture) -> None:
        """Open a picture; one that cannot be read is noted."""
        try:
            image = read(picture.path)
        except DataError as error:
            self.unreadable.append(str(error))
            return
        self.sizes[f"{image.shape[1]} x {image.shape[0]}"] += 1
        if not picture.rejected:
            self._outlines.append((picture, outline(image)))
            self._sums[picture.domain] += squared(image, _MEAN)
            self._summed[picture.domain] += 1

    def domains(self) -> list[Domain]:
        """In the order of their names."""
        return [self._domain(name) for name in sorted({picture.domain for picture in self._pictures})]

    @cached_property
    def duplicates(self) -> list[list[Picture]]:
        """Groups of pictures that are the same but for size and compression; what is rejected is left out."""
        groups = alike(np.array([each for _, each in self._outlines]).reshape(-1, 256))
        return [[self._outlines[index][0] for index in group] for group in groups]

    def complaints(self) -> list[str]:
        """What should be seen to, in words."""
        found = [f"{len(self.unreadable)} pictures cannot be read"] if self.unreadable else []
        kept = [picture for picture in self._pictures if not picture.rejected]
        counts = Counter(picture.domain for picture in kept)
        for name in sorted({picture.domain for picture in self._pictures}):
            if counts[name] < FEW:
                called = f"the domain {name}" if name else "the set"
                found.append(f"{called} has {counts[name]} pictures to learn from; below {FEW} are learnt by heart")
        groups = self.duplicates
        if groups:
            extra = sum(len(group) - 1 for group in groups)
            found.append(f"{extra} pictures are there more than once")
        if any(len({picture.split for picture in group}) > 1 for group in groups):
            found.append("a picture is in two parts: what is measured on one was learnt on the other")
        parts = defaultdict(set)
        for picture in kept:
            parts[picture.person].add(picture.split)
        shared = sorted(person for person, splits in parts.items() if person and len(splits) > 1)
        if shared:
            found.append(f"{len(shared)} persons are in two parts, {shared[0]} for one")
        if len(parts) == 1 and "" not in parts:
            found.append(f"all pictures are of {next(iter(parts))}: nothing can be learnt about identity")
        return found

    def page(self, title: str) -> str:
        """HTML, with all pictures inside."""
        rejected = [picture for picture in self._pictures if picture.rejected]
        persons = Counter(picture.person for picture in self._pictures if picture.person)
        return filled(
            PAGE,
            title=title,
            count=len(self._pictures),
            complaints=self.complaints(),
            domains=self.domains(),
            counts=[
                ("Parts", Counter(picture.split or "none" for picture in self._pictures).most_common(ROWS)),
                ("Pixels", self.sizes.most_common(ROWS)),
                ("Reasons of rejection", reasons(rejected).most_common(ROWS)),
                ("Persons with most pictures", persons.most_common(ROWS)),
            ],
            attributes=attributes(self._pictures),
            rejected=[figure for each in rejected[:SHOWN] if (figure := _shown(each, each.rejected))],
            rejections=len(rejected),
            duplicates=[
                [figure for each in group if (figure := _shown(each, each.split))] for group in self.duplicates[:SHOWN]
            ],
            duplicate_groups=len(self.duplicates),
            unreadable=self.unreadable,
        )

    def _domain(self, name: str) -> Domain:
        mine = [picture for picture in self._pictures if picture.domain == name]
        kept = [picture for picture in mine if not picture.rejected]
        evenly = np.linspace(0, len(kept) - 1, min(SAMPLES, len(kept))).astype(int)
        mean = self._sums[name] / self._summed[name] if self._summed[name] else None
        return Domain(
            name or "no domain",
            len(mine),
            len({picture.person for picture in mine if picture.person}),
            len(mine) - len(kept),
            [figure for index in evenly if (figure := _shown(kept[index]))],
            None if mean is None else Figure(embedded(np.rint(mean).astype(np.uint8))),
        )


def reasons(pictures: Iterable[Picture]) -> Counter[str]:
    """How often each reason of rejection was given."""
    return Counter(reason for picture in pictures for reason in picture.rejected.split(SEPARATOR) if reason)


def attributes(pictures: Iterable[Picture]) -> list[tuple[str, int, str]]:
    """Name, how many pictures have it, and its values: each with its count if there are few, else their range."""
    values = defaultdict[str, list[float]](list)
    for picture in pictures:
        for name, value in picture.attributes.items():
            values[name].append(value)
    return [(name, len(found), _spread(found)) for name, found in sorted(values.items())]


def outline(image: Image) -> NDArray[np.uint8]:
    """The picture in 16 x 16 grey levels, uint8 [256], which size and compression hardly change."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (16, 16), interpolation=cv2.INTER_AREA), np.uint8).ravel()


def alike(outlines: NDArray[np.uint8]) -> list[list[int]]:
    """Groups of two and more outlines [N, 256], no level of which is further than SAME from the first's."""
    groups, taken = [], np.zeros(len(outlines), bool)
    levels = outlines.astype(np.int16)
    means = levels.mean(-1)
    for index in range(len(outlines)):
        if not taken[index]:
            near = (~taken & (np.abs(means - means[index]) <= SAME)).nonzero()[0]  # only these can be alike
            group = near[np.abs(levels[near] - levels[index]).max(1) <= SAME]
            taken[group] = True
            if len(group) > 1:
                groups.append(group.tolist())
    return groups


def _spread(values: Sequence[float]) -> str:
    counts = Counter(values)
    if len(counts) <= ROWS:
        return ", ".join(f"{value:g}: {count:,}" for value, count in sorted(counts.items()))
    return f"{min(values):g} to {max(values):g}, mean {np.mean(values):g}"


def _shown(picture: Picture, note: str = "") -> Figure | None:
    """None if it cannot be read."""
    try:
        image = read(picture.path)
    except DataError:
        return None
    caption = ": ".join(text for text in (picture.path.name, note) if text)
    return Figure(embedded(squared(image, _THUMBNAIL)), caption)
