"""From training to HTTP: what is served is what was trained."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image

from export.alignment import SQUARE_256
from export.repository import publish
from export.to_onnx import export_model
from service.faces import FaceFinder
from service.main import create_app
from service.photo import Photo
from service.settings import Settings
from training.data.caricaturist import FaceSpace
from training.data.pairs import drawing_pair, shape_pair
from training.recipes.caricature import DRAWING, SHAPE, Pairs, assembled, contract, learn_paint, learn_warp
from training.stage import Stage

STEPS = 20


def write(pairs, folder: Path) -> Path:
    """The arrays that `training.data.pairs` would leave."""
    folder.mkdir()
    for name in pairs[0]:
        np.save(folder / f"{name}.npy", np.stack([pair[name] for pair in pairs]))
    return folder


@pytest.fixture(scope="module", name="run")
def run_(tmp_path_factory):
    """A caricaturist trained for 20 steps on toy pairs: one photo and faces of few numbers."""
    folder = tmp_path_factory.mktemp("run")
    asset = Path(__file__).parents[1] / "assets" / "person1-neutral.jpg"
    image = cv2.cvtColor(cv2.imread(str(asset)), cv2.COLOR_BGR2RGB)
    random = np.random.default_rng(0)
    middle = random.uniform(70, 190, (68, 2))
    faces = middle + random.normal(0, 2, (60, 68, 2))
    space = FaceSpace.fit(faces, faces[:5], faces[5:10])
    shapes = write([shape_pair(image, face, space, random) for face in faces[:10]], folder / "shapes")
    drawings = write([drawing_pair(image, face, space, random) for face in faces[:6]], folder / "drawings")
    learn_warp(Pairs(shapes, SHAPE, apart=2), folder, Stage(name="warp", images=4 * STEPS, batch=4, rate=1e-3))
    learn_paint(Pairs(drawings, DRAWING, apart=2), folder, Stage(name="paint", images=2 * STEPS, batch=2, rate=1e-3))
    return folder


def test_the_service_answers_with_the_pixels_of_the_trained_average(run, tmp_path, models, photo):
    """Train 20 steps, export, serve, ask over HTTP: every pixel is the moving average's own within one level."""
    network = assembled(run)
    export_model(network, contract({}), tmp_path / "model.onnx")
    repository = tmp_path / "models"
    publish(repository, "caricature", 1, {"model.onnx": tmp_path / "model.onnx"})
    for other in ("landmarks", "sphereface"):
        (repository / other).symlink_to(models / other)
    picture = Photo(photo, None, 1_000_000)
    (landmarks,) = (models / "landmarks").glob("*/model.dat")
    crop = FaceFinder(landmarks).largest(picture).crop(picture, SQUARE_256)
    style = torch.from_numpy(contract({}).draw_style(7))[None]
    with TestClient(create_app(Settings(models=repository, log_level="error"))) as client:
        for strength in (0.0, 1.0, 2.5):
            options = {"strength": str(strength), "seed": "7"}
            answer = client.post("/translate", files={"image": photo}, data=options, headers={"Accept": "image/png"})
            assert answer.status_code == 200, answer.text
            served = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")).astype(int)
            with torch.no_grad():
                expected = network(torch.from_numpy(crop)[None], torch.tensor([strength]), style)[0].numpy()
            assert np.abs(served - expected).max() <= 1
