"""POST /generate: a face is what its seed and options say, alone, among others and for ever."""

import base64
import io
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from export.repository import Repository, publish
from service.access import Scope, new_key
from service.admission import Memory
from service.api.generate import EXAMPLES
from service.cancellation import Cancellation
from service.engine import Served, row_lane
from service.errors import ClientClosed
from service.main import create_app
from service.models import OnnxModel, Row
from service.policy import Costs, Ticket
from service.settings import Settings
from tests.conftest import GENERATOR, onnx_file

PNG = {"accept": "image/png"}
LAST = 2**63 - 1
# The toy of tests/conftest.py without what it does beside z.
PLAIN_GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
toy (float[batch,4] z) => (uint8[batch,4,4,3] image_out)
<int64[4] row = {-1, 1, 4, 1}, int64[4] shape = {1, 4, 4, 3},
 float level = {40.0}, float grey = {128.0}, float white = {255.0}, float black = {0.0}>
{
    step = Mul(z, level)
    lit = Add(step, grey)
    clipped = Clip(lit, black, white)
    columns = Reshape(clipped, row)
    picture = Expand(columns, shape)
    image_out = Cast<to = 2>(picture)
}
"""


@pytest.fixture(scope="module", name="repository")
def repository_(tmp_path_factory: pytest.TempPathFactory, models: Path, generator_file: bytes) -> Path:
    """The toys with two generators beside them, one of z alone."""
    root = tmp_path_factory.mktemp("generators")
    for name in ("caricature", "sphereface", "landmarks"):
        (root / name).symlink_to(models / name)
    publish(root, "faces", 1, {"model.onnx": generator_file})
    plain = onnx_file(PLAIN_GRAPH, replace(GENERATOR, controls=GENERATOR.controls[:1]))
    publish(root, "plain", 1, {"model.onnx": plain})
    return root


@pytest.fixture(scope="module", name="generating")
def generating_(repository: Path) -> Iterator[TestClient]:
    """A client of a service that has a generator."""
    with TestClient(create_app(Settings(models=repository, log_level="error"))) as client:
        yield client


def columns(answer: httpx2.Response) -> np.ndarray:
    """The grey of each column of a face."""
    assert answer.status_code == 200, answer.text
    pixels = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))
    assert pixels.shape == (4, 4, 3) and (pixels == pixels[:1, :, :1]).all()
    return pixels[0, :, 0]


def made(client: TestClient, **options: Any) -> np.ndarray:
    """The face of these options."""
    return columns(client.post("/generate", json=options, headers=PNG))


def painted(seed: int, truncation: float = 0.7) -> np.ndarray:
    """What the toy paints of a seed."""
    near = np.float32(truncation) * GENERATOR.draw_latent(seed)
    return np.clip(near * np.float32(40) + np.float32(128), 0, 255).astype(np.uint8)


# Faces


@pytest.mark.parametrize("seed", [0, 7, LAST])
def test_a_face_is_what_its_seed_says(generating: TestClient, seed: int) -> None:
    """z is drawn of the seed and the rest is the contract's default; headers name the model and the seed."""
    answer = generating.post("/generate", json={"seed": seed}, headers=PNG)
    np.testing.assert_array_equal(columns(answer), painted(seed))
    assert answer.headers["x-likeness-model"] == "faces/1" and answer.headers["x-likeness-seed"] == str(seed)
    assert answer.headers["cache-control"] == "no-store" and answer.headers["vary"] == "Accept"


def test_query_and_body_are_one_request(generating: TestClient) -> None:
    """Options in the query, in JSON or in both give the same bytes; with none of them it is seed 0."""
    answers = [
        generating.post("/generate", json={"seed": 3, "truncation": 0.5}),
        generating.post("/generate", params={"seed": 3, "truncation": 0.5}),
        generating.post("/generate", json={"seed": 3}, params={"truncation": 0.5}),
    ]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert generating.post("/generate").content == generating.post("/generate", json={"seed": 0}).content


def test_same_request_same_bytes(generating: TestClient, repository: Path) -> None:
    """Another application gives the same bytes in every format."""
    with TestClient(create_app(Settings(models=repository, log_level="error", threads=1))) as other:
        for format in ("jpeg", "png", "webp"):
            asked = {"seed": 5, "format": format}
            assert generating.post("/generate", json=asked).content == other.post("/generate", json=asked).content


