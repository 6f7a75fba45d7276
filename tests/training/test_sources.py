"""training.data.sources: every form of a set, and what is said of one that is broken."""

from pathlib import Path

import numpy as np
import pytest

from tests.training import sets
from training.data import sources
from training.data.errors import DataError
from training.data.sources import DRAWING, PHOTO, Pair, Share


def test_a_folder_is_all_pictures_below_it(tmp_path: Path) -> None:
    """In an order that is always the same; what is no picture is passed over."""
    sets.folder(tmp_path, 3)
    (tmp_path / "notes.txt").write_text("no picture")
    found = sources.folder(tmp_path, "photo")
    assert [each.path.name for each in found] == ["0.png", "2.png", "1.png"]
    assert {each.domain for each in found} == {"photo"}


def test_train_a_and_train_b_are_domains(tmp_path: Path) -> None:
    """And testA, testB are another part of them."""
    for name, count in (("trainA", 2), ("trainB", 3), ("testA", 1), ("testB", 1), ("elsewhere", 1)):
        sets.folder(tmp_path / name, count)
    found = sources.unpaired(tmp_path)
    counts = {(part, domain): 0 for part in ("train", "test") for domain in "AB"}
    for each in found:
        counts[each.split, each.domain] += 1
    assert counts == {("train", "A"): 2, ("train", "B"): 3, ("test", "A"): 1, ("test", "B"): 1}


def test_an_empty_domain_is_named(tmp_path: Path) -> None:
    """A folder that is missing, or has nothing in it."""
    sets.folder(tmp_path / "trainA")
    with pytest.raises(DataError, match="has no trainA and trainB"):
        sources.unpaired(tmp_path)
    (tmp_path / "trainB").mkdir()
    with pytest.raises(DataError, match="trainB: no pictures"):
        sources.unpaired(tmp_path)
    with pytest.raises(DataError, match="nowhere is no folder"):
        sources.folder(tmp_path / "nowhere")


def test_class_folders_are_persons(tmp_path: Path) -> None:
    """Whatever lies deeper is of the person above."""
    for name in ("Ada", "Bo"):
        sets.folder(tmp_path / name, 2)
    found = sources.classes(tmp_path)
    assert [each.person for each in found] == ["Ada", "Ada", "Bo", "Bo"]


def test_an_attribute_list_has_a_value_of_each(tmp_path: Path) -> None:
    """1 or -1, and pictures beside the list or where one says."""
    listed = sets.attribute_list(tmp_path / "list_attr.txt")
    found = sources.attribute_list(listed)
    assert [each.attributes for each in found] == [{"Smiling": value, "Young": 1} for value in (-1, 1, -1)]
    assert all(each.path.is_file() for each in found)
    assert sources.attribute_list(listed, tmp_path / "other")[0].path == tmp_path / "other" / "000000.jpg"


@pytest.mark.parametrize(
    ("line", "text", "complaint"),
    [
        (0, "4", r"list\.txt:1: '4' pictures announced, 3 lines follow"),
        (3, "000001.jpg 1", r"list\.txt:4: 1 values for 2 attributes"),
        (3, "000001.jpg 1 yes", r"list\.txt:4: .*'yes'"),
    ],
)
def test_a_broken_attribute_list_is_told_by_its_line(tmp_path: Path, line: int, text: str, complaint: str) -> None:
    """Count, number of values, values."""
    listed = sets.attribute_list(tmp_path / "list.txt")
    lines = listed.read_text().splitlines()
    lines[line] = text
    listed.write_text("\n".join(lines))
    with pytest.raises(DataError, match=complaint):
        sources.attribute_list(listed)


def test_a_table_tells_all_that_is_known(tmp_path: Path) -> None:
    """Persons, parts, points, numbers; text of no known column is passed over, an empty cell is not known."""
    columns = ["file", "identity", "domain", "split", "rejected", "x0", "y0", "x1", "y1", "x2", "y2"]
    columns += ["x3", "y3", "x4", "y4", "smile", "title"]
    listed = sets.table(
        tmp_path / "index.csv",
        columns,
        [
            ("a.png", "Ada", "photo", "train", "", *range(10), 1.5, "a portrait"),
            ("b.png", "Bo", "", "", "no face", *[""] * 10, "", "another"),
        ],
    )
    (tmp_path / "img").mkdir()
    ada, bo = sources.table(listed)
    assert ada.path == tmp_path / "img" / "a.png" and ada.person == "Ada" and ada.domain == "photo"
    assert ada.split == "train" and ada.points is not None and ada.attributes == {"smile": 1.5}
    assert np.array_equal(ada.points, np.arange(10).reshape(5, 2))
    assert bo.points is None and bo.attributes == {} and bo.rejected == "no face"


