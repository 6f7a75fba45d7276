"""Sets of pictures as they lie on disk, each format a function that lists its pictures. No picture is opened here."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.errors import DataError
from training.data.points import COUNTS, Points

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
PHOTO, DRAWING = "photo", "drawing"
# The five points of a table, by the names of their columns: x and y of each.
_FIVE = ("re", "le", "n", "rm", "lm")


@dataclass(frozen=True)
class Picture:
    """A picture on disk and what its set says of it."""

    path: Path
    domain: str = ""
    person: str = ""
    points: Points | None = None
    """In the picture's own pixels."""
    attributes: Mapping[str, float] = field(default_factory=dict)


def folder(root: Path, domain: str = "") -> list[Picture]:
    """All pictures below a folder. DataError if there is none."""
    found = [Picture(path, domain) for path in _pictures(root)]
    return _some(found, root)


def unpaired(root: Path, split: str = "train") -> list[Picture]:
    """trainA and trainB, as of CycleGAN and U-GAT-IT; the domains are A and B, or more. DataError."""
    parts = sorted(path for path in root.glob(f"{split}?") if path.is_dir())
    if len(parts) < 2:
        raise DataError(f"{root} has no {split}A and {split}B")
    return [picture for part in parts for picture in folder(part, part.name.removeprefix(split))]


def classes(root: Path) -> list[Picture]:
    """A folder for each person, or whatever the classes are. DataError."""
    found = [
        Picture(path, person=part.name)
        for part in sorted(root.iterdir())
        if part.is_dir()
        for path in _pictures(part)
    ]
    return _some(found, root)


def attribute_list(root: Path, listed: Path) -> list[Picture]:
    """CelebA's list_attr_celeba.txt: a count, names, then a file and 1 or -1 for each name. DataError."""
    lines = _lines(listed)
    names = lines[1].split() if len(lines) > 1 else []
    found = []
    for number, line in enumerate(lines[2:], 3):
        file, *values = line.split()
        if len(values) != len(names):
            raise DataError(f"{listed}:{number}: {len(values)} values for {len(names)} attributes")
        found.append(Picture(root / file, attributes=dict(zip(names, _numbers(values, listed, number), strict=True))))
    return _some(found, listed)


def table(listed: Path, domain: str = "") -> list[Picture]:
    """A CSV file beside a folder `img`: `file`; `person` or `identity`; points x0,y0,... or re_x,re_y,...; numbers.

    DataError names the line of a number that is none, and of points that are not of a known count.
    """
    with listed.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    images = listed.parent / "img" if (listed.parent / "img").is_dir() else listed.parent
    found = [_row(row, images, domain, f"{listed}:{number}") for number, row in enumerate(rows, 2)]
    return _some(found, listed)


def cartoon_set(root: Path) -> list[Picture]:
    """Google's Cartoon Set: NAME.png, and NAME.csv with a line `"attribute", value, variants` for each attribute."""
    found = []
    for path in sorted(root.rglob("*.png")):
        attributes = {}
        for number, line in enumerate(_lines(path.with_suffix(".csv")), 1):
            name, value, *_ = [part.strip().strip('"') for part in line.split(",")]
            attributes[name] = _numbers([value], path.with_suffix(".csv"), number)[0]
        found.append(Picture(path, DRAWING, attributes=attributes))
    return _some(found, root)


def web_caricature(root: Path) -> list[Picture]:
    """OriginalImages/PERSON/{C,P}NNNNN.jpg with FacialPoints/PERSON/{C,P}NNNNN.txt, 17 lines "x y" each. DataError."""
    found = []
    for path in _pictures(root / "OriginalImages"):
        person = path.parent.name
        points = _points_file(root / "FacialPoints" / person / f"{path.stem}.txt")
        found.append(Picture(path, DRAWING if path.stem.startswith("C") else PHOTO, person, points))
    return _some(found, root / "OriginalImages")


