"""Pairs that the procedural caricaturist draws."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from training.data import proportions
from training.data.caricaturist import CODE_SIZE, FaceSpace
from training.data.looks import STYLE_SIZE, nearest
from training.data.pack import Pack
from training.data.painter import paint
from training.data.pairs import (
    UNSEEN,
    WARP_CELLS,
    app,
    cartoon_pair,
    cartoon_shape_pair,
    cell_centres,
    drawing_pair,
    random_style,
    resampled,
    shape_pair,
    undrawn_shape_pair,
)
from training.data.portraits import Portraits


def test_a_shape_is_labelled_with_the_displacement_of_its_code(photo, faces, space):
    """The displacement is the space's own for the reshaped face and its code, and the field carries it."""
    coded = 0
    for seed in range(4):
        pair = shape_pair(photo, faces[0], space, np.random.default_rng(seed))
        face, move, code, field = (pair.numbers[name] for name in ("landmarks", "displacement", "code", "field"))
        assert pair.image.shape == (128, 128, 3) and code.shape == (CODE_SIZE,)
        assert np.allclose(move, space.displacement(face.astype(float), code=code), atol=1e-3)
        back = resampled(cell_centres(WARP_CELLS).reshape(WARP_CELLS, WARP_CELLS, 2) + field, (face + move)[None])[0]
        assert np.abs(back - face).mean() < 1.5
        coded += code.any()
    assert 0 < coded < 4


@pytest.fixture
def packed(tmp_path: Path, photo: np.ndarray, faces: np.ndarray) -> Path:
    """People of one photo, and artists."""
    names = np.array([f"train-clean/congress256/{person}" for person in range(12)])
    Portraits(np.stack([photo] * 12), faces[:12].astype(np.float32), names).save(tmp_path / "train.npz")
    np.savez(tmp_path / "artists.npz", before=faces[:4], after=faces[4:8])
    return tmp_path


@pytest.mark.parametrize("source", ["law", "artists"])
def test_shapes_are_taught_by_a_part_of_the_caricaturist(packed: Path, source: str):
    """By the law alone, or by the artists' habit alone; faces are those of both."""
    both, part = packed / "both.pack", packed / "part.pack"
    for out, options in ((both, []), (part, ["--source", source])):
        told = CliRunner().invoke(app, ["shapes", str(packed), str(out), "--count", "2", *options])
        assert told.exit_code == 0, told.output
    rows, wanted = Pack(part).columns, getattr(FaceSpace.load(packed), source)()
    assert np.array_equal(rows["landmarks"], Pack(both).columns["landmarks"])
    for face, code, move in zip(rows["landmarks"], rows["code"], rows["displacement"], strict=True):
        assert np.allclose(move, wanted.displacement(face.astype(float), code=code), atol=1e-3)


def test_what_a_table_says_of_photos_is_said_of_their_pairs(packed: Path) -> None:
    """Who it is, and whatever numbers there are, beside the terms."""
    portraits = Portraits.load(packed / "train.npz")
    names = np.array([f"{packed}/{number}.jpg" for number in range(12)])
    persons, ages = np.array([f"person {number}" for number in range(12)]), np.arange(12.0)
    labels = {"person": persons, "age": ages, "source": np.array(["studio (CC0)"] * 12)}
    replace(portraits, names=names, labels=labels).save(packed / "train.npz")
    told = CliRunner().invoke(app, ["drawings", str(packed), str(packed / "out.pack"), "--count", "3"])
    assert told.exit_code == 0, told.output
    pack = Pack(packed / "out.pack")
    assert pack.present("source") == ("studio (CC0)",) and pack.present("geometry")
    who = [pack.names["person"][code] for code in pack.columns["person"]]
    assert who == [f"person {age:.0f}" for age in pack.columns["age"]]


@pytest.mark.parametrize("kind, source", [("drawings", "law"), ("shapes", "photos")])
def test_what_cannot_be_taught_is_named(packed: Path, kind: str, source: str):
    """Nothing is written."""
    told = CliRunner().invoke(app, [kind, str(packed), str(packed / "out.pack"), "--source", source])
    assert told.exit_code == 2 and f"--source {source}" in told.output and not (packed / "out.pack").exists()


