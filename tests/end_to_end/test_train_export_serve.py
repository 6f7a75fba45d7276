"""From training to HTTP: what is served is what was trained."""

import io
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image
from torch import nn

from export.alignment import SQUARE_256
from export.precision import rounded
from service.faces import FaceFinder
from service.main import create_app
from service.photo import Photo
from service.settings import Settings
from training.data.caricaturist import FaceSpace
from training.data.pack import Example, write
from training.data.pairs import drawing_pair, shape_pair
from training.engine import checkpoint
from training.engine.recipe import configured, find
from training.engine.run import Run
from training.engine.session import Session, publish_run

SMALL = {"warp_width": "8", "paint_width": "8", "apart": "2", "warm_up": "0"}


def known(pair: Example) -> Example:
    """With where it comes from."""
    return replace(pair, names={"source": "toys (CC0)"})


@pytest.fixture(scope="module", name="runs")
def runs_(tmp_path_factory):
    """A warp and a painter, trained for some steps on toy pairs: one photo and faces of few numbers."""
    folder = tmp_path_factory.mktemp("runs")
    asset = Path(__file__).parents[1] / "assets" / "person1-neutral.jpg"
    image = cv2.cvtColor(cv2.imread(str(asset)), cv2.COLOR_BGR2RGB)
    random = np.random.default_rng(0)
    middle = random.uniform(70, 190, (68, 2))
    faces = middle + random.normal(0, 2, (60, 68, 2))
    space = FaceSpace.fit(faces, faces[:5], faces[5:10])
    write(folder / "shapes.pack", (known(shape_pair(image, face, space, random)) for face in faces[:10]))
    write(folder / "drawings.pack", (known(drawing_pair(image, face, space, random)) for face in faces[:6]))
    for part, pack, batch in (("warp", "shapes", 4), ("paint", "drawings", 2)):
        settings = {**SMALL, "part": part, "batch": str(batch), "images": str(10 * batch), "half_life": "8"}
        assert Session("satnet_r", settings, folder / part, device="cpu").train(folder / f"{pack}.pack")
    return folder


def averages(runs: Path) -> nn.Module:
    """The exported network with the moving averages of both runs, rounded as they are stored."""
    run = Run(runs / "paint")
    recipe = configured(find("satnet_r"), {**run.facts()["settings"], "joined": str(runs / "warp")})
    networks = {name: network.eval() for name, network in recipe.networks().items() if name in recipe.averaged}
    tensors, _ = run.state("satnet_r")
    checkpoint.restore(networks, checkpoint.unpacked("averages", tensors), str(run.latest))
    return rounded(recipe.exported(networks).eval(), "float16")


def test_the_service_answers_with_the_pixels_of_the_trained_average(runs, tmp_path, models, photo):
    """Train both parts, export, serve, ask over HTTP: every pixel is the moving averages' own within one level."""
    repository = tmp_path / "models"
    publish_run(runs / "paint", repository / "caricature" / "1", settings={"joined": str(runs / "warp")})
    for other in ("landmarks", "sphereface"):
        (repository / other).symlink_to(models / other)
    picture = Photo(photo, None, 1_000_000)
    (landmarks,) = (models / "landmarks").glob("*/model.dat")
    crop = FaceFinder(landmarks).largest(picture).crop(picture, SQUARE_256)
    network = averages(runs)
    contract = find("satnet_r")(find("satnet_r").Config()).contract({})
    style, code = torch.from_numpy(contract.draw_style(7))[None], torch.zeros(1, 8)
    with TestClient(create_app(Settings(models=repository, log_level="error"))) as client:
        for strength in (0.0, 1.0, 2.5):
            options = {"strength": str(strength), "seed": "7"}
            answer = client.post("/translate", files={"image": photo}, data=options, headers={"Accept": "image/png"})
            assert answer.status_code == 200, answer.text
            served = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")).astype(int)
            with torch.no_grad():
                whole = network(
                    torch.from_numpy(crop)[None], torch.tensor([strength]), style, code, torch.ones(1, 4), torch.ones(1)
                )
            assert np.abs(served - whole[0].numpy()).max() <= 1