@dataclass(frozen=True)
class Share:
    """A line of WebCaricature's unrestricted protocol: a person, and how many pictures there are."""

    person: str
    drawings: int
    photos: int


def unrestricted_view(listed: Path) -> list[list[Share]]:
    """The folds of an unrestricted protocol file (view 1: one, view 2: ten, whose number may stand in front).

    Each begins with a line that has the number of its persons; a person's line is name, number of caricatures, number
    of photos, parted by tabs. DataError names the line that is otherwise.
    """
    lines, folds, place = _lines(listed), list[list[Share]](), 0
    if len(lines) > 1 and lines[0].strip().isdecimal() and lines[1].strip().isdecimal():
        place = 1
    while place < len(lines):
        if not lines[place].strip().isdecimal():
            raise DataError(f"{listed}:{place + 1}: not a number of persons: {lines[place]!r}")
        count = int(lines[place])
        if len(lines) < place + 1 + count:
            raise DataError(f"{listed}:{place + 1}: {count} persons announced, {len(lines) - place - 1} lines follow")
        folds.append([_share(listed, number, lines[number]) for number in range(place + 1, place + 1 + count)])
        place += 1 + count
    return folds


def _share(listed: Path, number: int, line: str) -> Share:
    parts = [part for part in line.split("\t") if part] if "\t" in line else line.rsplit(None, 2)
    if len(parts) != 3 or not (parts[1].strip().isdecimal() and parts[2].strip().isdecimal()):
        raise DataError(f"{listed}:{number + 1}: not a name and two numbers: {line!r}")
    return Share(parts[0].strip(), int(parts[1]), int(parts[2]))


def _row(row: Mapping[str, str], images: Path, domain: str, place: str) -> Picture:
    if not row.get("file"):
        raise DataError(f"{place}: no file")
    points = _row_points(row, place)
    taken = {"file", "person", "identity", *(f"{name}_{axis}" for name in _FIVE for axis in "xy")}
    attributes = {}
    for name, text in row.items():
        if name not in taken and not (name[0] in "xy" and name[1:].isdecimal()):
            try:
                attributes[name] = float(text)
            except ValueError:
                raise DataError(f"{place}: {name} is {text!r}, not a number") from None
    return Picture(images / row["file"], domain, row.get("person") or row.get("identity") or "", points, attributes)


def _row_points(row: Mapping[str, str], place: str) -> Points | None:
    if "re_x" in row:
        texts = [row[f"{name}_{axis}"] for name in _FIVE for axis in "xy"]
    else:
        count = sum(name[0] == "x" and name[1:].isdecimal() for name in row)
        texts = [row[f"{axis}{number}"] for number in range(count) for axis in "xy"]
    if not texts:
        return None
    return _counted(np.array(_numbers(texts, Path(place), 0)).reshape(-1, 2), place)


def _points_file(path: Path) -> Points:
    rows = [_numbers(line.split(), path, number) for number, line in enumerate(_lines(path), 1)]
    if any(len(row) != 2 for row in rows):
        raise DataError(f"{path}: a line that is not x and y")
    points = _counted(np.array(rows).reshape(-1, 2), str(path))
    if len(points) != 17:
        raise DataError(f"{path}: {len(points)} points instead of 17")
    return points


def _counted(points: NDArray[np.float64], place: str) -> Points:
    if len(points) not in COUNTS:
        raise DataError(f"{place}: {len(points)} points; there may be {', '.join(map(str, COUNTS))}")
    return points


def _numbers(texts: Iterable[str], path: Path, line: int) -> list[float]:
    try:
        return [float(text) for text in texts]
    except ValueError as error:
        where = f"{path}:{line}" if line else str(path)
        raise DataError(f"{where}: {error}") from None


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text("utf-8", "replace").splitlines() if line.strip()]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def _pictures(root: Path) -> Iterator[Path]:
    return iter(sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES))


def _some(found: list[Picture], root: Path) -> list[Picture]:
    if not found:
        raise DataError(f"{root}: no pictures")
    return found