def test_named_points_are_read_in_the_templates_order(tmp_path: Path) -> None:
    """Eyes, nose, mouth, x before y, whatever the order of the columns."""
    names = [f"{point}_{axis}" for point in ("lm", "re", "n", "le", "rm") for axis in "yx"]
    listed = sets.table(tmp_path / "index.csv", ["file", *names], [("a.png", *range(10))])
    (only,) = sources.table(listed)
    assert only.points is not None
    assert only.points.tolist() == [[3, 2], [7, 6], [5, 4], [9, 8], [1, 0]]


@pytest.mark.parametrize(
    ("columns", "row", "complaint"),
    [
        (["file", "age"], ("b.png", "old"), r"index\.csv:3: age is 'old', not a number"),
        (["file", "age"], ("", "3"), r"index\.csv:3: no file"),
        (["file", "age"], ("b.png",), r"index\.csv:3: not as many cells as there are columns"),
        (["file", "age"], ("b.png", 3, 4), r"index\.csv:3: not as many cells as there are columns"),
        (["file", "x0", "y0"], ("b.png", 3, 4), r"index\.csv:.: 1 points; there may be 5, 17, 68"),
        (
            ["file", *(f"{axis}{number}" for number in range(5) for axis in "xy")],
            ("b.png", *range(9), "nan"),
            r"index\.csv:3: a point whose place is no number",
        ),
        (["file", "re_x", "re_y"], ("b.png", 3, 4), r"index\.csv:.: could not convert"),
    ],
)
def test_a_broken_table_is_told_by_its_line(
    tmp_path: Path, columns: list[str], row: tuple[object, ...], complaint: str
) -> None:
    """Cells, numbers, counts of points."""
    good = ("a.png", *range(1, len(columns)))
    with pytest.raises(DataError, match=complaint):
        sources.table(sets.table(tmp_path / "index.csv", columns, [good, row]))


