"""The service while much goes wrong: no answer is ever a wrong one, and afterwards all is as it was."""

import random
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx2
import psutil
import pytest
from fastapi.testclient import TestClient

from demo.run import free_port
from tests.processes import Ask, Crowd, Process, serving, until

CLIENTS = 4
LEAVING = 0.3
# A machine that is busy with something else is no mishap of the service.
PATIENT = {"LIKENESS_DEADLINE": "60"}


@pytest.fixture(name="asks")
def asks_(client: TestClient, photo: bytes, smiling: bytes, stranger: bytes) -> list[Ask]:
    """Requests, with what an undisturbed service answers."""
    asks = [
        Ask(photo, {}),
        Ask(smiling, {"strength": "0.5", "style": "bright"}),
        Ask(stranger, {"output": "photo"}),
    ]
    return [Ask(each.photo, each.options, each.answered(client).content) for each in asks]


@pytest.fixture(name="full_disk")
def full_disk_(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment whose home and scratch folders are full; where nothing can be mounted, they are no folders."""
    folder = tmp_path / "full"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "false", "-t", "tmpfs", "-o", "size=4k", "none", str(folder)]
    mounted = subprocess.run(command, capture_output=True).returncode == 0
    if mounted:
        with suppress(OSError), (folder / "filler").open("wb") as filler:
            filler.write(bytes(8192))
    place = str(folder) if mounted else "/dev/null/nowhere"
    yield dict.fromkeys(("HOME", "TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME"), place)
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


def all_is_well(process: Process, asks: list[Ask]) -> None:
    """It is ready, answers everything rightly, and holds nothing of what went wrong."""
    with httpx2.Client(base_url=process.address, timeout=60) as client:
        for ask in asks:
            assert ask.answered(client).content == ask.drawing
        until(lambda: "likeness_http_requests_in_flight 1.0" in client.get("/metrics").text)
        assert client.get("/readyz").is_success


def test_a_short_storm(models: Path, tmp_path: Path, asks: list[Ask], full_disk: dict[str, str]) -> None:
    """A worker is killed while clients come and leave and no disk has room: its own requests are lost, no other."""
    with serving(models, tmp_path, "--workers", "2", **full_disk, **PATIENT) as process:
        process.becomes_ready(times=2)
        with Crowd(process.address, asks, CLIENTS, leaving=LEAVING) as crowd:
            crowd.has_had("right", 10)
            process.workers[0].kill()
            crowd.has_had("right", 10)
        assert crowd.wrong == [] and set(crowd.outcomes) <= {"right", "left", "lost"}
        assert crowd.outcomes["lost"] <= CLIENTS
        all_is_well(process, asks)
        metrics = Path(process.workers[0].environ()["PROMETHEUS_MULTIPROC_DIR"])
        assert metrics.is_dir()
        process.popen.terminate()
        assert process.popen.wait(30) == 0 and not metrics.exists()


class Storm:
    """One service after the other on one port, and what can happen to them."""

    def __init__(self, models: Path, folder: Path, environment: dict[str, str]) -> None:
        self._models = models
        self._folder = folder
        self._environment = environment
        self._port = free_port()
        self._stack = ExitStack()
        self.process: Process

    def start(self) -> None:
        """A service with two workers, both ready."""
        self._stack = ExitStack()
        self.process = self._stack.enter_context(
            serving(self._models, self._folder, "--workers", "2", port=self._port, **self._environment)
        )
        self.process.becomes_ready(times=2)

    def stop(self) -> None:
        """The end, whatever state it is in."""
        self._stack.close()

    def restarted(self) -> None:
        """SIGTERM, which is a clean end, and a new start."""
        self.process.popen.terminate()
        assert self.process.popen.wait(60) == 0, self.process.log
        self.stop()
        self.start()

    def lost_a_worker(self) -> None:
        """kill -9 of a worker; another one comes."""
        ready = self.process.log.count('"event": "ready"')
        random.choice(self.process.workers).kill()
        self.process.becomes_ready(times=ready + 1)

    def lost_its_head(self) -> None:
        """kill -9 of the supervisor: the workers end too, and leave the port."""
        workers = self.process.workers
        metrics = workers[0].environ()["PROMETHEUS_MULTIPROC_DIR"]
        self.process.popen.kill()
        psutil.wait_procs(workers, timeout=60)
        assert not any(each.is_running() for each in workers)
        shutil.rmtree(metrics)
        self.stop()
        self.start()

    def stood_still(self) -> None:
        """A worker that is stopped for a while, and goes on."""
        worker = random.choice(self.process.workers)
        worker.suspend()
        with suppress(psutil.TimeoutExpired):
            worker.wait(2)
        worker.resume()

    def besieged(self) -> None:
        """Connections that never say what they want, which go away in the end."""
        with ExitStack() as stack:
            for _ in range(200):
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", self._port), timeout=10))
                connection.sendall(b"POST /translate HTTP/1.1\r\nHost")


@pytest.mark.full
def test_a_long_storm(models: Path, tmp_path: Path, asks: list[Ask], full_disk: dict[str, str]) -> None:
    """Thirty mishaps in a random order, with a crowd that goes on: what is answered is right, and all is well after."""
    random.seed(0)
    storm = Storm(models, tmp_path, {**full_disk, **PATIENT, "LIKENESS_HEADER_TIMEOUT": "2"})
    mishaps = [storm.restarted, storm.lost_a_worker, storm.lost_its_head, storm.stood_still, storm.besieged] * 6
    random.shuffle(mishaps)
    storm.start()
    try:
        with Crowd(storm.process.address, asks, 2 * CLIENTS, leaving=LEAVING) as crowd:
            for mishap in mishaps:
                mishap()
                crowd.has_had("right", 5)
        assert crowd.wrong == []
        all_is_well(storm.process, asks)
        storm.process.popen.send_signal(signal.SIGTERM)
        assert storm.process.popen.wait(60) == 0
    finally:
        storm.stop()
