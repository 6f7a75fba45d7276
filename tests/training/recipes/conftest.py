"""A pack of two domains, and the toy run of the recipe that a class tests."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from training.data.caricaturist import CODE_SIZE
from training.data.pack import Example, write
from training.engine.session import Session, publish_run

SOURCE = "disks (Toys, non-commercial research)"


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Disks on grey, of another colour in each domain."""
    path = tmp_path_factory.mktemp("data") / "toy.pack"
    y, x = np.mgrid[:64, :64]

    def disk(domain: str, radius: int) -> Example:
        image = np.full((64, 64, 3), 128, np.uint8)
        image[(x - 32) ** 2 + (y - 32) ** 2 < radius**2] = (200, 60, 60) if domain == "photo" else (60, 60, 200)
        return Example(image, {"domain": domain, "source": SOURCE})

    write(path, [disk(domain, radius) for domain in ("photo", "drawing") for radius in range(12, 28, 2)])
    return path


@pytest.fixture(scope="class")
def run(request: pytest.FixtureRequest, pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the recipe's toy run, at its end, with a checkpoint kept at half of it."""
    folder = tmp_path_factory.mktemp(request.cls.name) / "run"
    half = str(int(request.cls.settings["images"]) // 2)
    settings = {**request.cls.settings, "checkpoint": half, "keep": half}
    assert Session(request.cls.name, settings, folder, device="cpu").train(pack)
    return folder


@pytest.fixture(scope="class")
def published(request: pytest.FixtureRequest, run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model.onnx of that run."""
    to = tmp_path_factory.mktemp("models") / request.cls.name / "1"
    publish_run(run, to)
    return to / "model.onnx"


def noise(random: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Coarse colours."""
    coarse = random.integers(0, 256, (height // 32, width // 32, 3), dtype=np.uint8)
    return coarse.repeat(32, 0).repeat(32, 1)


@pytest.fixture(name="shapes", scope="session")
def shapes_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos and where their landmarks should go."""
    path, random = tmp_path_factory.mktemp("shapes") / "shapes.pack", np.random.default_rng(0)
    rows = [
        Example(
            noise(random, 128, 128),
            {"source": "portraits (CC BY)"},
            {
                "landmarks": random.uniform(60, 200, (68, 2)).astype(np.float32),
                "displacement": random.normal(0, 4, (68, 2)).astype(np.float32),
                "field": random.normal(0, 4, (32, 32, 2)).astype(np.float16),
                "code": random.standard_normal(CODE_SIZE).astype(np.float32),
            },
        )
        for _ in range(6)
    ]
    write(path, rows)
    return path
