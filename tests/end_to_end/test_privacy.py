"""What docs/privacy.md promises about disk and logs, asked of a real process that the kernel lets write nothing."""

import base64
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from PIL import Image

from service.access import Scope, new_key

ROOT = Path(__file__).resolve().parents[2]
KEY, ENTRY = new_key("studio", Scope)

# No regular file can grow in this process or its children: a write to one fails, a deleted or unnamed file included.
WITHOUT_FILES = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh"]


@dataclass
class Running:
    """A service in work, the only folder that it could leave files in, and its log."""

    process: subprocess.Popen[bytes]
    address: str
    folder: Path

    def post(self, path: str, **request: object) -> httpx2.Response:
        """The answer to a request with the key."""
        headers = {"Authorization": f"Bearer {KEY}", **request.pop("headers", {})}  # type: ignore[dict-item]
        return httpx2.post(self.address + path, headers=headers, timeout=60, **request)  # type: ignore[arg-type]

    def log(self) -> str:
        """Everything it logged, after its end."""
        self.process.terminate()
        return self.process.communicate(timeout=30)[1].decode()


@pytest.fixture(name="running")
def running_(models: Path, tmp_path: Path) -> Iterator[Running]:
    """The service with keys, the chattiest log and an empty home, scratch and working folder."""
    keys, folder = tmp_path / "keys.toml", tmp_path / "home"
    keys.write_text(ENTRY)
    folder.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    places = dict.fromkeys(("HOME", "TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"), str(folder))
    settings = {"MODELS": str(models.resolve()), "API_KEYS": str(keys), "LOG_LEVEL": "debug"}
    # Libraries that report home do not where these say that nobody would want it.
    inherited = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    environment = {
        **inherited,
        **places,
        **{f"LIKENESS_{name}": value for name, value in settings.items()},
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [*WITHOUT_FILES, sys.executable, "-m", "service.cli", "serve", "--port", str(port)]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        running = Running(process, f"http://127.0.0.1:{port}", folder)
        try:
            yield wait_for(running)
        finally:
            process.kill()


def wait_for(running: Running) -> Running:
    """The service, ready; RuntimeError with its log if it does not become so."""
    for _ in range(300):
        if running.process.poll() is not None:
            break
        try:
            if httpx2.get(f"{running.address}/readyz").is_success:
                return running
        except httpx2.TransportError:
            time.sleep(0.1)
    raise RuntimeError(running.log())


def test_nothing_of_a_request_reaches_a_disk_or_the_log(running: Running, photo: bytes, smiling: bytes) -> None:
    """Bodies of every kind, good and bad, are answered without a file; the log has nothing that a client sent."""
    exif = Image.Exif()
    exif[0x010E] = "secret-place"
    marked = io.BytesIO()
    Image.open(io.BytesIO(photo)).save(marked, "JPEG", exif=exif, quality=95)
    # More than a megabyte, where form parsers begin to use files.
    large = marked.getvalue() + bytes(1_500_000)
    inline = base64.b64encode(marked.getvalue()).decode()
    jpeg = {"Content-Type": "image/jpeg"}

    answers = [
        running.post("/translate", files={"image": ("secret-file.jpg", large, "image/jpeg")}),
        running.post("/translate?strength=1.23456789", content=large, headers=jpeg),
        running.post("/translate", json={"image": inline}),
        running.post("/verify", files={"image1": ("secret-one.jpg", large), "image2": ("secret-two.jpg", smiling)}),
    ]
    assert [answer.status_code for answer in answers] == [200] * 4
    refused = [
        running.post("/translate", files={"image": ("secret-file.jpg", large[:6000], "image/jpeg")}),
        running.post("/translate", files={"image": ("secret-file.gif", b"secret-bytes" * 200_000, "image/gif")}),
        running.post("/translate", files={"image": large, "other": ("secret-file.jpg", large)}),
        running.post("/translate", files={"image": large}, data={"style": "secret-style"}),
        running.post("/translate", files={"image": large, "exemplar": ("secret-drawing.jpg", large)}),
        running.post("/translate?secret-option=1", content=large, headers=jpeg),
        running.post("/translate", content=b'{"image": "secret', headers={"Content-Type": "application/json"}),
        running.post("/secret-path", content=large),
        running.post("/translate", content=large, headers={**jpeg, "Authorization": "Bearer secret-key"}),
    ]
    assert all(400 <= answer.status_code < 500 for answer in refused), refused

    assert list(running.folder.rglob("*")) == []
    log = running.log()
    lines = [json.loads(line) for line in log.splitlines()]
    assert sum(line["event"] == "request" for line in lines) >= 12
    assert "studio" in {line.get("client") for line in lines}
    for private in ("secret", "1.2345", KEY, inline[:40], inline[-40:], repr(large[:8])[2:-1]):
        assert private not in log
    assert "127.0.0.1" not in log.replace(running.address, "")