def test_a_table_that_is_none_is_named(tmp_path: Path) -> None:
    """Missing, empty, or not text."""
    with pytest.raises(DataError, match=r"no\.csv cannot be read"):
        sources.table(tmp_path / "no.csv")
    with pytest.raises(DataError, match=r"index\.csv: no pictures"):
        sources.table(sets.table(tmp_path / "index.csv", ["file"], []))
    (tmp_path / "index.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"index\.csv cannot be read"):
        sources.table(tmp_path / "index.csv")


def test_the_cartoon_set_has_attributes_beside_each_picture(tmp_path: Path) -> None:
    """The value of each; how many there are is not a value."""
    found = sources.cartoon_set(sets.cartoon_set(tmp_path))
    assert [each.attributes for each in found] == [{"eye_color": n, "hair": 10 * n} for n in range(3)]
    assert {each.domain for each in found} == {DRAWING}
    (tmp_path / "cs1.csv").write_text('"eye_color"\n')
    with pytest.raises(DataError, match=r"cs1\.csv:1: not an attribute"):
        sources.cartoon_set(tmp_path)
    (tmp_path / "cs1.csv").unlink()
    with pytest.raises(DataError, match=r"cs1\.csv cannot be read"):
        sources.cartoon_set(tmp_path)


def test_web_caricature_has_persons_domains_and_points(tmp_path: Path) -> None:
    """C is a drawing, P a photo, the folder is the person, and each has its 17 points."""
    found = sources.web_caricature(sets.web_caricature(tmp_path))
    assert [(each.person, each.path.stem, each.domain) for each in found[:3]] == [
        ("Ada Lovelace", "C00001", DRAWING),
        ("Ada Lovelace", "C00002", DRAWING),
        ("Ada Lovelace", "P00001", PHOTO),
    ]
    assert len(found) == 6
    assert all(each.points is not None and np.array_equal(each.points, sets.SEVENTEEN) for each in found)


def test_a_landmark_file_with_a_wrong_count_is_named(tmp_path: Path) -> None:
    """16 points, a line of three numbers, a word, no file."""
    sets.web_caricature(tmp_path)
    listed = tmp_path / "FacialPoints" / "Bo" / "C00002.txt"
    lines = listed.read_text().splitlines()
    for text, complaint in (
        ("\n".join(lines[:16]), r"C00002\.txt: 16 points instead of 17"),
        ("\n".join([*lines[:16], "1 2 3"]), r"C00002\.txt: a line that is not x and y"),
        ("\n".join([*lines[:16], "1 two"]), r"C00002\.txt:17: .*'two'"),
        ("\n".join([*lines[:16], "1 inf"]), r"C00002\.txt: a point whose place is no number"),
    ):
        listed.write_text(text)
        with pytest.raises(DataError, match=complaint):
            sources.web_caricature(tmp_path)
    listed.unlink()
    with pytest.raises(DataError, match=r"C00002\.txt cannot be read"):
        sources.web_caricature(tmp_path)


def test_unrestricted_views_are_folds_of_persons(tmp_path: Path) -> None:
    """View 1 is one fold, view 2 several in one file; names have spaces."""
    one, two = tmp_path / "UnRestrictedView1_DevTrain.txt", tmp_path / "UnRestrictedView2.txt"
    one.write_text("2\nAda Lovelace\t35\t25\nBo\t3\t4\n")
    two.write_text("1\nAda Lovelace\t35\t25\n2\nBo\t3\t4\nCy\t5\t6\n")
    ada, bo, cy = Share("Ada Lovelace", 35, 25), Share("Bo", 3, 4), Share("Cy", 5, 6)
    assert sources.unrestricted_view(one) == [[ada, bo]]
    assert sources.unrestricted_view(two) == [[ada], [bo, cy]]
    assert sources.people(two) == {"Ada Lovelace", "Bo", "Cy"}


def test_restricted_views_are_folds_of_pairs(tmp_path: Path) -> None:
    """As many mismatched pairs as matched ones, which name one person only."""
    listed = tmp_path / "RestrictedView2.txt"
    fold = "1\nAda Lovelace\tC00001\tP00002\nAda Lovelace\tC00003\tBo\tP00001\n"
    listed.write_text(2 * fold)
    matched = Pair(("Ada Lovelace", "C00001"), ("Ada Lovelace", "P00002"))
    mismatched = Pair(("Ada Lovelace", "C00003"), ("Bo", "P00001"))
    assert sources.restricted_view(listed) == 2 * [[matched, mismatched]]
    assert matched.matched and not mismatched.matched


def test_a_list_of_people_has_one_a_line(tmp_path: Path) -> None:
    """Without a count."""
    (tmp_path / "people.txt").write_text("Ada Lovelace\n\nBo\n")
    assert sources.people(tmp_path / "people.txt") == {"Ada Lovelace", "Bo"}


@pytest.mark.parametrize(
    ("reader", "text", "complaint"),
    [
        (sources.unrestricted_view, "Ada\t1\t2\n", r"view\.txt:1: not a number of persons"),
        (sources.unrestricted_view, "2\nAda\t1\t2\n", r"view\.txt:1: 2 persons announced, 1 lines follow"),
        (sources.unrestricted_view, "1\nAda\t1\n", r"view\.txt:2: not a name and two numbers"),
        (sources.unrestricted_view, "0\n", r"view\.txt:1: no persons are announced"),
        (sources.restricted_view, "0\n", r"view\.txt:1: no matched pairs are announced"),
        (sources.restricted_view, "2\nAda\tC1\tP1\n", r"view\.txt:1: 2 matched pairs announced, 1 lines follow"),
        (sources.restricted_view, "1\nAda\tC1\tP1\nAda\tC1\tP1\n", r"view\.txt:3: not a mismatched pair"),
        (sources.restricted_view, "1\nAda\tC1\tBo\tP1\nAda\tC1\tBo\tP1\n", r"view\.txt:2: not a matched pair"),
    ],
)
def test_a_broken_protocol_is_told_by_its_line(tmp_path: Path, reader, text: str, complaint: str) -> None:
    """Counts that are none, or too high; lines of another form."""
    (tmp_path / "view.txt").write_text(text)
    with pytest.raises(DataError, match=complaint):
        reader(tmp_path / "view.txt")
