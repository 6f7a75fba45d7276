import csv
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from export.alignment import SPHEREFACE, cut, similarity
from training.data import set_aside
from training.data.errors import DataError
from training.data.pack import Example, Pack, write
from training.data.pictures import read
from training.data.points import five
from training.data.portraits import Landmarker
from training.data.recognition import (
    FRAME,
    MARGIN,
    Faces,
    aligned,
    detector_box,
    gather,
    main,
    photos,
    see,
    without_doubles,
)

ASSETS = Path(__file__).parents[1] / "assets"
DLIB = (
    "dlib_face_recognition_resnet_model_v1.dat, sha256 55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
)
needs_data = pytest.mark.skipif("LIKENESS_DATA" not in os.environ, reason="LIKENESS_DATA is not set")


@pytest.fixture(scope="module")
def rows():
    return list(photos(Path(os.environ["LIKENESS_DATA"])))


def test_the_box_around_five_points_is_that_of_a_detector():
    """A square about the middle between eyes and mouth, 2.4 eye distances wide, turned points or not."""
    points = np.array([[40.0, 50], [80, 50], [60, 70], [45, 90], [75, 90]])
    box = detector_box(points)
    assert (box.width(), box.height()) == pytest.approx((2.38 * 40, 2.38 * 40), abs=2)
    assert (box.center().x, box.center().y) == pytest.approx((60, 70), abs=1)


def faces_of(crops, descriptors, persons, splits):
    """With the template's points, of one source."""
    count = len(crops)
    points = np.broadcast_to(np.float32(FRAME.points), (count, 5, 2))
    return Faces(crops, points, descriptors, np.array(persons), np.array(splits), np.full(count, "toys (CC0)"))


def test_faces_without_their_margin_are_what_the_encoder_sees():
    """The frame inside the margin is the SphereFace crop of the same photo, level by level."""
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (300, 280, 3), dtype=np.uint8), (0, 0), 3)
    points = np.array([[100.0, 110], [160, 112], [128, 150], [106, 180], [152, 181]])
    crop = cut(image, similarity(points, FRAME.points), FRAME)
    (frame,) = faces_of(crop[None], np.zeros((1, 128), np.float32), ["a"], ["test"]).frames()
    exact = cut(image, similarity(points, SPHEREFACE.points), SPHEREFACE)
    assert frame.shape == exact.shape
    assert MARGIN == 16 and np.abs(frame.astype(int) - exact).mean() < 1


def test_faces_survive_a_pack(tmp_path):
    """Pictures nearly, everything else exactly."""
    rng = np.random.default_rng(0)
    smooth = cv2.GaussianBlur(rng.integers(0, 256, (FRAME.height, FRAME.width, 3), dtype=np.uint8), (0, 0), 3)
    faces = faces_of(np.stack([smooth] * 3), rng.standard_normal((3, 128)).astype("f4"), ["b", "", "a"], ["train"] * 3)
    faces.save(tmp_path / "faces.pack")
    again = Faces.of(Pack(tmp_path / "faces.pack"))
    assert np.abs(again.crops.astype(int) - faces.crops).mean() < 1
    for name in ("points", "descriptors", "persons", "splits", "sources"):
        assert np.array_equal(getattr(again, name), getattr(faces, name)), name


def test_doubles_of_people_set_aside_are_not_learnt_from():
    """Unlisted photos that the teacher takes for them; whoever is set aside stays so."""
    rng = np.random.default_rng(0)
    descriptors = rng.standard_normal((24, 128)).astype(np.float32)
    descriptors[5] = descriptors[21] + 0.01
    splits = ["train"] * 20 + ["test"] * 3 + ["check"]
    numbers = [str(row) for row in range(24)]
    kept = without_doubles(faces_of(np.zeros((24, 1, 1, 3), np.uint8), descriptors, numbers, splits))
    assert kept.persons.tolist() == [number for number in numbers if number != "5"]