def test_truncation_0_is_the_mean_face(generating: TestClient) -> None:
    """Of any seed; 1 is as far from it as z is, and the default is the contract's."""
    assert (made(generating, seed=1, truncation=0) == 128).all() and (made(generating, truncation=0) == 128).all()
    np.testing.assert_array_equal(made(generating, seed=2, truncation=1), painted(2, 1.0))
    np.testing.assert_array_equal(made(generating, seed=2), made(generating, seed=2, truncation=0.7))


@pytest.mark.parametrize("crossover", range(5))
def test_mixing_takes_the_layers_from_crossover_on_of_the_other_seed(generating: TestClient, crossover: int) -> None:
    """From 0 on the face is all the other one's, from the last on all its own."""
    mixed = made(generating, seed=7, mixing_seed=9, crossover=crossover)
    np.testing.assert_array_equal(mixed, np.append(painted(7)[:crossover], painted(9)[crossover:]))


def test_vectors_win_over_seeds(generating: TestClient) -> None:
    """Who walks from face to face says z itself: a list in JSON, numbers with commas in the query."""
    np.testing.assert_array_equal(made(generating, z=[0, 1, -1, 9], truncation=1, seed=4), [128, 168, 88, 255])
    mixed = {"z2": [0, 0, 2, 2], "crossover": 2}
    answer = generating.post("/generate?z=0,1,-1,9&truncation=1", json=mixed, headers=PNG)
    np.testing.assert_array_equal(columns(answer), [128, 168, 208, 208])


# Several


def test_each_of_several_is_what_it_is_alone(generating: TestClient) -> None:
    """The faces are of one seed after the other, and the bytes of each are those of its seed alone."""
    asked = {"seed": 11, "count": 7, "truncation": 0.9, "mixing_seed": 3, "crossover": 2, "format": "png"}
    answer = generating.post("/generate", json=asked).json()
    assert [face["seed"] for face in answer["faces"]] == list(range(11, 18))
    for face in answer["faces"]:
        alone = generating.post("/generate", json={**asked, "seed": face["seed"], "count": 1})
        assert base64.b64decode(face["image"]) == alone.content
    assert (answer["model"], answer["media_type"]) == ("faces/1", "image/png")
    assert answer["notice"] == "A toy: for tests only." and set(answer["timings"]) == {"queue", "generate", "encode"}


def test_after_the_highest_seed_comes_the_first(generating: TestClient) -> None:
    """Every seed that an answer tells can be asked for."""
    answer = generating.post("/generate", json={"seed": LAST, "count": 3}).json()
    assert [face["seed"] for face in answer["faces"]] == [LAST, 0, 1]


@pytest.mark.parametrize("buckets", [(1,), (1, 2), (1, 2, 4), (1, 4, 8)])
@pytest.mark.parametrize("lane", [False, True])
def test_a_face_is_the_same_in_every_bucket(
    generating: TestClient, monkeypatch: pytest.MonkeyPatch, buckets: tuple[int, ...], lane: bool
) -> None:
    """Whatever sizes prove worth it, on cores or behind a lane, the faces are those of the seeds."""
    place = generating.app.state.parts.registry._places["faces"]
    model = place.served.model
    monkeypatch.setattr(model, "costs", Costs({size: 1.0 + size / 100 for size in buckets}))
    with closing(row_lane(model, capacity=99)) as rows:
        monkeypatch.setattr(place, "served", Served(model, rows if lane else None))
        for count in (2, 3, 7, 32):
            answer = generating.post("/generate", json={"seed": 1, "count": count, "format": "png"})
            for face in answer.json()["faces"]:
                pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(face["image"]))))
                np.testing.assert_array_equal(pixels[0, :, 0], painted(face["seed"]))


def test_a_neighbour_that_leaves_changes_nothing(repository: Path) -> None:
    """Rows that are cancelled in a lane are let go, the others are what they are alone."""
    model = OnnxModel(Repository(repository).resolve("faces"), Settings(threads=1))
    model.costs = Costs({1: 1.0, 4: 1.1})
    rows = [Row(None, {"z": GENERATOR.draw_latent(seed)}) for seed in range(9)]
    alone = [model.run([row])[0] for row in rows]
    with closing(row_lane(model, capacity=99)) as lane:
        jobs = [lane.submit(row, Ticket(time.monotonic(), 1.0), Cancellation()) for row in rows]
        for job in jobs[::3]:
            job.cancellation.cancel()
        for number, job in enumerate(jobs):
            error = job.future.exception(30)
            assert error is None or (number % 3 == 0 and isinstance(error, ClientClosed))
            if error is None:
                np.testing.assert_array_equal(job.future.result(), alone[number])


