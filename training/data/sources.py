"""Sets of pictures as they lie on disk, each format a function that lists its pictures. No picture is opened here."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.errors import DataError
from training.data.points import COUNTS, Points

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
PHOTO, DRAWING = "photo", "drawing"
# The five points of a table, by the names of their columns: x and y of each.
_FIVE = ("re", "le", "n", "rm", "lm")
_POINTS = re.compile(rf"[xy]\d+|({'|'.join(_FIVE)})_[xy]")
_WORDS = frozenset({"file", "person", "identity", "domain", "split", "rejected", "source"})
_UNPAIRED = re.compile(r"(train|val|test)([A-Z])")


@dataclass(frozen=True)
class Picture:
    """A picture on disk and what its set says of it."""

    path: Path
    domain: str = ""
    person: str = ""
    points: Points | None = None
    """In the picture's own pixels."""
    attributes: Mapping[str, float] = field(default_factory=dict)
    split: str = ""
    """The part that it is in: train, test."""
    rejected: str = ""
    """Why it is not to be learnt from, if it is not."""
    source: str = ""
    """The data set that it came from and, in brackets, its terms."""


def folder(root: Path, domain: str = "") -> list[Picture]:
    """All pictures below a folder. DataError if there is none."""
    found = [Picture(path, domain) for path in _pictures(root)]
    return _some(found, root)


def unpaired(root: Path) -> list[Picture]:
    """trainA and trainB, as of CycleGAN and U-GAT-IT, perhaps testA and testB: the domains are A and B, or more.

    DataError, also if one of the folders is empty.
    """
    parts = [(path, named) for path in _folders(root) if (named := _UNPAIRED.fullmatch(path.name))]
    if len({named[2] for _, named in parts if named[1] == "train"}) < 2:
        raise DataError(f"{root} has no trainA and trainB")
    return [replace(picture, split=named[1]) for path, named in parts for picture in folder(path, named[2])]


def classes(root: Path) -> list[Picture]:
    """A folder for each person, or whatever the classes are. DataError."""
    found = [Picture(path, person=part.name) for part in _folders(root) for path in _pictures(part)]
    return _some(found, root)


def attribute_list(listed: Path, root: Path | None = None) -> list[Picture]:
    """CelebA's list_attr_celeba.txt: a count, names, then a file and 1 or -1 for each name.

    The pictures lie below `root`, or else where a table's would. DataError names the line that is otherwise.
    """
    lines, root = lines_of(listed), root or pictures_of(listed)
    names = lines[1].split() if len(lines) > 1 else []
    if lines and lines[0].strip() != str(len(lines) - 2):
        raise DataError(f"{listed}:1: {lines[0].strip()!r} pictures announced, {len(lines) - 2} lines follow the names")
    found = []
    for number, line in enumerate(lines[2:], 3):
        file, *values = line.split()
        if len(values) != len(names):
            raise DataError(f"{listed}:{number}: {len(values)} values for {len(names)} attributes")
        found.append(Picture(root / file, attributes=dict(zip(names, _numbers(values, listed, number), strict=True))))
    return _some(found, listed)


def table(listed: Path, root: Path | None = None) -> list[Picture]:
    """A CSV file with a line for each picture, of which only `file` must be told.

    Further columns: `person` (or `identity`), `domain`, `split`, `rejected`, `source`; points x0,y0,x1,... or
    re_x,re_y,le_x,... (empty where they are not known); any others are attributes, which are numbers, or text that is
    passed over. The pictures lie below `root`, or else in `img` beside the table, or else beside it. DataError names
    the line of a number that is none, and of points that are not of a known count, or nowhere.
    """
    rows = table_rows(listed)
    numbers = {name for row in rows for name, text in row.items() if name not in _WORDS and _is_number(text)}
    attributes = sorted(name for name in numbers if not _POINTS.fullmatch(name))
    images = root or pictures_of(listed)
    found = [_row(row, images, attributes, f"{listed}:{number}") for number, row in enumerate(rows, 2)]
    return _some(found, listed)


def table_rows(listed: Path) -> list[dict[str, str]]:
    """The lines of a CSV file by their columns, as text. DataError names one that has too few or too many cells."""
    try:
        with listed.open(encoding="utf-8-sig", newline="") as opened:
            rows: list[dict[str, str]] = list(csv.DictReader(opened))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{listed} cannot be read: {error}") from error
    for number, row in enumerate(rows, 2):
        # A line that is too long has a key None, one that is too short values None.
        if None in row or None in row.values():
            raise DataError(f"{listed}:{number}: not as many cells as there are columns")
    return rows


def pictures_of(listed: Path) -> Path:
    """Where the pictures of a table lie: in `img` beside it if there is such a folder, else beside it."""
    beside = listed.parent / "img"
    return beside if beside.is_dir() else listed.parent


def cartoon_set(root: Path) -> list[Picture]:
    """Google's Cartoon Set: NAME.png, and NAME.csv with a line `"attribute", value, variants` for each attribute."""
    found = []
    for path in sorted(root.rglob("*.png")):
        attributes = {}
        listed = path.with_suffix(".csv")
        for number, line in enumerate(lines_of(listed), 1):
            name, *values = [part.strip().strip('"') for part in line.split(",")]
            if len(values) != 2:
                raise DataError(f"{listed}:{number}: not an attribute, its value and how many there are: {line!r}")
            attributes[name] = _numbers(values, listed, number)[0]
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
    return [[_share(place, line) for place, line in fold] for fold in _folds(listed, "persons", 1)]


@dataclass(frozen=True)
class Pair:
    """A line of WebCaricature's restricted protocol: a drawing and a photo, each as person and file without suffix."""

    drawing: tuple[str, str]
    photo: tuple[str, str]

    @property
    def matched(self) -> bool:
        """Whether they show one person."""
        return self.drawing[0] == self.photo[0]


