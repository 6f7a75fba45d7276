"""POST /verify: whether two pictures show one person, at the rate that is asked for."""

import base64
import io

import pytest
from fastapi.testclient import TestClient
from PIL import Image


def test_verify_tells_people_apart(client: TestClient, photo: bytes, smiling: bytes, stranger: bytes) -> None:
    """Two photos of one person are the same person, two people are not; the decision is similarity >= threshold."""
    same = client.post("/verify", files={"image1": photo, "image2": smiling}).json()
    other = client.post("/verify", files={"image1": photo, "image2": stranger}).json()
    assert same["similarity"] > other["similarity"] and same["same_person"]
    for answer in (same, other):
        assert answer["same_person"] == (answer["similarity"] >= answer["threshold"])
        assert (answer["far"], answer["threshold"], answer["model"]) == (0.01, 0.9, "sphereface/1")
        assert len(answer["faces"]) == 2


def test_verify_decides_at_the_rate_that_is_asked_for(client: TestClient, photo: bytes) -> None:
    """far=0.001 takes the stricter threshold, in a form or in JSON; a rate without calibration is refused."""
    text = base64.b64encode(photo).decode()
    form = client.post("/verify", files={"image1": photo, "image2": photo}, data={"far": "0.001"}).json()
    answer = client.post("/verify", json={"image1": text, "image2": text, "far": 0.001}).json()
    assert form["threshold"] == answer["threshold"] == 0.95 and answer["similarity"] == pytest.approx(1, abs=1e-5)
    refused = client.post("/verify", json={"image1": text, "image2": text, "far": 0.5})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad-parameter")


def test_a_problem_of_verify_says_which_picture(client: TestClient, photo: bytes) -> None:
    """The pointer of a problem names the picture that caused it."""
    blank = io.BytesIO()
    Image.new("RGB", (200, 200)).save(blank, "PNG")
    answer = client.post("/verify", files={"image1": photo, "image2": blank.getvalue()})
    assert (answer.status_code, answer.json()["errors"]) == (422, [{"pointer": "#/image2"}])
