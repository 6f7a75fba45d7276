"""Pictures to evaluate with: a folder of them, a table (CSV) with what is known of each, or a pack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.alignment import Image
from training.data import sources
from training.data.pack import Pack
from training.data.pictures import read
from training.data.points import COUNTS, Points
from training.data.sources import Picture

POINTS = "points"


@dataclass(frozen=True)
class Seen:
    """A picture uint8 [H, W, 3] RGB and what its set says of it."""

    image: Image
    person: str = ""
    points: Points | None = None
    """In the picture's pixels."""
    attributes: Mapping[str, float] = field(default_factory=dict)


class Gallery:
    """As many pictures of a set as are asked for, always the same ones."""

    def __init__(self, path: Path, domain: str, count: int) -> None:
        """`domain`: of a pack that has more than one, only this; `count` 0: all. DataError if there is none."""
        self.path = path
        self._set = _Packed(path, domain) if path.is_file() and path.suffix != ".csv" else _Listed(path)
        chosen = np.random.default_rng(0).permutation(len(self._set))
        self._rows = np.sort(chosen[:count] if count else chosen)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Seen]:
        """DataError names the picture that cannot be read."""
        return (self._set[int(row)] for row in self._rows)


def has_domain(path: Path, domain: str) -> bool:
    """Whether this is a pack with pictures of that domain."""
    return path.is_file() and path.suffix != ".csv" and domain in Pack(path).names.get("domain", ())


class _Listed:
    """Files of a folder, in which a folder may be a person, or of a table, without those that it rejects."""

    def __init__(self, path: Path) -> None:
        found: list[Picture] = sources.folder(path) if path.is_dir() else sources.table(path)
        self._pictures = [picture for picture in found if not picture.rejected]
        self._root = path

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, row: int) -> Seen:
        known = self._pictures[row]
        person = known.person or (known.path.parent.name if self._root in known.path.parent.parents else "")
        return Seen(read(known.path), person, known.points, known.attributes)


class _Packed:
    """Rows of a pack. Columns of one number are attributes."""

    def __init__(self, path: Path, domain: str) -> None:
        pack = Pack(path)
        self._pack = pack.where("domain", domain) if domain in pack.names.get("domain", ()) else pack

    def __len__(self) -> int:
        return len(self._pack)

    def __getitem__(self, row: int) -> Seen:
        columns = {name: values[row] for name, values in self._pack.columns.items()}
        person = str(self._pack.names["person"][columns["person"]]) if "person" in self._pack.names else ""
        attributes = {
            name: float(value) for name, value in columns.items() if name not in self._pack.names and not value.shape
        }
        return Seen(self._pack.image(row), person, _points(columns.get(POINTS)), attributes)


def _points(found: NDArray[np.float64] | None) -> Points | None:
    """Points that are there; a pack of which only a part has any says so by numbers that are none."""
    if found is None or len(found) not in COUNTS or not np.isfinite(found).all():
        return None
    return found.astype(np.float64)