def test_a_drawn_shape_is_labelled_with_the_way_back(photo, faces, space):
    """What is left after the displacement is a face that, exaggerated again, is the drawing's; the field goes there."""
    for seed in range(4):
        pair = undrawn_shape_pair(photo, faces[0], space, np.random.default_rng(seed))
        drawn, move, code, field = (pair.numbers[name] for name in ("landmarks", "displacement", "code", "field"))
        assert pair.image.shape == (128, 128, 3) and not code.any()
        person = (drawn + move).astype(float)
        again = space.displacement(person).ravel()
        share = again @ -move.ravel() / (again @ again)
        assert 0 <= share < 1.5 and np.abs(share * again + move.ravel()).mean() < 0.15 * np.abs(move).mean() + 1e-6
        source = resampled(cell_centres(WARP_CELLS).reshape(WARP_CELLS, WARP_CELLS, 2) + field, person[None])[0]
        assert np.abs(source - drawn).mean() < 1.5


def test_a_shape_is_labelled_with_the_proportions_of_its_cartoon(photo, faces, space):
    """The displacement is that of the reshaped face to its cartoon, without a code, and the field carries it."""
    pair = cartoon_shape_pair(photo, faces[0], space, np.random.default_rng(0))
    face, move, code, field = (pair.numbers[name] for name in ("landmarks", "displacement", "code", "field"))
    assert pair.image.shape == (128, 128, 3) and not code.any()
    assert np.allclose(move, proportions.displacement(face.astype(float)), atol=1e-3)
    back = resampled(cell_centres(WARP_CELLS).reshape(WARP_CELLS, WARP_CELLS, 2) + field, (face + move)[None])[0]
    assert np.abs(back - face).mean() < 1.5


def test_an_unseen_look_is_not_drawn():
    """Styles are near all the other looks, and near that one only by chance."""
    random = np.random.default_rng(0)
    met = [nearest(random_style(random, UNSEEN)) for _ in range(300)]
    everything = [nearest(random_style(random)) for _ in range(300)]
    assert met.count(UNSEEN) < 10 < everything.count(UNSEEN)


def test_a_drawing_stands_beside_its_photo(photo, faces, space):
    """On the left the photo, on the right its painting in the style of the pair."""
    pair = drawing_pair(photo, faces[0], space, np.random.default_rng(0))
    left, right = np.hsplit(pair.image, 2)
    assert left.shape == right.shape == photo.shape and pair.numbers["style"].shape == (STYLE_SIZE,)
    again = paint(left, faces[0], pair.numbers["style"])
    assert np.abs(again.astype(float) - right).mean() < np.abs(left.astype(float) - right).mean()
    assert cv2.absdiff(left, right).mean() > 3


def test_a_cartoon_stands_beside_its_photo(photo, faces, space):
    """On the left the photo in its proportions, on the right the cartoon on white, which its regions have painted."""
    pair = cartoon_pair(photo, faces[0], space, np.random.default_rng(0))
    left, right = np.hsplit(pair.image, 2)
    assert left.shape == right.shape == photo.shape
    assert (right[:20, :8] == 255).all() and cv2.absdiff(left, right).mean() > 3
    flat = pair.numbers["palette"][pair.numbers["regions"]]
    assert (cv2.absdiff(flat, right).max(-1) < 3).mean() > 0.85


def test_hands_do_not_change_what_they_draw(packed: Path):
    """Pairs are the same by one process and by two, and whoever has a beard comes more often."""
    alone, together = packed / "alone.pack", packed / "together.pack"
    for out, processes in ((alone, "1"), (together, "2")):
        told = CliRunner().invoke(app, ["cartoons", str(packed), str(out), "--count", "3", "--processes", processes])
        assert told.exit_code == 0, told.output
    assert Pack(alone).fingerprint == Pack(together).fingerprint
    assert (Pack(alone).images() == Pack(together).images()).all()