def test_requests_at_one_time_get_their_own(generating: TestClient) -> None:
    """Clients side by side get what each of them gets alone."""
    asked = [{"seed": seed, "truncation": seed / 16, "format": "png"} for seed in range(16)]
    alone = [generating.post("/generate", json=each).content for each in asked]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda each: generating.post("/generate", json=each).content, asked))
    assert together == alone


# Answers


@pytest.mark.parametrize(
    ("accept", "format", "kind"),
    [("*/*", None, "JPEG"), ("image/png", None, "PNG"), ("image/png", "webp", "WEBP"), ("text/html", "png", "PNG")],
)
def test_accept_chooses_the_format_and_every_picture_is_marked(
    generating: TestClient, accept: str, format: str | None, kind: str
) -> None:
    """As for drawings; every file says that AI made all of it."""
    options = {"format": format} if format else {}
    answer = generating.post("/generate", json=options, headers={"accept": accept})
    assert Image.open(io.BytesIO(answer.content)).format == kind
    assert answer.headers["content-type"] == f"image/{kind.lower()}"
    assert b"/trainedAlgorithmicMedia" in answer.content and b"AI-generated" in answer.content


def test_one_face_can_be_told_as_json(generating: TestClient) -> None:
    """Where Accept asks for it, with the bytes that the picture would be."""
    told = generating.post("/generate", json={"seed": 2, "format": "png"}, headers={"accept": "application/json"})
    (face,) = told.json()["faces"]
    assert base64.b64decode(face["image"]) == generating.post("/generate?seed=2&format=png").content
    assert told.json()["id"] == told.headers["x-request-id"]


def test_stages_are_timed(generating: TestClient) -> None:
    """In Server-Timing and in the metrics."""
    answer = generating.post("/generate")
    assert all(f"{stage};dur=" in answer.headers["server-timing"] for stage in ("queue", "generate", "encode"))
    text = generating.get("/metrics").text
    assert 'likeness_stage_duration_seconds_count{stage="generate"}' in text
    assert 'likeness_http_request_duration_seconds_count{method="POST",route="/generate",status="200"}' in text


# Refusals

