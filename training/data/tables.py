"""Tables that our own commands write: what training.data.sources.table reads, and a column more."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from training.data.errors import writing
from training.data.points import five
from training.data.sources import Picture, pictures_of, table_rows
from training.engine.drafts import drafted

INDEX = "index.csv"


def write(listed: Path, pictures: Sequence[Picture]) -> None:
    """A line for each picture, with all that is known of it."""
    counts = {len(picture.points) for picture in pictures if picture.points is not None}
    # Of points of several forms the five that all have.
    count = counts.pop() if len(counts) == 1 else 5 if counts else 0
    attributes = sorted({name for picture in pictures for name in picture.attributes})
    _write(listed, [_row(picture, pictures_of(listed), count, attributes) for picture in pictures])


def mark(listed: Path, column: str, values: Iterable[str]) -> None:
    """Write a column of a table anew, one value a line; all others stay as they are, whatever they are."""
    _write(listed, [{**row, column: value} for row, value in zip(table_rows(listed), values, strict=True)])


def _row(picture: Picture, images: Path, count: int, attributes: Iterable[str]) -> dict[str, Any]:
    below = picture.path.is_relative_to(images)
    points = picture.points if picture.points is None or len(picture.points) == count else five(picture.points)
    return {
        "file": str(picture.path.relative_to(images) if below else picture.path.resolve()),
        "domain": picture.domain,
        "person": picture.person,
        "split": picture.split,
        "rejected": picture.rejected,
        "source": picture.source,
        **{
            f"{axis}{number}": "" if points is None else f"{points[number]['xy'.index(axis)]:.2f}"
            for number in range(count)
            for axis in "xy"
        },
        **{name: f"{picture.attributes[name]:g}" if name in picture.attributes else "" for name in attributes},
    }


def _write(listed: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """In one step, so that an interruption leaves an earlier table whole. DataError."""
    with writing(listed):
        listed.parent.mkdir(parents=True, exist_ok=True)
        with drafted(listed) as draft, draft.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.DictWriter(opened, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
