"""training.metrics.protocols: files of the formats of LFW and WebCaricature, and figures that are known."""

from pathlib import Path

import numpy as np
import pytest

from training.data.errors import DataError
from training.data.sources import Share, restricted_view, unrestricted_view
from training.metrics.protocols import (
    Fold,
    Search,
    Spread,
    identification,
    lfw,
    restricted,
    search,
    unrestricted,
    verification,
)


def file(folder: Path, *lines: str) -> Path:
    path = folder / "protocol.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def apart(*people: str) -> dict[str, np.ndarray]:
    """Three pictures of everyone, who is an axis of space: same 1, different 0."""
    axes = np.eye(len(people), dtype=np.float32)
    return {f"{name}/{kind}": 3 * axis for name, axis in zip(people, axes, strict=True) for kind in PICTURES}


PICTURES = ("C00001", "P00001", "P00002")


def test_pairs_of_lfw(tmp_path: Path) -> None:
    """Two folds of two pairs, one of each kind."""
    lines = ["Ann_A\t1\t4", "Ann_A\t1\tBob\t12", "Cy\t2\t3", "Cy\t1\tDee\t1"]
    first, second = lfw(file(tmp_path, "2\t1", *lines))
    assert first.pictures == ["Ann_A/Ann_A_0001", "Ann_A/Ann_A_0004", "Bob/Bob_0012"]
    assert first.same.tolist() == [True, False] and second.people == {"Cy", "Dee"}


def test_view_1_of_lfw_is_one_fold(tmp_path: Path) -> None:
    """Its first line has one number."""
    (fold,) = lfw(file(tmp_path, "1", "Ann\t1\t2", "Ann\t1\tBob\t2"))
    assert fold.same.tolist() == [True, False]


@pytest.mark.parametrize(
    "lines, complaint",
    [
        (["ten 300"], "protocol.txt:1: not the numbers"),
        (["0"], "protocol.txt:1: no pairs are announced: '0'"),
        (["1 0"], "protocol.txt:1: no pairs are announced: '1 0'"),
        (["1", "Ann 1 2"], "1 pairs; announced were 1 times twice 1"),
        (["1", "Ann 1 2", "Ann 1 Bob two"], "protocol.txt:3: not a pair"),
    ],
)
def test_a_broken_file_of_lfw_is_named(tmp_path: Path, lines: list[str], complaint: str) -> None:
    """With the line."""
    with pytest.raises(DataError, match=complaint):
        lfw(file(tmp_path, *lines))


def test_restricted_pairs_are_those_of_the_file(tmp_path: Path) -> None:
    """A caricature and a photo each."""
    lines = ["Adele Laurie Blue Adkins\tC00001\tP00001", "Elizabeth Taylor\tC00039\tJennifer Aniston\tP00006"]
    (fold,) = restricted(restricted_view(file(tmp_path, "1", *lines)))
    assert fold.pictures == [
        "Adele Laurie Blue Adkins/C00001",
        "Adele Laurie Blue Adkins/P00001",
        "Elizabeth Taylor/C00039",
        "Jennifer Aniston/P00006",
    ]
    assert fold.same.tolist() == [True, False]


@pytest.mark.parametrize("head", [[], ["2"]])
def test_unrestricted_pairs_are_all_of_a_caricature_and_a_photo(tmp_path: Path, head: list[str]) -> None:
    """People by their numbers of pictures; the number of folds may stand in front or not."""
    shares = unrestricted_view(file(tmp_path, *head, "2", "Ann A\t2\t1", "Bob\t1\t2", "1", "Cy\t1\t1"))
    assert shares == [[Share("Ann A", 2, 1), Share("Bob", 1, 2)], [Share("Cy", 1, 1)]]
    fold, _ = unrestricted(shares)
    rows = zip(fold.pairs.left, fold.pairs.right, strict=True)
    pairs = {(fold.pictures[left], fold.pictures[right]) for left, right in rows}
    assert len(pairs) == 3 * 3 and ("Ann A/C00002", "Bob/P00002") in pairs
    assert all(left[-6] == "C" and right[-6] == "P" for left, right in pairs)
    assert fold.same.sum() == 2 * 1 + 1 * 2


def test_probes_and_gallery(tmp_path: Path) -> None:
    """A name and a picture a line, however they are parted."""
    probes, gallery = tmp_path / "FR_Probe_C2P1.txt", tmp_path / "FR_Gallery_C2P1.txt"
    probes.write_text("Ann A\tC00001\nBob\\C00002\n")
    gallery.write_text("Ann A/P00001.jpg\nBob P00003\n")
    assert search(probes, gallery) == Search(["Ann A/C00001", "Bob/C00002"], ["Ann A/P00001", "Bob/P00003"])
    gallery.write_text("17\n")
    with pytest.raises(DataError, match=r"FR_Gallery_C2P1\.txt:1: not a name and a picture"):
        search(probes, gallery)


