"""training.recipes.cartoonist: it learns which material lies where, and is joined with a warp when it is exported."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from export.contract import Contract
from export.parity import open_session
from export.repository import GRAPH
from tests.training.recipes.conformance import every_phase_learns
from tests.training.recipes.conftest import noise
from training import painting
from training.data.errors import DataError
from training.data.materials import Material
from training.data.pack import Example, write
from training.engine.errors import CheckpointError, RecipeError, RunError
from training.engine.journal import FIGURES
from training.engine.recipe import configured
from training.engine.run import FACTS, KEPT, LATEST, Run
from training.engine.session import Session, import_run, publish_run
from training.networks.warp import PARTS
from training.recipes.cartoonist import Recipe, missed

TOY = {"images": 8, "batch": 4, "apart": 2, "measure": 0, "sheet": 0, "side": 128, "width": 4, "half_life": 2}
WARP = {"images": 4, "batch": 2, "apart": 2, "side": 128, "warp_width": 4, "direction": "cartoon", "sheet": 0}


@pytest.fixture(name="cartoons", scope="module")
def cartoons_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos beside cartoons of them: halves of two materials."""
    path, random = tmp_path_factory.mktemp("cartoons") / "cartoons.pack", np.random.default_rng(3)
    regions = np.full((256, 256), Material.GROUND, np.uint8)
    regions[128:] = Material.SKIN
    rows = [
        Example(
            np.hstack([noise(random, 256, 256), palette[regions]]),
            {"source": "studio (CC0)", "geometry": "somebody's proportions (CC BY)"},
            {"regions": regions, "palette": palette},
        )
        for palette in random.integers(0, 256, (10, len(Material), 3), dtype=np.uint8)
    ]
    write(path, rows)
    return path


def session(folder: Path, **settings: object) -> Session:
    return Session("cartoonist", {key: str(value) for key, value in {**TOY, **settings}.items()}, folder, device="cpu")


