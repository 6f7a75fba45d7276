"""training.evaluation.ablations: variants of a recipe with one budget, judged alike."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from tests.training.labelled import indifferent
from training.data.caricaturist import CODE_SIZE
from training.data.looks import STYLE_SIZE
from training.data.pack import Example, Pack, write
from training.data.portraits import Portraits
from training.data.proportions import PORTRAIT
from training.engine import checkpoint
from training.engine.run import LATEST, Run
from training.evaluation.ablations import bench
from training.evaluation.ablations.__main__ import app
from training.evaluation.ablations.bench import Bench
from training.evaluation.ablations.figures import COLUMNS, table
from training.evaluation.ablations.runs import Runs, weights
from training.evaluation.ablations.variants import BASE, VARIANTS, Variant, named
from training.metrics.interval import Interval
from training.metrics.judge import Face

KINDS = 2
TOY = {"warp_width": 4, "paint_width": 4, "discriminator_width": 2, "batch": 2, "apart": 2, "report": 2}


@pytest.fixture(autouse=True)
def toy(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of few channels, a small face encoder, and a judge who sees a face of few numbers in everything."""
    for name, value in {**TOY, "recogniser": str(encoder)}.items():
        monkeypatch.setitem(BASE, name, value)
    for variant in VARIANTS:
        if "clusters" in variant.settings:
            monkeypatch.setitem(variant.settings, "clusters", KINDS)
    monkeypatch.setattr(bench, "Judge", Glance)


class Glance:
    """A judge at no cost: the mean face, a little off, and mean colours for a descriptor."""

    def face(self, image: np.ndarray) -> Face:
        """Of any picture."""
        landmarks = PORTRAIT / 2 + np.random.default_rng(int(image.sum())).normal(0, 2, (68, 2))
        return Face(image, landmarks, cv2.resize(image, (4, 4), interpolation=cv2.INTER_AREA).ravel() / 255)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory, photo: np.ndarray, faces: np.ndarray) -> Path:
    """People of one photo, four of them set aside, and artists."""
    folder = tmp_path_factory.mktemp("packed")
    np.savez(folder / "train.npz", landmarks=faces)
    shades = np.stack([(photo * share).astype(np.uint8) for share in (1, 0.9, 0.8, 0.7)])
    Portraits(shades, faces[:4].astype(np.float32), np.array(["a", "b", "c", "d"])).save(folder / "set-aside.npz")
    np.savez(folder / "artists.npz", before=faces[:4], after=faces[4:8])
    return folder


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory, photo: np.ndarray, faces: np.ndarray) -> Path:
    """Faces that go nowhere."""
    path = tmp_path_factory.mktemp("shapes") / "shapes.pack"
    image = cv2.resize(photo, (128, 128))
    numbers = {
        "landmarks": faces[0].astype(np.float32),
        "displacement": np.ones((68, 2), np.float32),
        "field": np.ones((32, 32, 2), np.float16),
        "code": np.zeros(CODE_SIZE, np.float32),
    }
    write(path, [Example(image, {"source": "portraits (CC BY)"}, numbers)] * 6)
    return path


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory, photo: np.ndarray) -> Path:
    """Photos beside their negatives, of two people."""
    path, pair = tmp_path_factory.mktemp("drawings") / "drawings.pack", np.hstack([photo, 255 - photo])
    rows = [
        Example(
            pair,
            {"source": "studio (CC0)", "person": "ab"[number % 2]},
            {"style": np.full(STYLE_SIZE, number, np.float32), "gender": np.float64(number % 2)},
        )
        for number in range(6)
    ]
    write(path, rows)
    return path


BUDGET = ["--images", "4", "--begun", "4", "--warped", "4", "--people", "3"]


@pytest.fixture
def run(shapes: Path, drawings: Path, packed: Path, tmp_path: Path):
    """The command on toy size."""
    judge, _ = indifferent(tmp_path / "judge")

    def invoke(*options: str) -> Result:
        packs = ["--shapes", str(shapes), "--drawings", str(drawings), "--packed", str(packed), "--law", str(shapes)]
        packs += ["--classifier", str(judge)]
        return CliRunner().invoke(app, [str(tmp_path / "into"), *packs, *BUDGET, *options])

    return invoke


def only(*names: str) -> list[str]:
    """The options that choose variants."""
    return [word for name in names for word in ("--only", name)]


def test_every_variant_is_trained_and_judged(run, tmp_path: Path) -> None:
    """But the one whose pack is missing; a line of figures each, then the tables, in which nothing of theirs lacks."""
    told = run()
    assert told.exit_code == 0, told.output
    lines = [json.loads(line) for line in told.stdout.splitlines() if line.startswith("{")]
    assert [line["variant"] for line in lines] == [each.name for each in VARIANTS if each.taught != "artists"]
    assert (tmp_path / "into" / "ablations.jsonl").read_text().splitlines() == told.stdout.splitlines()[: len(lines)]
    for line in lines:
        assert set(COLUMNS[named(line["variant"]).part]) <= line["figures"].keys()
        assert all(low <= value <= high for value, low, high in line["figures"].values())
    rows = [row.strip("| ").split(" | ") for row in told.stdout.splitlines() if row.startswith("| ")]
    assert sum("(" in row[-1] for row in rows) == len(lines) and not any("-" in row for row in rows)