def folds(*people: tuple[str, str]) -> list[Fold]:
    """For two people each: both pairs of one person, both of two."""
    return [Fold.of([(f"{x}/C00001", f"{y}/P00001") for x in pair for y in pair]) for pair in people]


def test_people_who_are_axes_are_told_apart() -> None:
    """Every figure is 1 in every fold, whatever the lengths of embeddings."""
    found = verification(folds(("a", "b"), ("c", "d")), apart(*"abcd"), trained_on=())
    assert found == dict.fromkeys(("accuracy", "tar@0.01", "tar@0.001", "auc"), Spread(1, 0))


def test_figures_of_folds_have_a_mean_and_a_deviation() -> None:
    """Two folds right, one with a person whose caricature is another: known values."""
    embeddings = apart(*"abcdef")
    embeddings["c/C00001"] = embeddings["d/C00001"]
    found = verification(folds(("a", "b"), ("c", "d"), ("e", "f")), embeddings, trained_on=["g"])
    # Second fold: same 0 and 1, different 1 and 0. One comparison is right, one wrong, two tie.
    assert found["auc"].mean == pytest.approx(2.5 / 3) and found["auc"].deviation == pytest.approx(0.5 / 3**0.5)
    assert found["tar@0.01"].mean == pytest.approx(2 / 3)
    assert found["accuracy"].mean == pytest.approx(2.5 / 3)
    assert f"{found['auc']:.2f}" == "0.83 ± 0.29"


def test_both_kinds_of_pairs_count_alike() -> None:
    """To accept nobody is no skill, however many pairs are of two people."""
    people = [[Share(f"{name}{number}", 1, 1) for number in range(5)] for name in "ab"]
    same = {picture: np.ones(2, np.float32) for fold in unrestricted(people) for picture in fold.pictures}
    found = verification(unrestricted(people), same, trained_on=())
    assert found["accuracy"].mean == pytest.approx(0.5) and found["auc"].mean == pytest.approx(0.5)


def test_nobody_is_judged_whom_the_encoder_knows() -> None:
    """Nor whoever decided the threshold."""
    with pytest.raises(DataError, match="1 of the people were trained on, b among them"):
        verification(folds(("a", "b"), ("c", "d")), apart(*"abcd"), trained_on={"b", "x"})
    with pytest.raises(DataError, match="a is in more than one fold"):
        verification(folds(("a", "b"), ("c", "a")), apart(*"abc"), trained_on=())
    with pytest.raises(DataError, match="b among them"):
        identification([Search(["b/C00001"], ["b/P00001"])], apart("b"), trained_on={"b"})


def test_a_fold_of_one_kind_of_pairs_is_named() -> None:
    """One person's alone, or of nobody's two pictures: there is no curve of it."""
    with pytest.raises(DataError, match="fold 2 of 2, that of c, has no pair of two people"):
        verification(folds(("a", "b"), ("c",)), apart(*"abc"), trained_on=())
    drawn, photographed = [Share("a", 1, 0), Share("b", 0, 1)], [Share("c", 2, 0)]
    for shares in (drawn, photographed):
        with pytest.raises(DataError, match=r"fold 1 of 1.* has no pair of one person"):
            verification(unrestricted([shares]), apart(*"abc"), trained_on=())


def test_ranks_are_places_in_the_gallery() -> None:
    """Twelve people; probes whose own photo is the nearest, the second and the eleventh."""
    names = [f"p{number:02d}" for number in range(12)]
    gallery = {f"{name}/P00001": axis for name, axis in zip(names, np.eye(12, dtype=np.float32), strict=True)}
    falling = np.arange(12, 0, -1).astype(np.float32)
    probes = {f"{names[place]}/C00001": falling for place in (0, 1, 10)}
    found = identification([Search(list(probes), list(gallery))], gallery | probes, trained_on=())
    assert found["rank-1"].mean == pytest.approx(1 / 3) and found["rank-10"].mean == pytest.approx(2 / 3)


def test_a_tie_counts_against_the_probe() -> None:
    """An encoder that says the same of everyone finds nobody."""
    same = {picture: np.ones(3, np.float32) for picture in apart("a", "b")}
    found = identification([Search(["a/C00001"], ["a/P00001", "b/P00001"])], same, trained_on=())
    assert found["rank-1"].mean == 0 and found["rank-10"].mean == 1


def test_what_is_missing_is_named() -> None:
    """A picture without an embedding, a probe without its person in the gallery."""
    with pytest.raises(DataError, match="b/P00001 has no embedding"):
        verification(folds(("a", "b")), apart("a"), trained_on=())
    with pytest.raises(DataError, match="a is looked for and not in the gallery"):
        identification([Search(["a/C00001"], ["b/P00001"])], apart("a", "b"), trained_on=())
