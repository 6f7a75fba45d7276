"""training.recipes.attributes: it learns what can be seen, resumes exactly, and is never served."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.training.labelled import SOURCE, example, packed
from tests.training.recipes.conformance import every_phase_learns, first_batch, stepped
from training.data.pack import Example
from training.engine.errors import RecipeError
from training.engine.recipe import configured
from training.engine.run import FACTS, KEPT, LATEST, Run
from training.engine.session import Session, publish_run
from training.recipes.attributes import Recipe

TOY = {
    "images": "96",
    "batch": "16",
    "size": "32",
    "width": "4",
    "warm_up": "16",
    "half_life": "16",
    "measure": "0",
    "drawn": "0",
    "jitter": "0.5",
}


@pytest.fixture(name="pack", scope="module")
def pack_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(tmp_path_factory.mktemp("data") / "faces.pack")


def session(folder: Path, **settings: object) -> Session:
    return Session("attributes", {**TOY, **{key: str(value) for key, value in settings.items()}}, folder, device="cpu")


def test_it_learns_what_can_be_seen(pack: Path, tmp_path: Path) -> None:
    """Of faces set aside, photos and drawings: hair, glasses, and the smile of drawings that were taught by none."""
    assert session(tmp_path, images=1920, rate=5e-3, measure=1920, report=1920).train(pack)
    figures = json.loads((tmp_path / "figures.jsonl").read_text().splitlines()[-1])
    for name in ("hair_color", "eyeglasses", "smiling"):
        for domain in ("photo", "drawing"):
            assert figures[f"{name}@{domain}"] > 0.9, figures


def test_every_phase_learns(pack: Path) -> None:
    """Its loss of a batch falls."""
    every_phase_learns(configured(Recipe, TOY), pack)


def test_an_interrupted_run_is_the_unbroken_one(pack: Path, tmp_path: Path) -> None:
    """Bit by bit, in all that a run goes on with."""
    session(tmp_path / "whole", checkpoint=48, keep=48).train(pack)
    half = tmp_path / "whole" / KEPT / "000000048.safetensors"
    (tmp_path / "broken").mkdir()
    shutil.copy(half, tmp_path / "broken" / LATEST)
    shutil.copy(tmp_path / "whole" / FACTS, tmp_path / "broken" / FACTS)
    session(tmp_path / "broken").train(pack)
    (whole, _), (broken, _) = (Run(tmp_path / each).state("attributes") for each in ("whole", "broken"))
    assert whole.keys() == broken.keys() and all(torch.equal(whole[key], broken[key]) for key in whole)


def test_what_nobody_knows_adds_nothing(tmp_path: Path) -> None:
    """Neither do faces that are all alike: of photos without a colour of hair its loss is nothing, of glasses it is."""
    faces = [example(-1, number % 2 == 0, False, "photo") for number in range(16)]
    recipe = configured(Recipe, TOY)
    terms = recipe.loss(stepped(recipe.networks(), first_batch(recipe, packed(tmp_path / "x.pack", faces))))
    assert terms["hair_color"] == 0 and terms["smiling"] == 0 and terms["eyeglasses"] > 0


def test_the_terms_of_its_data_go_with_the_run(pack: Path, tmp_path: Path) -> None:
    """Whoever reads the classifier out of it is told."""
    session(tmp_path, images=16).train(pack)
    assert Run(tmp_path).facts()["settings"]["sources"] == [SOURCE]


def test_it_is_not_served(pack: Path, tmp_path: Path) -> None:
    """No role is there for it: nothing is written."""
    session(tmp_path / "run", images=16).train(pack)
    with pytest.raises(RecipeError, match="read from its run"):
        publish_run(tmp_path / "run", tmp_path / "models" / "attributes" / "1")
    assert not (tmp_path / "models").exists()


def test_without_faces_set_aside_there_are_no_figures(pack: Path, tmp_path: Path) -> None:
    """Rather than such of what was learnt."""
    recipe = configured(Recipe, TOY)
    assert recipe.measure({name: each.eval() for name, each in recipe.networks().items()}, pack).figures
    learnt = [example(hair, True, False, "photo") for hair in (1, 2)]
    bare = [Example(each.image, {}, each.numbers) for each in learnt]
    for number, faces in enumerate((learnt, bare)):
        path = packed(tmp_path / f"{number}.pack", faces)
        assert not recipe.measure(recipe.networks(), path).figures
