"""The models that come with the project, behind the service that comes with the project."""

from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from export.repository import GRAPH, Repository
from service.main import create_app
from service.models import OnnxModel, Row
from service.settings import Settings

BUNDLED = Repository(Path(__file__).resolve().parents[2] / "models")
GRAPHS = [name for name in BUNDLED.names() if GRAPH in BUNDLED.resolve(name).files]


@pytest.mark.parametrize("name", GRAPHS)
def test_rows_of_a_batch_do_not_see_each_other(name: str, photo: bytes) -> None:
    """Row i of a batch of different faces and controls is row i alone, bit by bit, on one core or on all."""
    model = OnnxModel(BUNDLED.resolve(name), Settings(threads=2, provider="cpu"))
    contract, rng = model.contract, np.random.default_rng(0)
    assert contract.template is not None
    shape = contract.template.height, contract.template.width, 3
    rows = [
        Row(
            rng.integers(0, 256, shape, dtype=np.uint8),
            {
                control.name: rng.uniform(control.low or 0, 1 if control.high is None else control.high, control.shape)
                for control in contract.controls
            },
        )
        for _ in range(5)
    ]
    together = np.stack(model.run(rows))
    for wide in (False, True):
        np.testing.assert_array_equal(np.stack([model.run([row], wide=wide)[0] for row in rows]), together)


@pytest.mark.skipif(not {"caricature", "sphereface"} <= set(GRAPHS), reason="the bundled models are not published yet")
def test_a_photo_becomes_a_caricature_of_the_same_person(photo: bytes, smiling: bytes, stranger: bytes) -> None:
    """The default request draws something else that verify takes for the same person, and for nobody else."""
    with TestClient(create_app(Settings(models=BUNDLED.root, log_level="error"))) as client:
        drawn = client.post("/translate", files={"image": photo}, data={"format": "png"})
        assert drawn.status_code == 200, drawn.text
        answers = {
            name: client.post("/verify", files={"image1": drawn.content, "image2": other}).json()
            for name, other in {"self": photo, "smiling": smiling, "stranger": stranger}.items()
        }
        assert answers["self"]["same_person"] and not answers["stranger"]["same_person"], answers
        assert answers["self"]["similarity"] < 0.9999
        # The score in the header is the one that verify gives, up to the box that is not searched for again.
        assert float(drawn.headers["x-likeness-similarity"]) == pytest.approx(answers["self"]["similarity"], abs=0.1)
        strong = client.post("/translate", files={"image": photo}, data={"format": "png", "strength": "2"})
        assert strong.content != drawn.content
