"""training.evaluation.cards: the tables of a model card, by commands."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from export.alignment import SQUARE_256
from tests.training import labelled
from training.data.looks import STYLES
from training.data.pairs import UNSEEN
from training.data.portraits import Portraits
from training.data.recognition import FRAME, TEST, Faces, Photo, Sight
from training.evaluation.cards.__main__ import app
from training.evaluation.cards.caricature import STRENGTHS
from training.evaluation.cards.encoder import drawn_by
from training.exported import Exported
from training.metrics.interval import Interval

CARDS = "training.evaluation.cards"


def faces(people: int = 20) -> Faces:
    """Two photos each of people who are coarse patterns, set aside."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(30, 226, (people, FRAME.height // 16, FRAME.width // 16, 3))
    crops = np.repeat(np.kron(patterns, np.ones((1, 16, 16, 1), int)), 2, axis=0)
    crops = np.clip(crops + rng.integers(-9, 10, crops.shape), 0, 255).astype(np.uint8)
    names = np.repeat([f"toys/{person}" for person in range(people)], 2)
    points = np.broadcast_to(np.float32(FRAME.points), (len(crops), 5, 2))
    descriptors = np.repeat(rng.standard_normal((people, 128)), 2, axis=0).astype(np.float32)
    return Faces(crops, points, descriptors, names, np.full(len(crops), "test"), np.full(len(crops), "toys (CC0)"))


def test_people_set_aside_are_told_apart(models: Path, tmp_path: Path) -> None:
    """By a model and by descriptors, with what its thresholds do."""
    faces().save(tmp_path / "faces.pack")
    told = CliRunner().invoke(app, ["people", str(models / "sphereface" / "1"), str(tmp_path / "faces.pack")])
    assert told.exit_code == 0, told.output
    assert "| toys: 20 (40) | this model | 1.000 |" in told.output
    assert "| toys: 20 (40) | dlib | 1.000 |" in told.output
    assert "| toys | 1.0% |" in told.output and "of 760 | 100.0 % of 20 |" in told.output


def test_people_are_judged_by_one_list_of_pairs(models: Path, tmp_path: Path) -> None:
    """With --pairs the figures are others than those of all pairs, and the same at every command."""
    names = np.random.default_rng(1).permutation(faces().persons)
    replace(faces(), persons=names).save(tmp_path / "faces.pack")
    folder, rows = models / "sphereface" / "1", []
    for pairs in ([], ["--pairs", "30"], ["--pairs", "30"]):
        told = CliRunner().invoke(app, ["people", str(folder), str(tmp_path / "faces.pack"), *pairs])
        assert told.exit_code == 0, told.output
        rows.append([line for line in told.output.splitlines() if line.startswith("| toys: 20 (40)")])
    assert rows[1] == rows[2] != rows[0]


def test_the_teacher_is_asked_in_the_student_s_frame(tmp_path: Path) -> None:
    """It tells patterns apart by their pixels, whatever descriptors the pack has."""
    told_apart = faces()
    replace(told_apart, descriptors=told_apart.descriptors[:, :0]).save(tmp_path / "faces.pack")
    told = CliRunner().invoke(app, ["teacher", str(tmp_path / "faces.pack")])
    assert told.exit_code == 0, told.output
    assert "| toys: 20 (40) | this model | 1.000 |" in told.output and "dlib" not in told.output


def test_drawings_are_made_in_the_translator_s_frame(models: Path) -> None:
    """What a strength makes of a photo, with the template's points; who it is stays."""
    image = np.full((300, 280, 3), 200, np.uint8)
    points = np.array([[100.0, 110], [160, 112], [128, 150], [106, 180], [152, 181]])
    sight = Sight(image, points, "ann", "test", "toys")
    (drawn,) = drawn_by(Exported(models / "caricature" / "1"), iter([sight]), 1.0)
    assert drawn.person == "ann" and np.array_equal(drawn.points, SQUARE_256.points)
    assert drawn.image.shape == (256, 256, 3) and (drawn.image == 55).all()


