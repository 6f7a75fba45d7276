"""training.data.paired: what is told of pairs, and which drawings of others stand beside them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from training.data.errors import DataError
from training.data.pack import Example, Pack, write
from training.data.paired import Beside, Drawings, Known, Shapes, clusters, column
from training.engine.recipe import Row

WOMEN = np.array([0, 1, 0, 1, 1])


class Pairs:
    """Whose photos are of men and women in turn (stream)."""

    def __getitem__(self, place: int) -> Row:
        return {"place": place, "female": place % 2, "person": place % 3}


class Sketches:
    """Five, told by their grey (rows)."""

    def __len__(self) -> int:
        return len(WOMEN)

    def row(self, index: int, random: np.random.Generator) -> Row:
        return {"image": np.full((2, 2, 3), index, np.uint8)}


def beside(**known: object) -> list[Row]:
    stream = Beside(Pairs(), Sketches(), seed=4, **known)
    return [stream[place] for place in range(40)]


def test_any_drawing_may_stand_beside_a_pair() -> None:
    """Each of them does, at a place always the same; the pair stays what it is."""
    rows = beside()
    assert {int(row["other"][0, 0, 0]) for row in rows} == set(range(5))
    assert all(np.array_equal(row["other"], again["other"]) for row, again in zip(rows, beside(), strict=True))
    assert [row["place"] for row in rows] == list(range(40))


def test_what_is_told_of_a_drawing_comes_with_it() -> None:
    """Of that one, and no other."""
    rows = beside(told={"cluster": np.arange(5) * 10})
    assert all(row["cluster"] == 10 * row["other"][0, 0, 0] for row in rows)


def test_a_man_gets_the_style_of_a_man() -> None:
    """Drawings are alike in the column, and all that are may be chosen."""
    rows = beside(alike=("female", WOMEN))
    assert all(WOMEN[row["other"][0, 0, 0]] == row["female"] for row in rows)
    assert {int(row["other"][0, 0, 0]) for row in rows} == set(range(5))


def test_a_person_comes_with_what_is_known_of_it() -> None:
    """By its code."""
    known = np.eye(3, dtype=np.float32)
    stream = Known(Pairs(), known)
    assert all(np.array_equal(stream[place]["prototype"], known[place % 3]) for place in range(6))


def test_kinds_of_styles_are_those_that_lie_apart() -> None:
    """Three heaps, whoever is first; the same seed has the same names for them."""
    random = np.random.default_rng(0)
    heap = random.integers(0, 3, 60)
    styles = (np.eye(10)[heap] * 5 + 0.1 * random.standard_normal((60, 10))).astype(np.float32)
    codes = clusters(styles, 3)
    assert {len(set(codes[heap == each])) for each in range(3)} == {1} and len(set(codes)) == 3
    assert np.array_equal(codes, clusters(styles, 3))
    with pytest.raises(DataError, match="2 drawings are of no 3 kinds"):
        clusters(styles[:2], 3)


@pytest.fixture(name="pack")
def pack_(tmp_path: Path) -> Pack:
    """Three pairs, by one of which nobody is named."""
    image, style = np.zeros((256, 512, 3), np.uint8), np.zeros(10, np.float32)

    def pair(person: str, house: str) -> Example:
        return Example(image, {"person": person, "house": house}, {"style": style, "female": np.float64(person == "")})

    write(tmp_path / "some.pack", [pair("ada", "a"), pair("", "b"), pair("carl", "a")])
    return Pack(tmp_path / "some.pack")


def test_columns_of_a_pack_come_with_its_pairs(pack: Pack) -> None:
    """If asked for."""
    rows = Drawings(pack, 128, 0, 3, told=("house", "female"))
    found: list[Mapping[str, object]] = [rows.row(index, np.random.default_rng(0)) for index in range(3)]
    assert [(each["house"], each["female"]) for each in found] == [(0, 0), (1, 1), (0, 0)]
    assert "female" not in Drawings(pack, 128, 0, 3).row(0, np.random.default_rng(0))


def test_columns_of_a_pack_come_with_its_shapes(shapes_pack: Pack) -> None:
    """Mirrored or not."""
    rows = Shapes(shapes_pack, 0, 2, told=("person",))
    assert [rows.row(index, np.random.default_rng(seed))["person"] for seed in (0, 1) for index in (0, 1)] == [1, 0] * 2


@pytest.fixture(name="shapes_pack")
def shapes_pack_(tmp_path: Path) -> Pack:
    """Two people."""
    numbers = {
        "landmarks": np.zeros((68, 2), np.float32),
        "displacement": np.zeros((68, 2), np.float32),
        "field": np.zeros((32, 32, 2), np.float16),
        "code": np.zeros(8, np.float32),
    }
    image = np.zeros((128, 128, 3), np.uint8)
    write(tmp_path / "shapes.pack", [Example(image, {"person": person}, numbers) for person in ("bob", "ada")])
    return Pack(tmp_path / "shapes.pack")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("age", "some.pack: has no column age"), ("person", "some.pack: does not say which person some pictures are of")],
)
def test_what_a_pack_does_not_tell_is_named(pack: Pack, name: str, complaint: str) -> None:
    """A column that is not there, and one that has holes."""
    assert column(pack, "house").tolist() == [0, 1, 0]
    with pytest.raises(DataError, match=complaint):
        column(pack, name)
