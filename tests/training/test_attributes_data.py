"""training.data.attributes: labels of several sets as one code, and views to learn from."""

from pathlib import Path

import numpy as np
import pytest

from tests.training.labelled import example, packed
from training.data.attributes import ANSWERS, UNKNOWN, Labelled, coded, codes_of, domains_of, weights
from training.data.errors import DataError
from training.data.pack import Example, Pack


def test_labels_are_codes_of_answers() -> None:
    """Of two answers 1 is yes, and -1 as well as 0 no; a colour is its own code; what is not told is not known."""
    assert coded("eyeglasses", [1, -1, 0, np.nan]).tolist() == [1, 0, 0, UNKNOWN]
    assert coded("smiling", [-1.0, 1.0]).tolist() == [0, 1]
    assert coded("hair_color", [0, 5, -1, np.nan]).tolist() == [0, 5, UNKNOWN, UNKNOWN]
    assert ANSWERS["hair_color"][coded("hair_color", [4])[0]] == "black"


@pytest.mark.parametrize("label", [6, 9, -2, 1.5])
def test_a_colour_that_is_none_is_named(label: float) -> None:
    """The ten colours of Cartoon Set's own files, for one, are other ones."""
    with pytest.raises(DataError, match=f"toys: hair_color is {label:g}"):
        codes_of({"hair_color": [1, label]}, 2, "toys")


def test_a_column_that_is_not_there_is_not_known() -> None:
    """Of a set with none of them nothing can be learnt."""
    found = codes_of({"smiling": [1, -1]}, 2, "toys")
    assert found["smiling"].tolist() == [1, 0] and found["hair_color"].tolist() == [UNKNOWN] * 2
    with pytest.raises(DataError, match="toys: of no face is hair_color or eyeglasses or smiling known"):
        codes_of({"age": [1, 2]}, 2, "toys")


def test_rare_answers_weigh_more() -> None:
    """As the inverse root, 1 on average in each domain; nothing that is unknown, and nothing where all are alike."""
    codes = np.array([0] * 16 + [1] * 4 + [UNKNOWN] + [1] * 5)
    domains = np.array(["photo"] * 21 + ["drawing"] * 5)
    found = weights(codes, domains)
    assert found[16] / found[0] == pytest.approx(2) and found[:20].mean() == pytest.approx(1)
    assert not found[20:].any()


def test_views_have_their_labels_and_leave_out_what_is_set_aside(tmp_path: Path) -> None:
    """A view follows from its random numbers, is of the size asked for, and has a code and a weight of each."""
    faces = Labelled(Pack(packed(tmp_path / "faces.pack")), 32, jitter=0.0)
    assert len(faces) == 3 * 48
    first, again, other = (faces.row(0, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first["image"].shape == (32, 32, 3) and first["image"].dtype == np.uint8
    assert np.array_equal(first["image"], again["image"]) and not np.array_equal(first["image"], other["image"])
    assert {name for name in first if not name.endswith("weight")} == {"image", *ANSWERS}
    assert {f"{name}_weight" for name in ANSWERS} < first.keys()


def test_half_of_the_drawings_views_do_not_smile(tmp_path: Path) -> None:
    """All of the set do; photos keep their label."""
    pack = Pack(packed(tmp_path / "faces.pack"))
    faces = Labelled(pack, 32)
    domains = domains_of(pack.where("split", "train"))
    drawing, photo = (int(np.flatnonzero(domains == each)[0]) for each in ("drawing", "photo"))
    smiles = [faces.row(drawing, np.random.default_rng(seed))["smiling"] for seed in range(100)]
    assert 35 < sum(smiles) < 65 and faces.row(drawing, np.random.default_rng(0))["smiling_weight"] == 1
    assert {int(faces.row(photo, np.random.default_rng(seed))["smiling"]) for seed in range(10)} == {0}


def test_a_set_whose_faces_are_alike_teaches_nothing(tmp_path: Path) -> None:
    """It is refused by name."""
    alike = [example(1, False, False, "photo") for _ in range(3)]
    with pytest.raises(DataError, match=r"x\.pack: nothing to learn"):
        Labelled(Pack(packed(tmp_path / "x.pack", alike)), 32)
    bare = [Example(each.image) for each in alike]
    with pytest.raises(DataError, match=r"y\.pack: of no face"):
        Labelled(Pack(packed(tmp_path / "y.pack", bare)), 32)