BAD: dict[str, tuple[int, str, list[str], dict[str, Any]]] = {
    "truncation too high": (400, "bad-parameter", ["truncation"], {"json": {"truncation": 1.5}}),
    "truncation below 0": (400, "bad-parameter", ["truncation"], {"params": {"truncation": "-0.1"}}),
    "truncation a word": (400, "bad-parameter", ["truncation"], {"json": {"truncation": "little"}}),
    "crossover too high": (400, "bad-parameter", ["crossover"], {"json": {"mixing_seed": 1, "crossover": 5}}),
    "crossover of nothing": (400, "bad-parameter", ["mixing_seed", "crossover"], {"json": {"crossover": 1}}),
    "mixing from nowhere on": (400, "bad-parameter", ["mixing_seed", "crossover"], {"json": {"mixing_seed": 1}}),
    "too many": (422, "too-many-items", ["count"], {"json": {"count": 33}}),
    "far too many": (422, "too-many-items", ["count"], {"json": {"count": 10**18}}),
    "none": (400, "bad-parameter", ["count"], {"json": {"count": 0}}),
    "seed below 0": (400, "bad-parameter", ["seed"], {"json": {"seed": -1}}),
    "seed too high": (400, "bad-parameter", ["seed"], {"json": {"seed": LAST + 1}}),
    "seed a word": (400, "bad-parameter", ["seed"], {"params": {"seed": "me"}}),
    "a short z": (400, "bad-parameter", ["z"], {"json": {"z": [1, 2]}}),
    "z is an object": (400, "bad-parameter", ["z"], {"json": {"z": {"a": 1}}}),
    "unknown option": (400, "bad-parameter", ["strength"], {"json": {"strength": 1}}),
    "an option twice": (400, "bad-parameter", ["seed"], {"json": {"seed": 1}, "params": {"seed": 1}}),
    "a translator as generator": (404, "model-not-found", ["model"], {"json": {"model": "caricature"}}),
    "unknown model": (404, "model-not-found", ["model"], {"json": {"model": "nobody"}}),
    "several as one picture": (406, "not-acceptable", [], {"json": {"count": 2}, "headers": PNG}),
    "unacceptable Accept": (406, "not-acceptable", [], {"headers": {"accept": "text/html"}}),
    "broken JSON": (400, "malformed-body", [], {"content": b"{"}),
    "JSON that is no object": (400, "malformed-body", [], {"json": [1]}),
    "a form": (400, "malformed-body", [], {"files": {"seed": (None, "1")}}),
    "compressed": (415, "unsupported-body-type", [], {"json": {}, "headers": {"content-encoding": "gzip"}}),
    "too large a body": (413, "body-too-large", [], {"content": bytes(20_000_001)}),
    "no time": (400, "bad-parameter", ["X-Request-Timeout"], {"headers": {"x-request-timeout": "0"}}),
    "too little time": (504, "deadline-exceeded", [], {"headers": {"x-request-timeout": "0.000001"}}),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_a_problem_that_names_it(generating: TestClient, name: str) -> None:
    """Status, code and pointers, and the next request is answered."""
    status, code, fields, request = BAD[name]
    answer = generating.post("/generate", **request)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert [each["pointer"] for each in answer.json().get("errors", ())] == [f"#/{field}" for field in fields]
    assert generating.post("/generate").is_success


def test_without_a_generator_there_is_none(client: TestClient) -> None:
    """A service of translators and encoders says so; the rest of it works."""
    answer = client.post("/generate", json={"seed": 1})
    assert (answer.status_code, answer.json()["code"]) == (404, "model-not-found")


@pytest.mark.parametrize(
    ("options", "field"), [({"truncation": 1}, "truncation"), ({"mixing_seed": 1, "crossover": 1}, "crossover")]
)
def test_a_generator_that_does_not_mix_or_truncate_says_so(
    generating: TestClient, options: dict[str, int], field: str
) -> None:
    """A generator of z alone makes faces; what it has no control for is refused by name."""
    np.testing.assert_array_equal(made(generating, model="plain", seed=3), painted(3, 1.0))
    answer = generating.post("/generate", json={"model": "plain", **options})
    assert (answer.status_code, answer.json()["errors"]) == (400, [{"pointer": f"#/{field}"}])


def test_faces_are_within_the_memory_of_requests(generating: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """What several faces take is counted before they are made, and given back."""
    monkeypatch.setattr(generating.app.state.parts.pipeline, "memory", memory := Memory(100))
    refused = generating.post("/generate", json={"count": 3})
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert int(refused.headers["retry-after"]) >= 1
    assert generating.post("/generate").is_success  # without a body it takes no room for one
    with memory.held(100):
        pass


def test_every_face_counts_and_takes_the_scope_translate(repository: Path, tmp_path: Path) -> None:
    """A request of several faces is as many requests of a quota; a key that may only verify makes none."""
    (mine, entry), (other, narrow) = new_key("mine", [Scope.TRANSLATE]), new_key("other", [Scope.VERIFY])
    (tmp_path / "keys.toml").write_text(f"{entry}requests_per_second = 0.001\nburst = 10\n{narrow}")
    settings = Settings(models=repository, log_level="error", api_keys=tmp_path / "keys.toml")
    with TestClient(create_app(settings)) as client:
        answer = client.post("/generate", json={"count": 3}, headers={"x-api-key": mine})
        assert answer.status_code == 200 and "r=7" in answer.headers["ratelimit"]
        refused = client.post("/generate", headers={"x-api-key": other})
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        assert client.post("/generate").status_code == 401


# What is told of it


def test_models_lists_the_generator(generating: TestClient) -> None:
    """With its controls and ranges, which are options, and without a crop that it would take."""
    models = {each["name"]: each for each in generating.get("/models").json()["models"]}
    told = models["faces"]
    assert (told["role"], told["default"], told["input"]) == ("generator", True, None)
    assert [(each["name"], each["low"], each["high"]) for each in told["controls"]] == [
        ("z", None, None),
        ("z2", None, None),
        ("crossover", 0, 4),
        ("truncation", 0, 1),
    ]


def test_openapi_documents_the_route_and_its_examples_work(generating: TestClient) -> None:
    """Options, problems, and bodies to begin with, each of which is answered."""
    operation = generating.get("/openapi.json").json()["paths"]["/generate"]["post"]
    content = operation["requestBody"]["content"]
    assert set(content) == {"application/json"} and not operation["requestBody"]["required"]
    options = {"model", "seed", "count", "mixing_seed", "format", "quality"}
    assert {parameter["name"] for parameter in operation["parameters"]} == options
    assert set(content["application/json"]["schema"]["properties"]) == options
    assert {"200", "400", "404", "406", "413", "422", "503", "504"} <= set(operation["responses"])
    assert "no-face-found" not in str(operation["responses"])
    examples = content["application/json"]["examples"]
    assert {name: each["value"] for name, each in examples.items()} == EXAMPLES
    for each in EXAMPLES.values():
        assert generating.post("/generate", json=each).is_success
