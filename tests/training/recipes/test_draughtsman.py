"""training.recipes.draughtsman: it learns what a hand sees, and is joined with a warp when it is exported."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from export.contract import STYLE, Contract
from export.parity import open_session
from export.repository import GRAPH
from tests.training.recipes.conformance import every_phase_learns
from tests.training.recipes.conftest import noise
from training.data.errors import DataError
from training.data.looks import BLACKEST, STYLES
from training.data.pack import Example, Pack, write
from training.data.paired import Layered, layers_of
from training.data.streams import in_order
from training.engine.errors import CheckpointError, RecipeError
from training.engine.journal import FIGURES
from training.engine.recipe import configured
from training.engine.run import Run
from training.engine.session import Session, import_run, publish_run
from training.networks.warp import PARTS
from training.recipes.draughtsman import Recipe

TOY = {"images": 4, "batch": 2, "apart": 2, "measure": 0, "sheet": 0, "width": 4, "half_life": 2}
WARP = {"images": 4, "batch": 2, "apart": 2, "side": 128, "warp_width": 4, "sheet": 0}


@pytest.fixture(name="layered", scope="module")
def layered_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos beside the same with half the light, and a line across the middle, pressed in the upper half."""
    path, random = tmp_path_factory.mktemp("layers") / "layers.pack", np.random.default_rng(3)
    lines, where = np.zeros((256, 256, 2), np.int8), np.zeros((64, 64, 2), np.uint8)
    lines[128], where[:32, :, 0], where[..., 1] = 127, 255, 255
    rows = []
    for _ in range(8):
        photo = noise(random, 256, 256)
        numbers = {"lines": lines, "where": where, "lightness": np.float32([photo.mean() / 2.55])}
        names = {"source": "studio (CC0)", "geometry": "somebody's shapes (CC BY)"}
        rows.append(Example(np.hstack([photo, photo // 2]), names, numbers))
    write(path, rows)
    return path


def session(folder: Path, **settings: object) -> Session:
    return Session("draughtsman", {key: str(value) for key, value in {**TOY, **settings}.items()}, folder, device="cpu")


@pytest.fixture(name="warp", scope="module")
def warp_(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a warp that exaggerates, which has learnt hardly anything."""
    folder = tmp_path_factory.mktemp("warp") / "run"
    assert Session("satnet_r", {key: str(value) for key, value in WARP.items()}, folder, device="cpu").train(shapes)
    return folder


@pytest.fixture(name="seeing", scope="module")
def seeing_(layered: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the painter."""
    folder = tmp_path_factory.mktemp("seeing") / "run"
    assert session(folder, sheet=4).train(layered)
    return folder


@pytest.fixture(name="graph", scope="module")
def graph_(seeing: Path, warp: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported draughtsman."""
    to = tmp_path_factory.mktemp("models") / "drawn" / "1"
    publish_run(seeing, to, settings={"joined": str(warp)})
    return to / GRAPH


def test_layers_come_back_from_a_pack(layered: Path) -> None:
    """In their units; a mirrored row is mirrored in all of them."""
    pack = Pack(layered)
    (batch,) = in_order(Layered(pack, 256, 0, 1, varied=False), 1, 1)
    layers = layers_of(batch)
    torch.testing.assert_close(layers.lines[0, :, 128], torch.full((2, 256), BLACKEST))
    assert (
        layers.attention[0, 0, 60].min() == 1 and layers.attention[0, 0, 200].max() == 0 == layers.lines[0, :, 9].max()
    )
    photo = batch["photo"].permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(layers.paint, photo / 2, atol=0.05, rtol=0)
    rows = Layered(pack, 256, 0, 1)
    seen = [rows.row(0, np.random.default_rng(seed)) for seed in range(8)]
    turned = [row for row in seen if (row["photo"] != seen[0]["photo"]).any()]
    assert turned and all((row[name] == seen[0][name][:, ::-1]).all() for row in turned for name in ("photo", "paint"))


def test_every_phase_learns(layered: Path) -> None:
    """Its loss of a batch falls."""
    every_phase_learns(configured(Recipe, TOY), layered)


def test_it_learns_what_is_seen(layered: Path, tmp_path: Path) -> None:
    """Drawings of pairs set apart come nearer than before."""
    assert session(tmp_path, images=64, measure=8, rate=1e-2, warm_up=0.0).train(layered)
    lines = [json.loads(line) for line in (tmp_path / FIGURES).read_text().splitlines()]
    first, *_, last = (line for line in lines if "colour" in line)
    assert last["colour"] < 0.8 * first["colour"]


def test_it_has_every_look_and_control(graph: Path) -> None:
    """Those of a caricature; strength 0 without texture is the photo, and looks differ."""
    ran = open_session(graph.read_bytes())
    contract = Contract.from_metadata(ran.get_modelmeta().custom_metadata_map, "")
    assert [control.name for control in contract.controls] == ["strength", STYLE, "code", "parts", "texture"]
    assert contract.styles.keys() == STYLES.keys()
    assert set(contract.data) == {"studio (CC0)", "somebody's shapes (CC BY)", "portraits (CC BY)"}
    photo = np.random.default_rng(5).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    still = ran.run(None, contract.feed([photo], [{"texture": 0.0, "strength": 0.0, "parts": [0.0] * len(PARTS)}]))[0]
    assert np.abs(contract.images(still)[0].astype(int) - photo).max() <= 1
    ink, oil = (ran.run(None, contract.feed([photo], [{STYLE: name}]))[0].astype(int) for name in ("ink", "oil"))
    assert np.abs(ink - oil).mean() > 20


def test_a_published_one_is_gone_on_with(graph: Path, tmp_path: Path, seeing: Path) -> None:
    """Imported it has the width and, to half precision, the weights of the painter; its warp is satnet_r's."""
    import_run("draughtsman", [graph], tmp_path / "run")
    settings, found = Run(tmp_path / "run").averages("draughtsman")
    _, own = Run(seeing).averages("draughtsman")
    assert settings["width"] == TOY["width"] and "studio (CC0)" in settings["sources"]
    for key, value in own["layers"].items():
        if not key.endswith("num_batches_tracked"):
            torch.testing.assert_close(found["layers"][key], value, rtol=1e-3, atol=1e-3)
    import_run("satnet_r", [graph], tmp_path / "warp")
    settings, _ = Run(tmp_path / "warp").averages("satnet_r")
    assert (settings["direction"], settings["learnt"]) == ("caricature", ["warp"])


def test_it_is_exported_in_twice_the_size(seeing: Path, warp: Path, tmp_path: Path) -> None:
    """Of the same run: what it has learnt is of the frame, whatever is drawn."""
    publish_run(seeing, tmp_path / "large" / "1", settings={"joined": str(warp), "side": "512"})
    ran = open_session((tmp_path / "large" / "1" / GRAPH).read_bytes())
    contract = Contract.from_metadata(ran.get_modelmeta().custom_metadata_map, "")
    assert contract.output_shape == (512, 512, 3)


@pytest.mark.parametrize(
    ("settings", "error", "complaint"),
    [
        ({"side": 128}, RecipeError, "side: must be 256 or 512, not 128"),
        ({"apart": 8}, DataError, "apart=8 leaves none of its 8 pairs to learn from"),
    ],
)
def test_what_is_wrong_is_told_before_a_run_begins(
    settings: dict[str, object], error: type[Exception], complaint: str, layered: Path, tmp_path: Path
) -> None:
    """With the name of the setting or of the file; there is no folder of a run yet."""
    with pytest.raises(error, match=complaint):
        session(tmp_path / "run", **settings).train(layered)
    assert not (tmp_path / "run").exists()


def test_a_warp_to_somewhere_else_is_not_joined(seeing: Path, shapes: Path, tmp_path: Path) -> None:
    """One to a cartoon's proportions; nor is a pack of shapes learnt from."""
    other = {key: str(value) for key, value in {**WARP, "direction": "cartoon"}.items()}
    Session("satnet_r", other, tmp_path / "other", device="cpu").train(shapes)
    with pytest.raises(RecipeError, match="has learnt no warp of direction=caricature"):
        publish_run(seeing, tmp_path / "drawn" / "1", settings={"joined": str(tmp_path / "other")})
    with pytest.raises(DataError, match="layers takes a pack with lines, where, lightness; it has no lines"):
        session(tmp_path / "run").train(shapes)


def test_what_is_no_draughtsman_is_refused(tmp_path: Path) -> None:
    """By its file's name."""
    torch.save({"stem.0.weight": torch.zeros(1)}, tmp_path / "some.pth")
    with pytest.raises(CheckpointError, match=r"some.pth is no draughtsman"):
        import_run("draughtsman", [tmp_path / "some.pth"], tmp_path / "run")