@pytest.mark.parametrize("people", [2, 3])
def test_a_few_people_have_a_table(people: int, models: Path, tmp_path: Path) -> None:
    """As any others."""
    faces(people).save(tmp_path / "few.pack")
    told = CliRunner().invoke(app, ["people", str(models / "sphereface" / "1"), str(tmp_path / "few.pack")])
    assert told.exit_code == 0 and f"| toys: {people} ({2 * people}) | this model |" in told.output, told.output


def test_what_is_not_there_is_told_in_a_sentence(models: Path, tmp_path: Path) -> None:
    """A pack or a model: its path, and no traceback."""
    faces(2).save(tmp_path / "few.pack")
    for model, pack, named in (("sphereface/1", "none.pack", "none.pack"), ("nobody/1", "few.pack", "nobody")):
        told = CliRunner().invoke(app, ["people", str(models / model), str(tmp_path / pack)])
        assert told.exit_code == 1 and named in told.output, told.output
        assert isinstance(told.exception, SystemExit) and "Traceback" not in told.output


@pytest.fixture
def packed(tmp_path: Path, photo: np.ndarray, faces: np.ndarray) -> Path:
    """Three people of one face, who are set aside as well, and artists."""
    people = Portraits(np.stack([photo] * 3), faces[:3].astype(np.float32), np.array(["a", "b", "c"]))
    people.save(tmp_path / "train.npz")
    people.save(tmp_path / "set-aside.npz")
    np.savez(tmp_path / "artists.npz", before=faces[:4], after=faces[4:8])
    return tmp_path


def test_a_caricature_is_judged_at_every_strength_and_in_every_look(models: Path, packed: Path) -> None:
    """One line of figures each, the artists before them and the procedural caricaturist after them."""
    folder, sheet = models / "caricature" / "1", packed / "sheet.png"
    told = CliRunner().invoke(app, ["caricature", str(folder), str(packed), "--sheet", str(sheet)])
    assert told.exit_code == 0, told.output
    artists, *rows = map(json.loads, told.output.splitlines())
    looks = [f"style {name}" for name in Exported(folder).contract.styles]
    strengths = [f"strength {strength:g}" for strength in STRENGTHS]
    assert list(artists) == ["slope of the artists' moves on the deviation"]
    assert [row["of"] for row in rows] == [*strengths, *looks, "procedural caricaturist, strength 1"]
    assert all(row["n"] == 3 for row in rows) and sheet.stat().st_size > 1000


def test_tiers_are_told_with_what_they_take_and_reach(models: Path, packed: Path) -> None:
    """A line each, by the same people in the size that the model takes."""
    folder = models / "caricature" / "1"
    told = CliRunner().invoke(app, ["tiers", str(packed), str(folder), str(folder), "--threads", "1"])
    assert told.exit_code == 0, told.output
    rows = [json.loads(line) for line in told.output.splitlines()]
    side = Exported(folder).contract.template.width
    assert [(row["of"], row["pixels"], row["n"]) for row in rows] == [("caricature/1", side, 3)] * 2
    assert all(row["ms"] > 0 and row["MB"] > 0 for row in rows) and rows[0]["detected"] == rows[1]["detected"]


def test_a_caricature_stands_beside_the_procedural_one(models: Path, packed: Path, photo: np.ndarray) -> None:
    """At every strength a line of both; the sheet has three pictures of everybody."""
    files = [packed / name for name in ("ann.png", "bob.png", "cid.png")]
    for file in files:
        Image.fromarray(photo).save(file)
    sheet = packed / "sheet.png"
    command = ["beside", str(models / "caricature" / "1"), str(packed), *map(str, files), "--sheet", str(sheet)]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 0, told.output
    rows = [json.loads(line)["of"] for line in told.output.splitlines()]
    assert rows == [
        f"{name}, strength {strength:g}"
        for strength in STRENGTHS[1:]
        for name in ("procedural caricaturist", "caricature/1")
    ]
    with Image.open(sheet) as page:
        assert page.size == (3 * 192, 3 * 192)


