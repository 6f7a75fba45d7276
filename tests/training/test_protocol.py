"""training.evaluation.protocol: `likeness eval verification` and `identification` on files of the exact formats."""

import json
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from tests.training import sets
from tests.training.sets import SEVENTEEN
from training.cli import app
from training.data.pack import Example, write

ASSETS = Path(__file__).parents[1] / "assets"
PEOPLE = ("Ann A", "Bo", "Cy", "Dee")


def run(models: Path, command: str, *arguments: object) -> Result:
    """A command about the toy encoder, which compares coarse pictures."""
    words = ["eval", command, models / "sphereface" / "1", *arguments]
    return CliRunner().invoke(app, [str(word) for word in words])


def done(models: Path, command: str, *arguments: object) -> dict:
    """What it says on standard output, if it succeeds."""
    result = run(models, command, *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(models: Path, command: str, *arguments: object) -> str:
    """What it says if it does not, without a traceback, and nothing on standard output."""
    result = run(models, command, *arguments)
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit) and not result.stdout, result.output
    return result.stderr.strip().splitlines()[-1]


def text(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(name="caricatures", scope="module")
def caricatures_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """WebCaricature of four people, each the same on two drawings and a photo."""
    root = tmp_path_factory.mktemp("WebCaricature")
    for seed, person in enumerate(PEOPLE):
        for file in ("C00001", "C00002", "P00001"):
            sets.picture(root / "OriginalImages" / person / f"{file}.jpg", seed, (200, 232))
            points = root / "FacialPoints" / person / f"{file}.txt"
            points.parent.mkdir(parents=True, exist_ok=True)
            text(points, *(f"{x:g} {y:g}" for x, y in SEVENTEEN))
    return root


@pytest.fixture(name="strangers")
def strangers_(tmp_path: Path) -> Path:
    """Somebody else."""
    return text(tmp_path / "strangers.txt", "Eve")


def all_of(figures: Mapping[str, list[float]], mean: float) -> bool:
    return set(map(tuple, figures.values())) == {(mean, 0.0)}


def test_webcaricature_by_people(caricatures: Path, strangers: Path, models: Path, tmp_path: Path) -> None:
    """Two folds of view 2; people who look alike on all pictures are told from all others."""
    view = text(tmp_path / "UnRestrictedView2.txt", "2", "Ann A\t2\t1", "Bo\t2\t1", "2", "Cy\t2\t1", "Dee\t2\t1")
    options = ("--protocol", "webcaricature-unrestricted", "--images", caricatures, "--trained-on", strangers)
    told = done(models, "verification", view, *options)
    assert told["model"] == "sphereface/1" and told["counts"] == {"folds": 2, "pictures": 12, "people": 4}
    assert set(told["figures"]) == {"accuracy", "tar@0.01", "tar@0.001", "auc"} and all_of(told["figures"], 1.0)
    assert not told["remarks"]


def test_webcaricature_by_pairs(caricatures: Path, models: Path, tmp_path: Path) -> None:
    """View 1, with the other file of that view as what the encoder has learnt from; a fold alone is said to be one."""
    test = text(tmp_path / "RestrictedView1_DevTest.txt", "1", "Ann A\tC00001\tP00001", "Bo\tC00002\tAnn A\tP00001")
    train = text(tmp_path / "RestrictedView1_DevTrain.txt", "1", "Cy\tC00001\tP00001", "Cy\tC00002\tDee\tP00001")
    options = ("--protocol", "webcaricature-restricted", "--images", caricatures, "--trained-on", train)
    told = done(models, "verification", test, *options)
    assert told["counts"] == {"folds": 1, "pictures": 3, "people": 2} and all_of(told["figures"], 1.0)
    assert "One fold alone" in told["remarks"][0]


def test_webcaricature_by_galleries(caricatures: Path, strangers: Path, models: Path, tmp_path: Path) -> None:
    """Caricatures are looked for among photos, in two folds; lists that do not belong together are named."""
    for fold, persons in enumerate((PEOPLE[:2], PEOPLE[2:]), 1):
        text(tmp_path / f"FR_Probe_C2P{fold}.txt", *(f"{person}\tC00002" for person in persons))
        text(tmp_path / f"FR_Gallery_C2P{fold}.txt", *(f"{person}\tP00001" for person in persons))
    probes = sorted(tmp_path.glob("FR_Probe_C2P*.txt"))
    told = done(models, "identification", *probes, "--images", caricatures, "--trained-on", strangers)
    assert told["figures"] == {"rank-1": [1.0, 0.0], "rank-10": [1.0, 0.0]} and told["counts"]["folds"] == 2
    text(tmp_path / "FR_Probe_C2P1.txt", "Ann A\tC00001")
    text(tmp_path / "FR_Gallery_C2P1.txt", "Bo\tP00001")
    options = ("--images", caricatures, "--trained-on", strangers)
    assert "Ann A is looked for and not in the gallery" in refused(models, "identification", *probes, *options)
    other = text(tmp_path / "list.txt", "Ann A\tC00001")
    assert "list.txt is not called FR_Probe_" in refused(models, "identification", other, *options)


def test_lfw(strangers: Path, models: Path, tmp_path: Path) -> None:
    """Faces are found by dlib; where there is none, the picture is cut as the others are, and that is said."""
    lfw = tmp_path / "lfw"
    for person, number, file in (("Ann_A", 1, "person1-neutral"), ("Ann_A", 4, "person1-smiling")):
        picture = cv2.resize(cv2.imread(str(ASSETS / f"{file}.jpg")), (250, 250))
        path = lfw / person / f"{person}_{number:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture)
    for seed, person in enumerate(("Bo", "Cy", "Dee")):
        for number in (1, 2):
            sets.picture(lfw / person / f"{person}_{number:04d}.jpg", seed, (250, 250))
    lines = ("Ann_A\t1\t4", "Bo\t1\tAnn_A\t4", "Cy\t1\t2", "Cy\t2\tDee\t1")
    pairs = text(tmp_path / "pairs.txt", "2\t1", *lines)
    options = ("--protocol", "lfw", "--images", lfw, "--trained-on", strangers)
    told = done(models, "verification", pairs, *options)
    assert told["counts"] == {"folds": 2, "pictures": 6, "people": 4} and all_of(told["figures"], 1.0)
    assert told["remarks"] == ["No face is found in 4 of the pictures; they are cut where the others have theirs"]
    (lfw / "Dee" / "Dee_0001.jpg").unlink()
    complaint = "lfw lacks 1 pictures of the protocol, Dee/Dee_0001 among them"
    assert complaint in refused(models, "verification", pairs, *options)
    nobody = text(tmp_path / "nobody.txt", "1", "Cy\t1\t2", "Cy\t1\tBo\t1")
    assert "a face is found in none of 3 pictures" in refused(models, "verification", nobody, *options)


@pytest.mark.parametrize(
    "lines",
    [
        ["Cy", "ann a"],  # a list of people
        ["2", "Ann A\t2\t1", "Cy\t2\t1"],  # the people of view 1
        ["Cy\t20\t12", "Ann A\t2\t1"],  # FR_Train1.txt, which has no count
        ["Ann A  2  1"],
        ["1", "Cy\tC00001\tP00001", "Cy\tC00002\tAnn A\tP00001"],  # pairs of WebCaricature
        ["1\t1", "Cy\t1\t4", "Cy\t1\tAnn_A\t12"],  # pairs of LFW
        ["2", "Cy\t12", "Ann_A\t4"],  # people of LFW
    ],
)
def test_whoever_was_trained_on_is_named(lines: list[str], models: Path, tmp_path: Path) -> None:
    """By any form of list or training view, however the name is written; before a picture is looked for."""
    view = text(tmp_path / "UnRestrictedView1_DevTest.txt", "2", "Ann A\t2\t1", "Bo\t2\t1")
    train = text(tmp_path / "train.txt", *lines)
    options = ("--protocol", "webcaricature-unrestricted", "--images", tmp_path, "--trained-on", train)
    told = refused(models, "verification", view, *options)
    assert told == "1 of the people were trained on, Ann A among them: they cannot be judged"


def test_a_pack_says_whom_the_encoder_knows(caricatures: Path, models: Path, tmp_path: Path) -> None:
    """People of it who are set aside can be judged, all others cannot; without names it says nothing."""
    view = text(tmp_path / "view.txt", "2", "Ann A\t2\t1", "Bo\t2\t1")
    grey = np.zeros((8, 8, 3), np.uint8)
    options = ("--protocol", "webcaricature-unrestricted", "--images", caricatures, "--trained-on")
    for split, name in (("train", "learnt"), ("test", "aside")):
        people = [
            {"person": "Bo", "split": split},
            {"person": "Cy", "split": "train"},
            {"person": "", "split": "train"},
        ]
        write(tmp_path / f"{name}.pack", [Example(grey, known) for known in people])
    assert "Bo among them" in refused(models, "verification", view, *options, tmp_path / "learnt.pack")
    assert all_of(done(models, "verification", view, *options, tmp_path / "aside.pack")["figures"], 1.0)
    write(tmp_path / "nameless.pack", [Example(grey)])
    told = refused(models, "verification", view, *options, tmp_path / "nameless.pack")
    assert "nameless.pack does not say who is in it" in told


def test_what_the_encoder_knows_must_be_told(caricatures: Path, models: Path, tmp_path: Path) -> None:
    """Without it there is no figure."""
    view = text(tmp_path / "view.txt", "1", "Bo\t2\t1")
    told = run(models, "verification", view, "--protocol", "webcaricature-unrestricted", "--images", caricatures)
    assert told.exit_code == 2 and "--trained-on" in told.output


def test_only_an_encoder_can_be_judged(caricatures: Path, strangers: Path, models: Path, tmp_path: Path) -> None:
    """A translator is named as what it is."""
    view = text(tmp_path / "view.txt", "2", "Ann A\t2\t1", "Bo\t2\t1")
    words = ("eval", "verification", models / "caricature" / "1", view, "--protocol", "webcaricature-unrestricted")
    options = ("--images", caricatures, "--trained-on", strangers)
    told = CliRunner().invoke(app, [str(word) for word in (*words, *options)])
    assert told.exit_code == 1 and "is no encoder but a translator" in told.stderr


def test_the_word_model_may_be_left_out(models: Path, tmp_path: Path) -> None:
    """Options may come first; the help lists all three commands."""
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    for words in ((models / "caricature" / "1",), ("model", models / "caricature" / "1")):
        told = CliRunner().invoke(app, ["eval", *map(str, words), "--data", str(tmp_path)])
        assert told.exit_code == 1 and "broken.jpg" in told.stderr
    first = CliRunner().invoke(app, ["eval", "--data", str(tmp_path), str(models / "caricature" / "1")])
    assert first.exit_code == 1 and "broken.jpg" in first.stderr
    told = CliRunner().invoke(app, ["eval", "--help"]).output
    assert all(command in told for command in ("model", "verification", "identification"))
