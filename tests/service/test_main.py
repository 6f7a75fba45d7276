"""service.main and service.cli: sound models or no start, readiness, and a real process that stops gracefully."""

import io
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from typer.testing import CliRunner

from export.contract import ContractError
from export.repository import ModelNotFound, publish
from service import __version__
from service.cli import app
from service.main import create_app
from service.settings import Settings


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


def test_a_control_may_not_hide_an_option(tmp_path: Path, models: Path, translator_file: bytes) -> None:
    """A contract whose control has the name of a request option is refused at start."""
    (tmp_path / "landmarks").symlink_to(models / "landmarks")
    publish(tmp_path, "caricature", 1, {"model.onnx": translator_file.replace(b"warmth", b"format")})
    with pytest.raises(ContractError, match="format"), TestClient(create_app(Settings(models=tmp_path))):
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


@pytest.fixture(name="process")
def process_(models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`likeness serve` on a free port as a process of its own, ready, and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("LIKENESS_MODELS", str(models))
    command = [sys.executable, "-m", "service.cli", "serve", "--port", str(port)]
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                if httpx2.get(f"{address}/readyz").is_success:
                    break
            except httpx2.TransportError:
                time.sleep(0.1)
        else:
            raise RuntimeError("the service did not become ready")
        yield process, address
    finally:
        process.kill()
        process.communicate()


def test_a_real_process_serves_and_finishes_its_work_on_sigterm(
    process: tuple[subprocess.Popen[bytes], str], photo: bytes
) -> None:
    """Requests that are in work when SIGTERM comes are answered; then the process ends by itself and logs it."""
    running, address = process
    large = io.BytesIO()
    Image.open(io.BytesIO(photo)).resize((3000, 3000)).save(large, "JPEG")
    upload = {"image": ("my-holiday.jpg", large.getvalue(), "image/jpeg")}
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(httpx2.post, f"{address}/translate", files=upload, timeout=60) for _ in range(4)]
        # The request that asks is in flight too.
        while "in_flight 5" not in httpx2.get(f"{address}/metrics").text:
            assert not all(answer.done() for answer in answers)
        running.send_signal(signal.SIGTERM)
        assert [answer.result().status_code for answer in answers] == [200] * 4
    log = running.communicate(timeout=20)[1].decode()
    assert running.returncode in (0, -signal.SIGTERM)
    assert '"stopped"' in log and "my-holiday" not in log and "127.0.0.1" not in log.replace(address, "")


def test_a_client_that_goes_away_is_noticed(process: tuple[subprocess.Popen[bytes], str], photo: bytes) -> None:
    """When the connection closes the work is dropped and counted as 499; others are served on."""
    _, address = process
    host, _, port = address.removeprefix("http://").partition(":")
    head = f"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(photo)}\r\n\r\n"
    for _ in range(5):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head.encode() + photo)
    for _ in range(100):
        if 'likeness_problems_total{code="client-closed"}' in httpx2.get(f"{address}/metrics").text:
            break
        time.sleep(0.05)
    else:
        raise AssertionError("nobody noticed")
    assert httpx2.post(f"{address}/translate", content=photo, headers={"content-type": "image/jpeg"}).is_success