def test_photos_of_drawings_are_judged_beside_the_drawings(models, tmp_path, faces, space, monkeypatch) -> None:
    """The toy turns colours over, so that twice is the photo: its drawings hide faces that come back.

    Looks of the procedural caricaturist follow, the one that was left out marked.
    """
    np.savez(tmp_path / "train.npz", landmarks=faces)
    np.savez(tmp_path / "artists.npz", before=faces[:4], after=faces[4:8])
    assets, points = Path(__file__).parents[1] / "assets", np.array(SQUARE_256.points)
    shown = (
        ("ann", "person1-neutral"),
        ("ann", "person1-smiling"),
        ("bo", "person2-neutral"),
        ("bo", "person2-neutral"),
    )
    rows = [Photo(assets / f"{name}.jpg", person, points, TEST, "faces-id (toys)") for person, name in shown]
    learnt = replace(rows[0], person="cy", split="train")
    monkeypatch.setattr(f"{CARDS}.photo.photos", lambda data: [*rows, learnt, learnt])
    monkeypatch.setattr(f"{CARDS}.photo.STYLES", {name: STYLES[name] for name in ("gouache", UNSEEN)})
    model, sheet = str(models / "caricature" / "1"), tmp_path / "sheet.png"
    options = ["--data", str(tmp_path), "--sheet", str(sheet)]
    told = CliRunner().invoke(app, ["photo", model, model, str(tmp_path), *options])
    assert told.exit_code == 0, told.output
    themselves, toy, *looks = map(json.loads, told.output.splitlines())
    assert themselves["people"] == 2 and themselves["rank-1"].startswith("1.000 (")
    found = {name: themselves[name] for name in ("detected", "rank-1")}
    assert themselves["detected"].startswith("1.000 (") and toy["photos"] == found != toy["drawings"]
    assert [look["of"] for look in looks] == ["gouache", f"{UNSEEN}, unseen"] and sheet.stat().st_size > 1000


def test_cartoons_are_compared_with_drawings_that_nobody_learnt_from(models, packed, photo, monkeypatch) -> None:
    """The photos' own distance, then the procedural cartoonist's and the model's, each with what it is less."""
    file, sheet = packed / "drawing.png", packed / "sheet.png"
    Image.fromarray(photo).save(file)
    monkeypatch.setattr(
        f"{CARDS}.cartoon.set_aside_drawings", lambda data: [(str(number), file) for number in range(4)]
    )
    monkeypatch.setattr(
        f"{CARDS}.cartoon.kernel", lambda wanted, made: Interval(*[float(len(wanted) - made.mean())] * 3)
    )
    names = [str(models / name / "1") for name in ("caricature", "sphereface")]
    told = CliRunner().invoke(app, ["cartoon", *names, str(packed), "--data", str(packed), "--sheet", str(sheet)])
    assert told.exit_code == 0, told.output
    themselves, teacher, toy = map(json.loads, told.output.splitlines())
    assert list(themselves) == ["of", "kid@sphereface/1"] and sheet.stat().st_size > 1000
    assert (teacher["of"], toy["of"]) == ("procedural cartoonist", "caricature/1") and {"less"} <= set(teacher) & set(
        toy
    )


def test_a_classifier_is_asked_about_faces_set_aside(tmp_path: Path) -> None:
    """Each attribute in each domain, with an interval and the answers; one that always says the same errs by a half."""
    run, _ = labelled.indifferent(tmp_path / "run")
    told = CliRunner().invoke(app, ["attributes", str(run), str(labelled.packed(tmp_path / "labelled.pack"))])
    assert told.exit_code == 0, told.output
    assert "| photo | eyeglasses | 24 | 0.500 (0.314..0.686) | no 1.00 of 12, yes 0.00 of 12 | 0.500 |" in told.output
    assert "| drawing | smiling | 24 | 0.500 (" in told.output and "yes 0.00 of 24" in told.output
    assert told.output.count("hair_color") == 2 and "bald 1.00 of 4, blond 0.00 of 4" in told.output


def test_a_reader_of_styles_is_asked_about_every_look(packed: Path) -> None:
    """The bundled one names the look of the one drawing that there is of each, and a caricature in it is the nearer."""
    bundled = Path(__file__).parents[2] / "models"
    told = CliRunner().invoke(app, ["styles", str(bundled / "style"), str(bundled / "caricature"), str(packed)])
    assert told.exit_code == 0, told.output
    rows = list(map(json.loads, told.output.splitlines()))
    assert [row["of"] for row in rows] == [*STYLES]
    assert all(row["named"] in (0, 1) and row["difference"] < row["of other looks"] for row in rows)