@pytest.fixture(name="warp", scope="module")
def warp_(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the warp to a cartoon's proportions, which has learnt hardly anything."""
    folder = tmp_path_factory.mktemp("warp") / "run"
    warp = Session("satnet_r", {key: str(value) for key, value in WARP.items()}, folder, device="cpu")
    assert warp.train(shapes)
    return folder


@pytest.fixture(name="paint", scope="module")
def paint_(cartoons: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the painter."""
    folder = tmp_path_factory.mktemp("paint") / "run"
    assert session(folder, sheet=8).train(cartoons)
    return folder


@pytest.fixture(name="graph", scope="module")
def graph_(paint: Path, warp: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported cartoonist."""
    to = tmp_path_factory.mktemp("models") / "cartoon" / "1"
    publish_run(paint, to, settings={"joined": str(warp)})
    return to / GRAPH


def test_every_phase_learns(cartoons: Path) -> None:
    """Its loss of a batch falls."""
    every_phase_learns(configured(Recipe, TOY), cartoons)


def test_it_learns_which_material_lies_where(cartoons: Path, tmp_path: Path) -> None:
    """Of pairs set apart hardly a pixel of either is taken for another, where chance would leave half of them."""
    assert session(tmp_path, images=96, measure=96, rate=1e-2, warm_up=0.0).train(cartoons)
    assert json.loads((tmp_path / FIGURES).read_text().splitlines()[-1])["missed"] < 0.2


def test_an_interrupted_run_is_the_unbroken_one(cartoons: Path, tmp_path: Path) -> None:
    """Bit by bit, in all that a run goes on with."""
    session(tmp_path / "whole", checkpoint=4, keep=4).train(cartoons)
    (tmp_path / "broken").mkdir()
    shutil.copy(tmp_path / "whole" / KEPT / "000000004.safetensors", tmp_path / "broken" / LATEST)
    shutil.copy(tmp_path / "whole" / FACTS, tmp_path / "broken" / FACTS)
    session(tmp_path / "broken", checkpoint=4, keep=4).train(cartoons)
    (whole, _), (broken, _) = (Run(tmp_path / each).state("cartoonist") for each in ("whole", "broken"))
    assert whole.keys() == broken.keys() and all(torch.equal(whole[key], broken[key]) for key in whole)


def test_missed_is_the_mean_over_materials() -> None:
    """Of two materials one is found and of the other half: a fourth, however many pixels either has."""
    regions = torch.zeros(1, 4, 4, dtype=torch.long)
    regions[0, 0, :2] = Material.FRAME
    scores = torch.zeros(1, len(Material), 4, 4)
    scores[:, Material.GROUND] = 1
    scores[0, Material.FRAME, 0, 0] = 2
    assert missed(scores, regions) == pytest.approx(0.25)


def test_it_has_one_look(graph: Path) -> None:
    """Strength, parts and texture are all that it takes, and texture acts; its terms are those of both runs."""
    ran = open_session(graph.read_bytes())
    contract = Contract.from_metadata(ran.get_modelmeta().custom_metadata_map, "")
    assert [control.name for control in contract.controls] == ["strength", "parts", "texture"]
    assert not contract.styles and contract.description.startswith("Photo to cartoon")
    assert set(contract.data) == {"studio (CC0)", "somebody's proportions (CC BY)", "portraits (CC BY)"}
    photo = np.random.default_rng(5).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    drawn, bare = (ran.run(None, contract.feed([photo], [each]))[0] for each in ({}, {"texture": 0.0}))
    assert (drawn != bare).any()
    still = ran.run(None, contract.feed([photo], [{"texture": 0.0, "strength": 0.0, "parts": [0.0] * len(PARTS)}]))[0]
    assert np.abs(contract.images(still)[0].astype(int) - photo).max() <= 1


def test_a_published_one_is_gone_on_with(graph: Path, tmp_path: Path, paint: Path) -> None:
    """Imported it has the width and, to half precision, the weights of the painter."""
    import_run("cartoonist", [graph], tmp_path / "run")
    settings, found = Run(tmp_path / "run").averages("cartoonist")
    _, own = Run(paint).averages("cartoonist")
    assert settings["width"] == TOY["width"] and "studio (CC0)" in settings["sources"]
    for key, value in own["flat"].items():
        if not key.endswith("num_batches_tracked"):
            torch.testing.assert_close(found["flat"][key], value, rtol=1e-3, atol=1e-3)


def test_the_warp_of_a_published_one_is_gone_on_with(graph: Path, tmp_path: Path) -> None:
    """By the recipe that learns warps."""
    import_run("satnet_r", [graph], tmp_path / "run")
    settings, _ = Run(tmp_path / "run").averages("satnet_r")
    assert (settings["direction"], settings["learnt"]) == ("cartoon", ["warp"])


def test_a_byte_a_weight_is_held_against_what_was_learnt(
    paint: Path, warp: Path, cartoons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By pictures of pairs set apart; too far off is refused."""
    publish_run(paint, tmp_path / "cartoon" / "1", cartoons, "int8", {"joined": str(warp)})
    monkeypatch.setattr(painting, "ALIKE", 0.0)
    with pytest.raises(RunError, match=r"int8: outputs are .* off on average"):
        publish_run(paint, tmp_path / "cartoon" / "2", cartoons, "int8", {"joined": str(warp)})


@pytest.mark.parametrize(
    ("settings", "error", "complaint"),
    [
        ({"side": 64}, RecipeError, "side: must be 128 or 256, not 64"),
        ({"width": 5}, RecipeError, "width: must be even, not 5"),
        ({"apart": 10}, DataError, "apart=10 leaves none of its 10 pairs to learn from"),
        ({"joined": "nowhere"}, RunError, "nowhere is no run"),
    ],
)
def test_what_is_wrong_is_told_before_a_run_begins(
    settings: dict[str, object], error: type[Exception], complaint: str, cartoons: Path, tmp_path: Path
) -> None:
    """With the name of the setting or of the file; there is no folder of a run yet."""
    with pytest.raises(error, match=complaint):
        session(tmp_path / "run", **settings).train(cartoons)
    assert not (tmp_path / "run").exists()


def test_a_warp_to_somewhere_else_is_not_joined(
    paint: Path, shapes: Path, cartoons: Path, warp: Path, tmp_path: Path
) -> None:
    """None at all, one that exaggerates, and no warp; nor is the warp exported without a painter."""
    with pytest.raises(RecipeError, match="a painter needs a warp"):
        publish_run(paint, tmp_path / "cartoon" / "1")
    other = {key: str(value) for key, value in WARP.items() if key != "direction"}
    Session("satnet_r", other, tmp_path / "other", device="cpu").train(shapes)
    with pytest.raises(RecipeError, match="has learnt no warp of direction=cartoon"):
        publish_run(paint, tmp_path / "cartoon" / "1", settings={"joined": str(tmp_path / "other")})
    with pytest.raises(RecipeError, match="is exported by the recipe cartoonist"):
        publish_run(warp, tmp_path / "cartoon" / "1")
    with pytest.raises(DataError, match="cartoon takes a pack with regions, palette; it has no regions"):
        session(tmp_path / "run").train(shapes)


def test_what_is_no_cartoonist_is_refused(tmp_path: Path) -> None:
    """By its file's name."""
    torch.save({"stem.0.weight": torch.zeros(1)}, tmp_path / "some.pth")
    with pytest.raises(CheckpointError, match=r"some.pth is no cartoonist"):
        import_run("cartoonist", [tmp_path / "some.pth"], tmp_path / "run")
