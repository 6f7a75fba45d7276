from pathlib import Path

import cv2
import numpy as np
from fastapi.testclient import TestClient

from benchmarks import pictures, work, workloads
from export.repository import Repository


def test_the_work_is_what_the_service_does(client: TestClient, models: Path):
    """Crops and photos come out of the raw work and of the service with the same bytes."""
    headers = {"content-type": "image/jpeg"}
    crop, photo = pictures.crops()[0], pictures.photos({(640, 480): 1})[0]
    for name, query, body in (("aligned", workloads.READY, crop), ("photo", workloads.PLAIN, photo)):
        answer = client.post(f"/translate?{query}", content=body, headers=headers)
        assert answer.status_code == 200
        assert answer.content == work.make(name, models)(body)


def test_verifying_is_what_the_service_does(client: TestClient, models: Path):
    """The similarity that answers of /verify are held against is the service's own."""
    first, second = pictures.photos({(640, 480): 2})
    answer = client.post("/verify", files={"image1": first, "image2": second})
    assert abs(answer.json()["similarity"] - work.similarity_of(models, first, second)) < 1e-6


def test_examples_answer_png(models: Path):
    """As examples write it, the drawing of the same face comes as PNG of the model's size."""
    answer = work.make("example", models)(pictures.photos({(640, 480): 1})[0])
    assert cv2.imdecode(np.frombuffer(answer, np.uint8), cv2.IMREAD_COLOR).shape == (256, 256, 3)
    assert answer.startswith(b"\x89PNG")


def test_a_no_op_gives_back_what_it_gets():
    """The network of workload A changes no pixel, and stands beside the bundled models."""
    crop = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    with workloads.repository() as root:
        assert np.array_equal(work.Network(root, "noop", threads=1).run(crop), crop)
        assert {"noop", "caricature", "landmarks", "sphereface"} <= {*Repository(root).names()}