def restricted_view(listed: Path) -> list[list[Pair]]:
    """The folds of a restricted protocol file (view 1: one, view 2: ten).

    Each begins with a line that has the number n of its matched pairs, followed by n lines "person, drawing, photo" and
    n lines "person, drawing, other person, photo", parted by tabs. DataError names the line that is otherwise.
    """
    folds = _folds(listed, "matched pairs", 2)
    return [
        [_pair(place, line, matched=number < len(fold) // 2) for number, (place, line) in enumerate(fold)]
        for fold in folds
    ]


def people(listed: Path) -> frozenset[str]:
    """The names of a file that has one a line, or of all folds of an unrestricted protocol file. DataError."""
    lines = lines_of(listed)
    if lines and lines[0].strip().isdecimal():
        return frozenset(share.person for fold in unrestricted_view(listed) for share in fold)
    return frozenset(line.strip() for line in lines)


def _folds(listed: Path, things: str, lines_each: int) -> list[list[tuple[str, str]]]:
    """The lines of each fold, with their places, in a file where every fold begins with its number of things."""
    lines, folds, begin = lines_of(listed), list[list[tuple[str, str]]](), 0
    if len(lines) > 1 and lines[0].strip().isdecimal() and lines[1].strip().isdecimal():
        begin = 1  # the number of folds
    while begin < len(lines):
        place = f"{listed}:{begin + 1}"
        if not lines[begin].strip().isdecimal():
            raise DataError(f"{place}: not a number of {things}: {lines[begin]!r}")
        count = lines_each * int(lines[begin])
        if not count:
            raise DataError(f"{place}: no {things} are announced")
        fold = lines[begin + 1 : begin + 1 + count]
        if len(fold) < count:
            raise DataError(f"{place}: {lines[begin].strip()} {things} announced, {len(fold)} lines follow")
        folds.append([(f"{listed}:{number}", line) for number, line in enumerate(fold, begin + 2)])
        begin += 1 + count
    return folds


def _share(place: str, line: str) -> Share:
    parts = [part for part in line.split("\t") if part] if "\t" in line else line.rsplit(None, 2)
    if len(parts) != 3 or not (parts[1].strip().isdecimal() and parts[2].strip().isdecimal()):
        raise DataError(f"{place}: not a name and two numbers: {line!r}")
    return Share(parts[0].strip(), int(parts[1]), int(parts[2]))


def _pair(place: str, line: str, *, matched: bool) -> Pair:
    parts = [part.strip() for part in line.split("\t") if part.strip()]
    if len(parts) != (3 if matched else 4):
        raise DataError(f"{place}: not a {'matched' if matched else 'mismatched'} pair: {line!r}")
    person, drawing, *other, photo = parts
    return Pair((person, drawing), (other[0] if other else person, photo))


def _row(row: Mapping[str, str], images: Path, attributes: Iterable[str], place: str) -> Picture:
    if not row.get("file"):
        raise DataError(f"{place}: no file")
    for name in attributes:
        if row[name] and not _is_number(row[name]):
            raise DataError(f"{place}: {name} is {row[name]!r}, not a number")
    return Picture(
        images / row["file"],
        row.get("domain", ""),
        row.get("person") or row.get("identity") or "",
        _row_points(row, place),
        {name: float(row[name]) for name in attributes if row[name]},
        row.get("split", ""),
        row.get("rejected", ""),
        row.get("source", ""),
    )


def _row_points(row: Mapping[str, str], place: str) -> Points | None:
    if "re_x" in row:
        texts = [row.get(f"{name}_{axis}", "") for name in _FIVE for axis in "xy"]
    else:
        count = sum(name[:1] == "x" and name[1:].isdecimal() for name in row)
        texts = [row.get(f"{axis}{number}", "") for number in range(count) for axis in "xy"]
    if not any(texts):
        return None
    return _counted(np.array(_numbers(texts, Path(place), 0)).reshape(-1, 2), place)


def _points_file(path: Path) -> Points:
    rows = [_numbers(line.split(), path, number) for number, line in enumerate(lines_of(path), 1)]
    if any(len(row) != 2 for row in rows):
        raise DataError(f"{path}: a line that is not x and y")
    if len(rows) != 17:
        raise DataError(f"{path}: {len(rows)} points instead of 17")
    return _counted(np.array(rows), str(path))


def _counted(points: NDArray[np.float64], place: str) -> Points:
    if len(points) not in COUNTS:
        raise DataError(f"{place}: {len(points)} points; there may be {', '.join(map(str, COUNTS))}")
    if not np.isfinite(points).all():
        raise DataError(f"{place}: a point whose place is no number")
    return points


def _numbers(texts: Iterable[str], path: Path, line: int) -> list[float]:
    try:
        return [float(text) for text in texts]
    except ValueError as error:
        where = f"{path}:{line}" if line else str(path)
        raise DataError(f"{where}: {error}") from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def lines_of(path: Path) -> list[str]:
    """Those that are not blank, of a file of text. DataError if it cannot be read."""
    try:
        return [line for line in path.read_text("utf-8", "replace").splitlines() if line.strip()]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def _folders(root: Path) -> list[Path]:
    """DataError if there is no such folder."""
    if not root.is_dir():
        raise DataError(f"{root} is no folder")
    return sorted(path for path in root.iterdir() if path.is_dir())


def _pictures(root: Path) -> Iterator[Path]:
    if not root.is_dir():
        raise DataError(f"{root} is no folder")
    return iter(sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES))


def _some(found: list[Picture], root: Path) -> list[Picture]:
    if not found:
        raise DataError(f"{root}: no pictures")
    return found
