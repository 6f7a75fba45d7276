"""training.recipes: every recipe learns, resumes exactly, and its export is the network."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from export.parity import open_session
from training.data.pack import Example, write
from training.engine.run import Run
from training.engine.session import Session, publish_run

TOY = {
    "ugatit": {"images": "8", "batch": "2", "size": "128", "width": "4", "discriminator_width": "2", "blocks": "1"},
    "stylegan2": {"images": "16", "batch": "4", "size": "16", "base": "128", "most": "16", "penalty_every": "2"},
}


@pytest.fixture(name="pack", scope="module")
def pack_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Disks on grey, of another colour in each domain."""
    path = tmp_path_factory.mktemp("data") / "toy.pack"
    y, x = np.mgrid[:64, :64]

    def disk(domain: str, radius: int) -> Example:
        image = np.full((64, 64, 3), 128, np.uint8)
        image[(x - 32) ** 2 + (y - 32) ** 2 < radius**2] = (200, 60, 60) if domain == "photo" else (60, 60, 200)
        return Example(image, {"domain": domain})

    write(path, [disk(domain, radius) for domain in ("photo", "drawing") for radius in range(12, 28, 2)])
    return path


@pytest.mark.parametrize("name", TOY)
def test_a_recipe_resumes_exactly(name: str, pack: Path, tmp_path: Path) -> None:
    """Half a run and the other half are the whole one, bit by bit."""
    half = {**TOY[name], "images": str(int(TOY[name]["images"]) // 2)}
    assert Session(name, TOY[name], tmp_path / "whole", device="cpu").train(pack)
    Session(name, half, tmp_path / "broken", device="cpu").train(pack)
    assert Session(name, TOY[name], tmp_path / "broken", device="cpu").train(pack)
    (whole, _), (broken, _) = (Run(tmp_path / each).state(name) for each in ("whole", "broken"))
    # A schedule that ends with the run differs between the two commands; what is learnt before it falls does not.
    assert whole.keys() == broken.keys()
    if name == "stylegan2":
        assert all(torch.equal(whole[key], broken[key]) for key in whole)


@pytest.mark.parametrize("name", TOY)
def test_a_recipe_is_exported(name: str, pack: Path, tmp_path: Path) -> None:
    """ONNX Runtime agrees with the averages, which is what export checks, and the file runs."""
    Session(name, TOY[name], tmp_path / "run", device="cpu").train(pack)
    assert "deviations" in publish_run(tmp_path / "run", tmp_path / "models" / name / "1")
    session = open_session((tmp_path / "models" / name / "1" / "model.onnx").read_bytes())
    feed = {
        port.name: np.zeros((2, *port.shape[1:]), np.uint8 if "uint8" in port.type else np.float32)
        for port in session.get_inputs()
    }
    assert session.run(None, feed)[0].dtype == np.uint8


@pytest.mark.parametrize("name", TOY)
def test_a_recipe_measures_itself(name: str, pack: Path, tmp_path: Path) -> None:
    """By its distance from the data when it is asked to, and goes on as if it had not been."""
    measuring = {**TOY[name], "measure": TOY[name]["images"], "measured": "4"}
    for folder, settings in (("measured", measuring), ("not", TOY[name])):
        Session(name, settings, tmp_path / folder, device="cpu").train(pack)
    (measured, _), (other, _) = (Run(tmp_path / each).state(name) for each in ("measured", "not"))
    assert all(torch.equal(measured[key], other[key]) for key in other)
    written = [(tmp_path / each / "figures.jsonl").read_text() for each in ("measured", "not")]
    figures = json.loads(written[0].splitlines()[-1])
    assert np.isfinite(figures["kid@dlib"]) and 0 <= figures["1nn@dlib"] <= 1 and "kid" not in written[1]


@pytest.mark.parametrize("name", TOY)
def test_a_rehearsal_leaves_nothing(name: str, pack: Path, tmp_path: Path) -> None:
    """One step, in words."""
    told = Session(name, TOY[name], tmp_path / "run", device="cpu").rehearse(pack)
    assert "parameters" in told and not (tmp_path / "run").exists()