def test_a_data_folder_is_packed_by_one_command(tmp_path):
    """Seven sets of one photo or two: who is set aside, from where it is, and no double of whoever is set aside."""
    names = ("person1-neutral", "person1-smiling", "person2-neutral")
    neutral, smiling, other = (ASSETS / f"{name}.jpg" for name in names)
    landmarker = Landmarker()
    aside = min(set_aside.ids("congress256"))
    stranger = next(str(number) for number in range(10**6) if str(number) not in set_aside.ids("faces_id"))
    named = [f"{point}_{axis}" for point in ("re", "le", "n", "rm", "lm") for axis in "xy"]
    numbered, many = ([f"{axis}{number}" for number in range(count) for axis in "xy"] for count in (5, 68))
    sets = [
        ("train-research/faces-id", "index.csv", "img", numbered, [("a.jpg", other, {"identity": stranger})]),
        ("train-research/landmarks68", "landmarks68.csv", ".", many, [("b.jpg", other, {"person": "nobody"})]),
        ("train-research/celeba256-attr", "labels.csv", "img", [], [("c.jpg", other, {})]),
        ("train-research/photo128", "index.csv", "img", named, [("d.jpg", smiling, {})]),
        ("train-clean/congress256", "index.csv", "img", named, [(f"{aside}.webp", neutral, {})]),
        ("train-clean/ukparl120x160", "index.csv", "img", named, [("e.jpg", other, {})]),
        ("tests/london256", "index.csv", "img", named, [("f.jpg", neutral, {"person": "2"})]),
    ]
    for folder, index, pictures, columns, rows in sets:
        (tmp_path / folder / pictures).mkdir(parents=True, exist_ok=True)
        with (tmp_path / folder / index).open("w", newline="") as file:
            table = csv.DictWriter(file, ["file", *rows[0][2], *columns])
            table.writeheader()
            for name, source, known in rows:
                landmarks = landmarker(read(source))
                values = landmarks if len(columns) == 136 else five(landmarks)
                table.writerow({"file": name, **known, **dict(zip(columns, values.ravel(), strict=False))})
                (tmp_path / folder / pictures / name).write_bytes(source.read_bytes())
    app = typer.Typer()
    app.command()(main)
    told = CliRunner().invoke(app, [str(tmp_path / "faces.pack"), "--data", str(tmp_path)])
    assert "6 faces; 1 left out" in told.output, told.output
    faces = Faces.of(Pack(tmp_path / "faces.pack"))
    assert faces.persons.tolist() == [f"faces-id/{stranger}", "landmarks68/nobody", "", "", "", "london256/2"]
    assert faces.splits.tolist() == ["train", "train", "train", "test", "train", "check"]
    assert Pack(tmp_path / "faces.pack").names["teacher"] == [DLIB]
    assert faces.sources[3] == "congress256 (US government works, mostly)" and faces.descriptors.shape == (6, 128)
    assert np.abs(faces.points - np.float32(FRAME.points)).max() < 8


@needs_data
def test_all_photos_are_listed_and_the_set_aside_marked(rows):
    """People of the lists and of tests/ are marked, names hold their set, and every picture has its file."""
    aside = [row for row in rows if row.split != "train"]
    assert len({row.person for row in aside if row.person.startswith("faces-id/")}) == 40
    assert len({row.person for row in aside if row.person.startswith("landmarks68/")}) == 60
    assert sum(row.path.stem in set_aside.ids("congress256") for row in aside if not row.person) == 100
    assert all(row.split == "check" for row in rows if row.person.startswith("london256/"))
    assert all(row.path.is_file() for row in rows[:: len(rows) // 200])
    assert all(row.points is None or row.points.shape == (5, 2) for row in rows)


@needs_data
def test_the_teacher_knows_people_again(rows):
    """Two photos of one person are nearer to each other than to another person's."""
    chosen = [row for row in rows if row.person.startswith("london256/")]
    people = sorted({row.person for row in chosen})[:3]
    faces = gather(see(row for row in chosen if row.person in people))
    distances = np.linalg.norm(faces.descriptors[:, None] - faces.descriptors[None], axis=2)
    same = faces.persons[:, None] == faces.persons[None]
    assert distances[same].max() < distances[~same].min()


@needs_data
def test_points_of_an_index_are_in_the_pictures_order(rows):
    """The first eye stands left of the second, and the nose between eyes and mouth."""
    for row in rows[:: len(rows) // 300]:
        if row.points is not None:
            left, right, nose, *mouth = row.points
            assert left[0] < right[0] and (left + right)[1] / 2 < nose[1] < np.mean(mouth, axis=0)[1]


def test_every_index_column_is_known(tmp_path):
    """An index without the columns of its points is named, with the first of them; no face is in the wrong place."""
    folder = tmp_path / "train-research" / "faces-id"
    folder.mkdir(parents=True)
    with (folder / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "identity"], ["1/2.webp", "1"]])
    with pytest.raises(DataError, match=r"faces-id/index\.csv lacks the column 'x0'"):
        next(photos(tmp_path))


@pytest.mark.parametrize(
    "points, complaint",
    [
        (np.full((5, 2), np.nan), "not finite or coincide"),
        (np.full((68, 2), 4.0), "not finite or coincide"),
        (np.zeros((6, 2)), "6 points; there may be 5, 17, 68"),
    ],
)
@pytest.mark.parametrize("side", [8, None])
def test_points_of_no_face_are_told_with_the_picture(tmp_path, points, complaint, side):
    """Nowhere, all in one place, or too many: whether it is to be cut or has the frame's size."""
    size = (side, side) if side else (FRAME.height, FRAME.width)
    good = np.resize(np.array(FRAME.points), points.shape)
    examples = [Example(np.zeros((*size, 3), np.uint8), {}, {"points": each}) for each in (good, points)]
    write(tmp_path / "x.pack", examples)
    with pytest.raises(DataError, match=rf"x\.pack: picture 1 cannot be aligned: .*{complaint}"):
        aligned(Pack(tmp_path / "x.pack"), 1)


def test_a_picture_without_points_is_named_as_in_the_file(tmp_path):
    """By its place in the pack, whatever part of it is looked at."""
    small = np.zeros((8, 8, 3), np.uint8)
    write(tmp_path / "x.pack", [Example(small, {"split": split}) for split in ("test", "test", "train")])
    with pytest.raises(DataError, match=r"x\.pack: picture 2 is 8 x 8 and has no points"):
        aligned(Pack(tmp_path / "x.pack").where("split", "train"), 0)