def test_what_has_figures_is_left_alone(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same command trains and judges nothing and tells the same; others are added.

    `paint-raw` is of the run `paint`, and judged by other weights than its average.
    """
    first = run(*only("warp"))
    assert first.exit_code == 0, first.output
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "into").rglob("*") if path.is_file()}
    with monkeypatch.context() as patched:
        patched.setattr(Bench, "judged", None)
        patched.setattr(Runs, "trained", None)
        assert run(*only("warp")).stdout == first.stdout
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "into").rglob("*") if path.is_file()}
    told = run(*only("paint-raw"))
    assert told.exit_code == 0 and "| warp |" in told.stdout and "| paint-raw |" in told.stdout, told.output
    assert sorted(each.name for each in (tmp_path / "into").iterdir() if each.is_dir()) == ["begun", "paint", "warp"]
    raw, mean = (weights(tmp_path / "into" / "paint", averaged=each)["painter"].state_dict() for each in (False, True))
    assert any(not torch.equal(raw[key], mean[key]) for key in raw)


def test_a_painter_begins_from_the_warp(run, tmp_path: Path) -> None:
    """By way of the painter that all go on from; its settings differ from the base's as the variant says."""
    assert run(*only("texture-patch")).exit_code == 0
    warp, paint = (Run(tmp_path / "into" / name) for name in ("warp", "texture-patch"))
    ours, theirs = (weights(each.folder, averaged=True)["warp"].state_dict() for each in (paint, warp))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours if key.startswith("head."))
    settings = paint.facts()["settings"]
    assert (settings["texture"], settings["whole"], settings["images"]) == (0.1, False, 4)
    drawn = Pack(tmp_path / "into" / "drawn.pack")
    assert len(drawn) == 4 and drawn.image(0).shape == (256, 256, 3) and drawn.present("source") == ("studio (CC0)",)


def test_another_budget_takes_another_folder(run) -> None:
    """Its figures cannot be compared; told in a sentence."""
    assert run(*only("warp")).exit_code == 0
    told = run(*only("warp"), "--images", "6")
    assert (
        told.exit_code == 1 and "was begun with {'images': 4, 'begun': 4, 'warped': 4, 'people': 3}" in told.output
    ), told.output


@pytest.mark.parametrize("name", ["nobody", "warp-artists"])
def test_a_variant_that_is_not_there_is_named(run, name: str) -> None:
    """Or that has no pack."""
    told = run(*only(name))
    assert told.exit_code == 2 and name in told.output


def test_without_a_classifier_its_variant_is_left_out(
    shapes: Path, drawings: Path, packed: Path, tmp_path: Path
) -> None:
    """And cannot be asked for."""
    packs = ["--shapes", str(shapes), "--drawings", str(drawings), "--packed", str(packed)]
    told = CliRunner().invoke(app, [str(tmp_path / "into"), *packs, *BUDGET, *only("attributes")])
    assert told.exit_code == 2 and "attributes" in told.output


def test_what_drawings_do_not_tell_leaves_variants_out(run, drawings: Path, tmp_path: Path) -> None:
    """Of a pack that says nothing of its people, those that ask for it cannot be asked for."""
    pack, unnamed = Pack(drawings), tmp_path / "unnamed.pack"
    numbers = {"style": np.zeros(STYLE_SIZE, np.float32)}
    write(unnamed, [Example(pack.image(index), {"source": "studio (CC0)"}, numbers) for index in range(6)])
    for name in ("prototypes", "texture-matched"):
        told = run(*only(name), "--drawings", str(unnamed))
        assert told.exit_code == 2 and name in told.output


def test_a_warp_that_moves_nothing_explains_nothing(run, packed: Path, drawings: Path, tmp_path: Path) -> None:
    """Its figures say so, and at strength 0 a drawing is of the photo whatever the warp has learnt."""
    assert run(*only("warp")).exit_code == 0
    path = tmp_path / "into" / "warp" / LATEST
    tensors, facts = checkpoint.load(path)
    for key in tensors:
        if key.startswith(("averages/warp/head.field", "averages/warp/head.judge.2")):
            tensors[key].zero_()
    checkpoint.save(path, tensors, facts)
    found = Bench(packed, drawings, 3).judged(named("warp"), path.parent)
    assert found["folded"].value == found["repaint"].value == 0
    assert found["explained"].value == pytest.approx(0, abs=1e-6)


def test_a_table_has_the_variants_that_were_judged() -> None:
    """In their order; what dlib could not say is a dash."""
    known = {"b": {"detected": Interval(0.5, 0.25, 0.75)}, "c": {"repaint": Interval(0, 0, 0)}}
    rows = table([Variant(name, "?", "paint") for name in "abc"], known, ["detected"]).splitlines()
    cells = [["variant", "what it asks", "detected"], ["---"] * 3, ["b", "?", "0.500 (0.250..0.750)"], ["c", "?", "-"]]
    assert [row.strip("| ").split(" | ") for row in rows] == cells
