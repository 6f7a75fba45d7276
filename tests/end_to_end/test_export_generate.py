"""From a recipe to POST /generate: the faces that are served are those of the network."""

import base64
import io
from pathlib import Path

import numpy as np
import torch
from fastapi.testclient import TestClient
from PIL import Image

from export.repository import publish
from export.to_onnx import export_model
from service.main import create_app
from service.settings import Settings
from training.recipes.stylegan2 import Config, Recipe


def test_the_service_answers_with_the_faces_of_the_network(tmp_path: Path, models: Path) -> None:
    """A toy StyleGAN2, exported and served: seeds, truncation and mixing give the network's pixels within one level."""
    torch.manual_seed(0)
    recipe = Recipe(Config(size=8, base=64, most=8))
    networks = recipe.networks()
    networks["mapping"].mean.normal_()
    network, contract = recipe.exported(networks).eval(), recipe.contract({})
    export_model(network, contract, tmp_path / "model.onnx")
    publish(tmp_path / "models", "faces", 1, {"model.onnx": tmp_path / "model.onnx"})
    (tmp_path / "models" / "landmarks").symlink_to(models / "landmarks")

    def expected(seed: int, other: int, crossover: float, truncation: float) -> np.ndarray:
        z, z2 = (torch.from_numpy(contract.draw_latent(each))[None] for each in (seed, other))
        with torch.no_grad():
            return network(z, z2, torch.tensor([crossover]), torch.tensor([truncation]))[0].numpy().astype(int)

    def pixels(file: bytes) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(file)).convert("RGB")).astype(int)

    with TestClient(create_app(Settings(models=tmp_path / "models", log_level="error"))) as client:

        def faces(**options: float) -> list[bytes]:
            answer = client.post("/generate", json={"count": 5, "seed": 20, "format": "png", **options})
            assert answer.status_code == 200, answer.text
            return [base64.b64decode(face["image"]) for face in answer.json()["faces"]]

        for options, own in (
            ({}, (0, 4.0, 0.7)),
            ({"truncation": 1}, (0, 4.0, 1.0)),
            ({"mixing_seed": 3, "crossover": 2}, (3, 2.0, 0.7)),
        ):
            files = faces(**options)
            assert len(set(files)) == 5
            for seed, file in enumerate(files, 20):
                assert np.abs(pixels(file) - expected(seed, *own)).max() <= 1
                alone = client.post("/generate", json={"seed": seed, "format": "png", **options})
                assert alone.content == file
        assert len(set(faces(truncation=0))) == 1
        refused = client.post("/generate", json={"mixing_seed": 1, "crossover": 5})
        assert (refused.status_code, refused.json()["errors"]) == (400, [{"pointer": "#/crossover"}])
