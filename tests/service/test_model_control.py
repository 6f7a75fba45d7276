"""GET /models, and POST :load and :unload: what is served, and that changing it hurts no request."""

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from export.repository import Entry, publish
from service.access import Scope, new_key
from service.engine import Served
from service.main import create_app
from service.registry import RETRY_AFTER
from service.settings import Settings
from tests.conftest import TRANSLATOR, TRANSLATOR_GRAPH, onnx_file


@pytest.fixture(scope="module", name="versions")
def versions_(
    tmp_path_factory: pytest.TempPathFactory, models: Path, translator_file: bytes, encoder_file: bytes
) -> Path:
    """A repository of two versions of a translator, the second of which is darker, and of another translator."""
    root = tmp_path_factory.mktemp("versions")
    darker = onnx_file(TRANSLATOR_GRAPH.replace("white = {255.0}", "white = {200.0}"), TRANSLATOR)
    publish(root, "caricature", 1, {"model.onnx": translator_file})
    publish(root, "caricature", 2, {"model.onnx": darker})
    publish(root, "other", 1, {"model.onnx": translator_file})
    publish(root, "broken", 1, {"model.onnx": b"no graph"})
    publish(root, "sphereface", 1, {"model.onnx": encoder_file})
    (root / "landmarks").symlink_to(models / "landmarks")
    return root


@pytest.fixture(scope="module", name="keys")
def keys_(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, str]]]:
    """A file of keys, and the headers of an administrator and of a client."""
    made = {"admin": new_key("admin", [Scope.ADMIN]), "app": new_key("app", [Scope.TRANSLATE, Scope.VERIFY])}
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    path.write_text("".join(entry for _, entry in made.values()))
    return path, {name: {"X-API-Key": key} for name, (key, _) in made.items()}


Keys = tuple[Path, dict[str, dict[str, str]]]


@pytest.fixture(name="service")
def service_(versions: Path, keys: Keys) -> Iterator[TestClient]:
    """A service that loads what is named and lets administrators control it."""
    settings = Settings(models=versions, preload=(), api_keys=keys[0], allow_model_control=True, log_level="error")
    with TestClient(create_app(settings)) as client:
        yield client


