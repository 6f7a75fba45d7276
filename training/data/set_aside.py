"""What no model may ever train on: people and drawings kept for evaluation, by lists committed once.

The lists stand in the folder `set_aside/`, one id per line, and never change, so that figures of different models and
of different days are on the same people. Everything under `tests/` of the data is set aside as well.

| list | keeps out | of |
|---|---|---|
| faces_id.txt | 40 people (column `identity`) | train-research/faces-id |
| congress256.txt | 100 photos, one a person (file stem) | train-clean/congress256 |
| landmarks68.txt | 60 people (column `person`), both halves | train-research/landmarks68 |
| cartoonset.txt | 400 drawings (file stem), 8 more of tests/cartoonset256 | cartoonset256, cartoonset-full256 |
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePosixPath

LISTS = Path(__file__).with_suffix("")

# data set -> (list, column of the index that holds the id; "file" stands for the file's stem)
_RULES = {
    "faces-id": ("faces_id", "identity"),
    "congress256": ("congress256", "file"),
    "landmarks68": ("landmarks68", "person"),
    "cartoonset256": ("cartoonset", "file"),
    "cartoonset-full256": ("cartoonset", "file"),
}


@cache
def ids(name: str) -> frozenset[str]:
    """The ids of one list, e.g. `ids("congress256")`; FileNotFoundError where there is no such list."""
    return frozenset((LISTS / f"{name}.txt").read_text(encoding="utf-8").split())


def is_set_aside(folder: str, row: Mapping[str, str]) -> bool:
    """Whether a row of an index file must not be trained on.

    `folder` is the data set's path below LIKENESS_DATA ("train-clean/congress256"), `row` its index row by column name.
    Sets without a list set nothing aside; a row without the column that its set's rule needs is a KeyError.
    """
    path = PurePosixPath(folder)
    if path.parts[0] == "tests":
        return True
    if path.name not in _RULES:
        return False
    name, column = _RULES[path.name]
    value = PurePosixPath(row[column]).stem if column == "file" else row[column]
    return value in ids(name)
