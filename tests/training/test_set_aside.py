import csv
import os
from pathlib import Path

import pytest

from training.data import set_aside


@pytest.mark.parametrize(
    "name, count", [("faces_id", 40), ("congress256", 100), ("landmarks68", 60), ("cartoonset", 408)]
)
def test_lists_hold_their_number_of_different_ids(name, count):
    """A list never changes: its length is known, and no id stands in it twice."""
    lines = (set_aside.LISTS / f"{name}.txt").read_text().split()
    assert len(lines) == len(set(lines)) == count == len(set_aside.ids(name))


def test_every_test_picture_is_set_aside():
    """No row of a set below tests/ may be trained on, whatever it holds."""
    assert set_aside.is_set_aside("tests/london256", {"file": "neutral_front/008_03.jpg", "person": "008"})
    assert set_aside.is_set_aside("tests/synth512", {})


def test_the_rule_of_each_set_reads_its_own_column():
    """faces-id goes by identity, landmarks68 by person, congress256 and the Cartoon Set by the stem of the file."""
    identity = min(set_aside.ids("faces_id"))
    assert set_aside.is_set_aside("train-research/faces-id", {"file": "1/2.webp", "identity": identity})
    assert not set_aside.is_set_aside("train-research/faces-id", {"file": f"{identity}/2.webp", "identity": "none"})
    person = min(set_aside.ids("landmarks68"))
    assert set_aside.is_set_aside("train-research/landmarks68", {"file": "training/x.webp", "person": person})
    photo = min(set_aside.ids("congress256"))
    assert set_aside.is_set_aside("train-clean/congress256", {"file": f"{photo}.webp", "person": photo})
    drawing = min(set_aside.ids("cartoonset"))
    for folder in ("train-clean/cartoonset256", "train-clean/cartoonset-full256"):
        assert set_aside.is_set_aside(folder, {"file": f"{drawing}.webp"})


def test_sets_without_a_list_set_nothing_aside():
    """A stem that is set aside in one set keeps nothing out of another."""
    stem = min(set_aside.ids("congress256"))
    assert not set_aside.is_set_aside("train-clean/ukparl120x160", {"file": f"{stem}.webp", "person": stem})


def test_a_row_without_its_column_is_an_error():
    """A mistaken index is refused rather than let through."""
    with pytest.raises(KeyError):
        set_aside.is_set_aside("train-research/faces-id", {"file": "1/2.webp"})


@pytest.mark.skipif("LIKENESS_DATA" not in os.environ, reason="LIKENESS_DATA is not set")
@pytest.mark.parametrize(
    "folder, index, column, count",
    [
        ("train-research/faces-id", "index.csv", "identity", 40),
        ("train-clean/congress256", "index.csv", "file", 100),
        ("train-research/landmarks68", "landmarks68.csv", "person", 60),
        ("train-clean/cartoonset256", "labels.csv", "file", 400),
    ],
)
def test_the_data_set_holds_all_that_is_set_aside(folder, index, column, count):
    """Every id of a list occurs in the data, so evaluation is on as many people as the list has."""
    path = Path(os.environ["LIKENESS_DATA"], folder, index)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file) if set_aside.is_set_aside(folder, row)]
    assert len({row[column] for row in rows}) == count
