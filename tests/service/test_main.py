"""service.main and service.cli: sound models or no start, readiness, and a real process that stops gracefully."""

import signal
import socket
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from export.contract import ContractError
from export.repository import ModelNotFound, publish
from service import __version__
from service.cli import app
from service.main import create_app
from service.settings import Settings
from tests.conftest import TRANSLATOR, TRANSLATOR_GRAPH, onnx_file
from tests.processes import Ask, Crowd, serving, until


def test_not_ready_before_the_models_are(settings: Settings, photo: bytes) -> None:
    """Before its lifespan has warmed the models the service lives but is not ready, and says when to come back."""
    client = TestClient(create_app(settings))
    assert client.get("/livez").status_code == 200
    for answer in (client.get("/readyz"), client.get("/models"), client.post("/translate", files={"image": photo})):
        assert (answer.status_code, answer.json()["code"]) == (503, "model-loading")
        assert int(answer.headers["retry-after"]) >= 1


def test_ready_after_the_warm_up_and_not_after_the_end(settings: Settings) -> None:
    """Within its lifespan the service is ready, after it no more."""
    with TestClient(create_app(settings)) as client:
        assert client.get("/readyz").status_code == 200
        assert "likeness_ready 1" in client.get("/metrics").text
    assert client.get("/readyz").status_code == 503


def test_an_unknown_contract_format_stops_the_start(tmp_path: Path, models: Path, translator_file: bytes) -> None:
    """A model of an unknown format is refused at start with its file's name."""
    (tmp_path / "landmarks").symlink_to(models / "landmarks")
    future = translator_file.replace(b'{"format": 1', b'{"format": 7')
    publish(tmp_path, "caricature", 1, {"model.onnx": future})
    with (
        pytest.raises(ContractError, match=r"caricature/1/model\.onnx.*format"),
        TestClient(create_app(Settings(models=tmp_path))),
    ):
        pass


@pytest.mark.parametrize("name", ["format", "exemplar"])
def test_a_control_may_not_hide_an_option(tmp_path: Path, models: Path, name: str) -> None:
    """A contract whose control has the name of a request option, or of a picture, is refused at start."""
    (tmp_path / "landmarks").symlink_to(models / "landmarks")
    strength, style, warmth = TRANSLATOR.controls
    contract = replace(TRANSLATOR, controls=(strength, style, replace(warmth, name=name)))
    publish(tmp_path, "caricature", 1, {"model.onnx": onnx_file(TRANSLATOR_GRAPH.replace("warmth", name), contract)})
    with pytest.raises(ContractError, match=f"1: {name} cannot"), TestClient(create_app(Settings(models=tmp_path))):
        pass


def test_without_landmarks_there_is_no_service(tmp_path: Path) -> None:
    """An empty repository stops the start."""
    with pytest.raises(ModelNotFound), TestClient(create_app(Settings(models=tmp_path))):
        pass


def test_without_an_encoder_pictures_are_still_drawn(
    tmp_path: Path, models: Path, translator_file: bytes, photo: bytes
) -> None:
    """A repository with a translator alone translates without a score, and verify has no model."""
    (tmp_path / "landmarks").symlink_to(models / "landmarks")
    publish(tmp_path, "caricature", 1, {"model.onnx": translator_file})
    with TestClient(create_app(Settings(models=tmp_path))) as client:
        answer = client.post("/translate", files={"image": photo})
        assert answer.status_code == 200 and "x-likeness-similarity" not in answer.headers
        refused = client.post("/verify", files={"image1": photo, "image2": photo})
        assert (refused.status_code, refused.json()["code"]) == (404, "model-not-found")


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """LIKENESS_* variables override the defaults; the repository is ./models unless named."""
    assert Settings().models == Path("models")
    monkeypatch.setenv("LIKENESS_MODELS", str(tmp_path))
    monkeypatch.setenv("LIKENESS_MAX_FACES", "3")
    assert (Settings().models, Settings().max_faces) == (tmp_path, 3)


def test_the_command_knows_its_version() -> None:
    """`likeness version` prints it."""
    result = CliRunner().invoke(app, ["version"])
    assert result.exit_code == 0 and result.stdout.strip() == __version__


@pytest.fixture(name="asks")
def asks_(client: TestClient, photo: bytes, smiling: bytes) -> list[Ask]:
    """Requests, with what an undisturbed service answers."""
    asks = [Ask(photo, {}), Ask(smiling, {"output": "photo"})]
    return [Ask(each.photo, each.options, each.answered(client).content) for each in asks]


def test_sigterm_under_load_loses_nothing(models: Path, tmp_path: Path, asks: list[Ask]) -> None:
    """What was admitted is answered, what comes is told to come back, and the process ends by itself, with status 0."""
    with serving(models, tmp_path, LIKENESS_DRAIN_DELAY="1") as process:
        with Crowd(process.address, asks, 4) as crowd:
            crowd.has_had("right", 10)
            process.popen.send_signal(signal.SIGTERM)
            crowd.has_had("draining", 1)
            assert process.popen.wait(20) == 0
        assert crowd.wrong == [] and set(crowd.outcomes) <= {"right", "draining", "lost"}
        assert process.requests(status=200) == crowd.outcomes["right"]
        assert '"stopped"' in process.log and "127.0.0.1" not in process.log.replace(process.address, "")


def test_a_client_that_goes_away_is_noticed(models: Path, tmp_path: Path, photo: bytes) -> None:
    """When the connection closes the work is dropped and counted as 499; others are served on."""
    head = f"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(photo)}\r\n\r\n"
    with serving(models, tmp_path) as process:
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", process.port)) as connection:
                connection.sendall(head.encode() + photo)
        left = 'likeness_problems_total{code="client-closed"}'
        until(lambda: left in httpx2.get(f"{process.address}/metrics").text)
        assert httpx2.post(f"{process.address}/translate", files={"image": photo}).is_success
