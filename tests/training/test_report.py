"""training.data.report: one page on a set."""

import base64
import io
import re
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from tests.training import sets
from training.data.pictures import read
from training.data.report import Examination, alike, outline
from training.data.sources import Picture


def examined(pictures: list[Picture]) -> Examination:
    """All of them seen."""
    examination = Examination(pictures)
    for picture in pictures:
        examination.see(picture)
    return examination


def test_an_outline_outlives_size_and_compression(tmp_path: Path) -> None:
    """The same portrait at half the size and as a poor JPEG; not another person in the same frame."""
    assets = Path(__file__).parents[1] / "assets"
    one, smiling, other = (
        read(assets / f"{name}.jpg") for name in ("person1-neutral", "person1-smiling", "person2-neutral")
    )
    Pillow.fromarray(one).resize((128, 128)).save(tmp_path / "small.jpg", quality=60)
    small = read(tmp_path / "small.jpg")
    assert alike(np.array([outline(each) for each in (one, smiling, small, other)])) == [[0, 2]]


def test_the_mean_face_is_the_mean_of_what_is_kept(tmp_path: Path) -> None:
    """Of each domain; what is rejected is left out."""
    rows = []
    for number, (level, domain, rejected) in enumerate(
        [(10, "photo", ""), (30, "photo", ""), (250, "photo", "ugly"), (200, "drawing", "")]
    ):
        path = tmp_path / f"{number}.png"
        Pillow.fromarray(np.full((40, 60, 3), level, np.uint8)).save(path)
        rows.append(Picture(path, domain, rejected=rejected))
    drawing, photo = examined(rows).domains()
    assert (photo.name, photo.pictures, photo.rejected) == ("photo", 3, 1) and len(photo.samples) == 2
    assert drawing.mean is not None and photo.mean is not None
    assert mean_level(photo.mean.source) == 20 and mean_level(drawing.mean.source) == 200


def mean_level(source: str) -> int:
    """Of the picture in a data URI."""
    with Pillow.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as opened:
        return round(float(np.asarray(opened).mean()))


def test_what_should_be_seen_to_is_said(tmp_path: Path) -> None:
    """Files that cannot be read, few pictures, duplicates in two parts, persons in two parts, one person only."""
    same = sets.picture(tmp_path / "a.png", 1).read_bytes()
    (tmp_path / "b.png").write_bytes(same)
    (tmp_path / "c.png").write_bytes(same[:50])
    parts = {"a": "train", "b": "test", "c": "test"}
    rows = [Picture(tmp_path / f"{name}.png", person="Ada", split=part) for name, part in parts.items()]
    complaints = "\n".join(examined(rows).complaints())
    for complaint in (
        "1 pictures cannot be read",
        "the set has 3 pictures to learn from",
        "1 pictures are there more than once",
        "a picture is in two parts",
        "1 persons are in two parts, Ada for one",
        "all pictures are of Ada",
    ):
        assert complaint in complaints


def test_a_duplicate_that_is_rejected_is_seen_to(tmp_path: Path) -> None:
    """A reason in the table for one of two ends the complaint."""
    same = sets.picture(tmp_path / "a.png", 1).read_bytes()
    (tmp_path / "b.png").write_bytes(same)
    rows = [
        Picture(tmp_path / "a.png", split="train"),
        Picture(tmp_path / "b.png", split="test", rejected="a.png again"),
    ]
    examination = examined(rows)
    assert examination.duplicates == [] and "two parts" not in "\n".join(examination.complaints())


def test_a_page_needs_no_other_file_and_escapes_names(tmp_path: Path) -> None:
    """Pictures are inside; a name is text, whatever it looks like."""
    path = sets.picture(tmp_path / "<b>&.png")
    hostile = "<script>alert(1)</script>"
    rows = [
        Picture(path, hostile, hostile, None, {hostile: 1.0}, hostile),
        Picture(path, "photo", rejected=hostile),
        Picture(tmp_path / "<i>.png"),
    ]
    page = examined(rows).page(hostile)
    assert "<script" not in page and "<b>" not in page and "<i>" not in page and "&lt;script&gt;" in page
    examination = examined([rows[-1]])
    assert examination.duplicates == [] and "cannot be read" in examination.page("nothing to see")
    sources = re.findall(r'src="([^"]*)"', page)
    assert sources and all(each.startswith("data:image/jpeg;base64,") for each in sources)
    assert "http" not in page


def test_attributes_have_counts_or_a_range(tmp_path: Path) -> None:
    """Few values are counted each."""
    path = sets.picture(tmp_path / "a.png")
    rows = [Picture(path, attributes={"smile": number % 2, "age": number}) for number in range(30)]
    page = examined(rows).page("set")
    assert "0: 15, 1: 15" in page and "0 to 29, mean 14.5" in page
