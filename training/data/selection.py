"""Which pictures of a set go into a pack, and what of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from training.data.errors import DataError
from training.data.pack import Example
from training.data.pictures import read, squared
from training.data.points import five
from training.data.sources import Picture

NAMES = ("domain", "person", "split", "source")


def selected(pictures: Sequence[Picture], part: str | None = None, *, rejected: bool = False) -> list[Picture]:
    """Those of a part, or of all, that are not rejected, or all. DataError if that leaves a domain empty."""
    found = [each for each in pictures if (rejected or not each.rejected) and part in (None, each.split)]
    for domain in sorted({picture.domain for picture in pictures} - {picture.domain for picture in found}):
        called = f"the domain {domain}" if domain else "the set"
        where = f"; there is no part {part}" if part not in {None, *(each.split for each in pictures)} else ""
        raise DataError(f"{called} has no picture left: all are rejected or in another part{where}")
    return found


def examples(pictures: Sequence[Picture], side: int | None = None) -> Iterator[Example]:
    """The pictures with the columns that all of them have, squares of `side` pixels if that is given.

    DataError names a picture that cannot be read, or that has another size than the first. Points are left out where a
    picture is resized.
    """
    names = [name for name in NAMES if any(getattr(each, name) for each in pictures)]
    attributes = sorted(set.intersection(*(set(each.attributes) for each in pictures)))
    with_points = side is None and all(each.points is not None for each in pictures)
    mixed = len({len(each.points) for each in pictures if each.points is not None}) > 1
    first = None
    for picture in pictures:
        image = read(picture.path) if side is None else squared(read(picture.path), side)
        first = first or (_pixels(image), picture.path)
        if _pixels(image) != first[0]:
            sizes = f"{picture.path} has {_pixels(image)} pixels, {first[1]} {first[0]}"
            raise DataError(f"{sizes}: align them, or make all of one size with --side")
        numbers = {name: np.array(picture.attributes[name], np.float32) for name in attributes}
        if with_points and picture.points is not None:
            numbers["points"] = (five(picture.points) if mixed else picture.points).astype(np.float32)
        yield Example(image, {name: getattr(picture, name) for name in names}, numbers)


def _pixels(image: np.ndarray) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"