def crop(seed: int) -> bytes:
    """A picture of noise, as it would be cut by the template."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (256, 256, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_models_says_first_what_must_be_known(client: TestClient) -> None:
    """GET /models lists every model, its notice first, with controls, styles and thresholds."""
    models = {each["name"]: each for each in client.get("/models").json()["models"]}
    assert set(models) == {"caricature", "sphereface"} and next(iter(models["caricature"])) == "notice"
    toy = models["caricature"]
    assert toy["default"] and toy["styles"] == ["plain", "bright"] and len(toy["digest"]) == 64
    assert [(control["name"], control["low"], control["high"]) for control in toy["controls"]] == [
        ("strength", 0, 3),
        ("style", None, None),
        ("warmth", -1, 1),
    ]
    assert models["sphereface"]["thresholds"] == {"0.01": 0.9, "0.001": 0.95}


def test_hot_reload_under_load_fails_and_mixes_nothing(service: TestClient, keys: Keys) -> None:
    """While two versions take turns every answer is one of the two pictures, and says which."""
    pictures = [crop(seed) for seed in range(4)]
    options = {"faces": "aligned", "format": "png"}
    done = threading.Event()

    def post(picture: bytes) -> httpx2.Response:
        return service.post("/translate", files={"image": picture}, data=options, headers=keys[1]["app"])

    def load(version: int) -> None:
        answer = service.post(f"/models/caricature:load?version={version}", headers=keys[1]["admin"])
        assert (answer.status_code, answer.json().get("version")) == (200, version), answer.text

    def ask(picture: bytes) -> list[tuple[str, str, bytes]]:
        answers = []
        while not done.is_set():
            answer = post(picture)
            assert answer.status_code == 200, answer.text
            told = answer.headers["x-likeness-model"], answer.headers["x-likeness-similarity"]
            answers.append((*told, answer.content))
        return answers

    expected = []
    for version in (1, 2):
        load(version)
        for picture in pictures:
            answer = post(picture)
            told = answer.headers["x-likeness-model"], answer.headers["x-likeness-similarity"]
            expected.append((*told, answer.content))
    assert len({content for _, _, content in expected}) == 2 * len(pictures)
    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(ask, picture) for picture in pictures]
        try:
            for turn in range(10):
                load(turn % 2 + 1)
        finally:
            done.set()
        for number, client in enumerate(clients):
            got = set(client.result())
            assert got == {expected[number], expected[number + len(pictures)]}


def test_unloaded_in_use_is_finished_and_then_refused(service: TestClient, keys: Keys) -> None:
    """A request that is under way when its model is unloaded is answered; the next one is told that there is none."""
    admin, app = keys[1]["admin"], keys[1]["app"]
    options = {"faces": "aligned", "model": "other"}

    def post() -> httpx2.Response:
        return service.post("/translate", files={"image": crop(0)}, data=options, headers=app)

    assert post().headers["x-likeness-model"] == "other/1"
    model = service.app.state.parts.registry.get("other").model
    run, inside, gate = model.run, threading.Event(), threading.Event()

    def gated(*arguments: Any, **named: Any) -> Any:
        inside.set()
        gate.wait(10)
        return run(*arguments, **named)

    model.run = gated
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post)
        assert inside.wait(10)
        assert service.post("/models/other:unload", headers=admin).status_code == 204
        assert not answer.done()
        gate.set()
        assert answer.result().headers["x-likeness-model"] == "other/1"
    assert (post().status_code, post().json()["code"]) == (404, "model-not-found")
    assert service.post("/models/other:load", headers=admin).status_code == 200
    assert post().status_code == 200


def test_a_request_waits_for_its_model_within_its_deadline(service: TestClient, keys: Keys) -> None:
    """The first request of a model that is not in memory is answered by it; one that has no time for that is told."""
    options = {"faces": "aligned", "model": "other"}
    headers = {**keys[1]["app"], "X-Request-Timeout": "0.05"}
    registry = service.app.state.parts.registry
    gate, load = threading.Event(), registry._open

    def slow(entry: Entry) -> Served:
        gate.wait(10)
        return load(entry)

    registry._open = slow
    late = service.post("/translate", files={"image": crop(0)}, data=options, headers=headers)
    assert (late.status_code, late.json()["code"]) == (504, "deadline-exceeded")
    gate.set()
    with ThreadPoolExecutor(4) as pool:
        posts = [
            pool.submit(service.post, "/translate", files={"image": crop(0)}, data=options, headers=keys[1]["app"])
            for _ in range(4)
        ]
        assert {post.result().status_code for post in posts} == {200}


def test_models_says_what_is_and_what_could_be(service: TestClient, keys: Keys) -> None:
    """GET /models: costs and place of what is in memory, and beside it what is not, with the reason if there is one."""
    broken = service.post("/translate", files={"image": crop(0)}, data={"model": "broken"}, headers=keys[1]["app"])
    assert (broken.status_code, broken.json()["code"]) == (503, "model-unsound")
    assert int(broken.headers["retry-after"]) == RETRY_AFTER
    answer = service.get("/models").json()
    models = {model["name"]: model for model in answer["models"]}
    assert set(models) == {"caricature", "sphereface"}
    toy = models["caricature"]
    assert (toy["state"], toy["versions"], toy["device"]) == ("ready", [1, 2], "cpu")
    assert toy["costs"]["seconds"]["1"] > 0 and toy["costs"]["memory"] > 0 and "ExecutionProvider" in toy["provider"]
    assert [(each["name"], each["state"], bool(each["reason"])) for each in answer["absent"]] == [
        ("broken", "failed", True),
        ("other", "on-demand", False),
    ]


def test_control_is_for_administrators_where_it_is_on(
    service: TestClient, client: TestClient, keys: Keys, versions: Path
) -> None:
    """Off by default; where it is on it takes the scope admin; a refusal changes nothing and says what is wrong."""
    admin, app = keys[1]["admin"], keys[1]["app"]
    for path, headers, body, status, code in (
        ("caricature:load", {}, b"", 401, "unauthenticated"),
        ("caricature:load", app, b"", 403, "forbidden"),
        ("caricature:unload", app, b"", 403, "forbidden"),
        ("caricature:unload", admin, b"", 409, "model-kept"),
        ("caricature:load", admin, b'{"version": 9}', 404, "model-not-found"),
        ("caricature:load", admin, b'{"version": 0}', 400, "bad-parameter"),
        ("caricature:load", admin, b'{"speed": 1}', 400, "bad-parameter"),
        ("caricature:load", admin, b"[]", 400, "malformed-body"),
        ("caricature:load", admin, b" " * 20_000, 413, "body-too-large"),
        ("nothing:load", admin, b"", 404, "model-not-found"),
        ("broken:load", admin, b"", 503, "model-unsound"),
    ):
        answer = service.post(f"/models/{path}", content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert str(versions) not in answer.text
    assert service.post("/models/caricature:load", json={"version": 1}, headers=admin).json()["version"] == 1
    for action in ("load", "unload"):
        off = client.post(f"/models/caricature:{action}")
        assert (off.status_code, off.json()["code"]) == (403, "model-control-off")
