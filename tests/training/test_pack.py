"""training.data.pack: a set in one file."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.training.disk import full, spoil
from training.data.errors import DataError
from training.data.pack import Example, Pack, write


def examples(count: int = 6) -> list[Example]:
    """Pictures of one colour each, of two people in two domains."""
    return [
        Example(
            np.full((16, 24, 3), (30 * number, 200, 10), np.uint8),
            {"person": f"p{number % 2}", "domain": "drawing" if number > 3 else "photo"},
            {"points": np.full((5, 2), number, np.float32)},
        )
        for number in range(count)
    ]


def test_what_is_packed_comes_out(tmp_path: Path) -> None:
    """Pictures nearly, names and numbers exactly, in their order."""
    assert write(tmp_path / "x.pack", examples()) == 6
    pack = Pack(tmp_path / "x.pack")
    assert len(pack) == 6 and pack.images().shape == (6, 16, 24, 3)
    for number, example in enumerate(examples()):
        assert np.abs(pack.image(number).astype(int) - example.image).max() <= 3
        assert pack.names["person"][pack.columns["person"][number]] == example.names["person"]
        assert np.array_equal(pack.columns["points"][number], example.numbers["points"])


def test_a_part_is_a_pack(tmp_path: Path) -> None:
    """Its rows are those that have the name; it can go to another process."""
    write(tmp_path / "x.pack", examples())
    drawings = pickle.loads(pickle.dumps(Pack(tmp_path / "x.pack").where("domain", "drawing")))
    assert len(drawings) == 2 and drawings.columns["points"][:, 0, 0].tolist() == [4, 5]
    assert abs(int(drawings.image(1)[0, 0, 0]) - 150) <= 3
    assert len(Pack(tmp_path / "x.pack").where("domain", "drawing", "photo").where("person", "p1")) == 3


def test_a_part_has_the_names_of_its_rows(tmp_path: Path) -> None:
    """Not all that the file knows; and none in a column that there is not."""
    write(tmp_path / "x.pack", examples())
    pack = Pack(tmp_path / "x.pack")
    assert pack.present("domain") == ("drawing", "photo") and pack.present("source") == ()
    assert pack.where("person", "p1").present("person") == ("p1",)


def test_pictures_of_mixed_sizes_are_no_array(tmp_path: Path) -> None:
    """Which one differs is said; one by one they can be read."""
    write(tmp_path / "x.pack", [Example(np.zeros((4, 6, 3), np.uint8)), Example(np.zeros((4, 8, 3), np.uint8))])
    with pytest.raises(DataError, match=r"x\.pack: picture 1 has 8 x 4 pixels, the first one 6 x 4"):
        Pack(tmp_path / "x.pack").images()
    assert Pack(tmp_path / "x.pack").image(1).shape == (4, 8, 3)


def test_a_picture_that_is_broken_is_named(tmp_path: Path) -> None:
    """By its place in the file, whatever part of it is looked at; the others can be read."""
    path = tmp_path / "x.pack"
    write(path, examples())
    spoil(path, 5)
    drawings = Pack(path).where("domain", "drawing")
    assert drawings.number(1) == 5 and drawings.image(0).shape == (16, 24, 3)
    with pytest.raises(DataError, match=r"x\.pack: picture 5 is broken"):
        drawings.image(1)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    """An empty domain, an empty set, a file that is none, columns that differ."""
    path = tmp_path / "x.pack"
    write(path, examples())
    with pytest.raises(DataError, match=r"no example has domain sketch; there is drawing, photo"):
        Pack(path).where("domain", "sketch")
    with pytest.raises(DataError, match="no picture to pack"):
        write(tmp_path / "y.pack", [])
    with pytest.raises(DataError, match="example 1 has other columns"):
        write(tmp_path / "y.pack", [examples()[0], Example(examples()[0].image)])
    with pytest.raises(DataError, match=r"y\.pack cannot be written"):
        write(tmp_path / "no folder" / "y.pack", examples())
    (tmp_path / "z.pack").write_bytes(b"no pack")
    with pytest.raises(DataError, match=r"z\.pack cannot be read"):
        Pack(tmp_path / "z.pack")


def test_a_full_disk_is_left_as_it_was(tmp_path: Path) -> None:
    """The error names the pack, and nothing half-written stays."""
    with full(1000), pytest.raises(DataError, match=r"x\.pack cannot be written"):
        write(tmp_path / "x.pack", examples())
    assert not list(tmp_path.iterdir())


def test_a_fingerprint_is_of_the_data(tmp_path: Path) -> None:
    """Whatever the file is called; with another picture, name or number it is another one."""
    picture = np.full((8, 8, 3), 128, np.uint8)

    def printed(name: str, *rows: Example) -> str:
        write(tmp_path / name, rows)
        return Pack(tmp_path / name).fingerprint

    known = Example(picture, {"person": "ada"}, {"age": np.array(30)})
    others = (
        (known, known),
        (Example(picture, {"person": "bo"}, known.numbers),),
        (Example(picture, known.names, {"age": np.array(31)}),),
        (Example(np.tile(picture, (2, 2, 1)), known.names, known.numbers),),
    )
    prints = [printed("one.pack", known), *(printed("other.pack", *rows) for rows in others)]
    assert printed("same.pack", known) == prints[0] and len(set(prints)) == len(prints)
