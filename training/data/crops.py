"""Faces cut out of a set's pictures, each to where a template has it, as the service cuts them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from PIL import Image as Pillow

from export.alignment import SPHEREFACE, SQUARE_256, Image, Template, apply, cut, similarity
from training.data.errors import DataError, writing
from training.data.pictures import read, size
from training.data.points import Points, five
from training.data.sources import Picture

TEMPLATES = {
    "square-256": SQUARE_256,
    "sphereface": SPHEREFACE,
    # SATNet's: twice the frame of SphereFace with 2 pixels more on each side, for crops at random.
    "satnet": Template(200, 232, tuple((2 * (x + 2), 2 * (y + 2)) for x, y in SPHEREFACE.points)),
}

Finder = Callable[[bytes], Points]
"""The five points [5, 2] of the largest face of an encoded picture; ValueError says why there are none."""


def no_finder(content: bytes) -> Points:
    """Where there is nothing to find points with."""
    raise ValueError("has no points, and only the command `likeness` finds them")


def part(template: Template, width: int, height: int, margin: int = 0) -> Template:
    """The frame that the middle of a template's crops shows, cut as training.data.views cuts it.

    Crops are made to cover `width` x `height` and `margin` pixels more both ways; pixel centres are at integers.
    """
    scale = max((width + margin) / template.width, (height + margin) / template.height)
    left, top = (scale * template.width - width) / 2, (scale * template.height - height) / 2
    points = (((x + 0.5) * scale - 0.5 - left, (y + 0.5) * scale - 0.5 - top) for x, y in template.points)
    return Template(width, height, tuple(points))


def align(pictures: Iterable[Picture], template: Template, into: Path, finder: Finder = no_finder) -> list[Picture]:
    """Write a crop of each picture below `into`; the crops, with their points in the template's frame.

    A picture that cannot be read, or has no face, is not cut: it stays what it was, rejected with the reason. DataError
    if that is true of all, or if a crop cannot be written.
    """
    into.mkdir(parents=True, exist_ok=True)
    found = []
    for number, picture in enumerate(pictures):
        try:
            crop, points = _crop(picture, template, finder)
        except (DataError, ValueError) as error:
            found.append(replace(picture, points=None, rejected=str(error).removeprefix(f"{picture.path} ")))
        else:
            path = into / f"{number:05d}-{picture.path.stem}.png"
            with writing(path):
                Pillow.fromarray(crop).save(path)
            found.append(replace(picture, path=path, points=points))
    if all(picture.points is None for picture in found):
        raise DataError(f"none of {len(found)} pictures can be aligned; {found[0].path}: {found[0].rejected}")
    return found


def check(pictures: Iterable[Picture], template: Template) -> None:
    """DataError names a picture with points that is no crop of the template."""
    for picture in pictures:
        if picture.points is not None and size(picture.path) != (template.width, template.height):
            width, height = size(picture.path)
            frame = f"{template.width} x {template.height}"
            raise DataError(f"{picture.path} has {width} x {height} pixels, the template {frame}: align the set to it")


def _crop(picture: Picture, template: Template, finder: Finder) -> tuple[Image, Points]:
    """ValueError says why there is none."""
    image = read(picture.path)
    points = finder(picture.path.read_bytes()) if picture.points is None else picture.points
    matrix = similarity(five(points), template.points)
    return cut(image, matrix, template), apply(matrix, points)
