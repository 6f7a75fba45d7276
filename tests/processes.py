"""The service as a process of its own, and a crowd of clients that keeps it busy and looks at every answer."""

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil

from demo.run import free_port

ROOT = Path(__file__).resolve().parents[1]
COME_BACK = frozenset({"draining", "overloaded", "model-loading"})


class Process:
    """`likeness serve`, its address and its log."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path, port: int) -> None:
        self.port = port
        self.address = f"http://127.0.0.1:{port}"
        self._log = log
        with log.open("wb") as stderr:
            self.popen = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True
            )

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self._log.read_text()

    @property
    def workers(self) -> list[psutil.Process]:
        """Its workers that live."""
        children = psutil.Process(self.popen.pid).children()
        return [each for each in children if "spawn_main" in " ".join(_command(each))]

    def requests(self, status: int) -> int:
        """How many requests for drawings it says that it answered so."""
        events = (json.loads(line) for line in self.log.splitlines() if '"request"' in line)
        return sum(each["route"] == "/translate" and each["status"] == status for each in events)

    def becomes_ready(self, times: int = 1) -> None:
        """Wait until it has said so many times that it is."""
        until(lambda: self.log.count('"event": "ready"') >= times or self.popen.poll() is not None)
        assert self.popen.poll() is None, self.log
        until(lambda: answers(self.address))


@contextmanager
def serving(
    models: Path, folder: Path, *arguments: str, port: int | None = None, **environment: str
) -> Iterator[Process]:
    """The service over `models`, ready; it and what it left are killed at the end. Its log lies in `folder`."""
    port = port or free_port()
    command = [sys.executable, "-m", "service.cli", "serve", "--port", str(port), *arguments]
    given = {**os.environ, "LIKENESS_MODELS": str(models), "OMP_NUM_THREADS": "1", **environment}
    process = Process(command, given, folder / f"{port}-{time.monotonic_ns()}.log", port)
    children: list[psutil.Process] = []
    try:
        process.becomes_ready()
        yield process
    finally:
        if process.popen.poll() is None:
            children = psutil.Process(process.popen.pid).children(recursive=True)
        for each in (process.popen, *children):
            each.kill()
        process.popen.wait()


@dataclass(frozen=True)
class Ask:
    """A request for a drawing, and what the answer has to be."""

    photo: bytes
    options: Mapping[str, str]
    drawing: bytes = b""

    def answered(self, client: httpx2.Client) -> httpx2.Response:
        """What the service says."""
        return client.post("/translate", files={"image": self.photo}, data=dict(self.options))


class Crowd:
    """Clients that ask until they are stopped; `leaving` of their requests are given up half-way.

    `outcomes` counts: right; told to come back (by the problem's code); lost, where the connection broke; left. What
    was neither is kept in `wrong`.
    """

    def __init__(self, address: str, asks: Sequence[Ask], count: int, *, leaving: float = 0.0) -> None:
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._address = address
        self._asks = asks
        self._leaving = leaving
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(seed,)) for seed in range(count)]

    def __enter__(self) -> "Crowd":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def has_had(self, outcome: str, more: int) -> None:
        """Wait until so many more of the outcomes are that one."""
        before = self.outcomes[outcome]
        until(lambda: self.outcomes[outcome] >= before + more)

    def _ask(self, seed: int) -> None:
        chance = random.Random(seed)
        with httpx2.Client(base_url=self._address, timeout=60) as client:
            while not self._stopped.is_set():
                ask = chance.choice(self._asks)
                if chance.random() < self._leaving:
                    self._leave(ask, chance)
                    continue
                outcome = self._outcome(client, ask)
                self.outcomes[outcome] += 1
                if outcome != "right":
                    time.sleep(0.05)

    def _outcome(self, client: httpx2.Client, ask: Ask) -> str:
        try:
            answer = ask.answered(client)
        except httpx2.TransportError:
            return "lost"
        if answer.status_code == 200 and answer.content == ask.drawing:
            return "right"
        if answer.status_code == 503 and answer.json()["code"] in COME_BACK:
            return str(answer.json()["code"])
        self.wrong.append(f"{answer.status_code} {answer.content[:300]!r}")
        return "wrong"

    def _leave(self, ask: Ask, chance: random.Random) -> None:
        """Send a part of a request, or all of it, and go."""
        head = f"POST /translate HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\nContent-Length: {len(ask.photo)}"
        request = head.encode() + b"\r\n\r\n" + ask.photo
        host, _, port = self._address.removeprefix("http://").partition(":")
        self.outcomes["left"] += 1
        try:
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(request[: chance.choice([100, len(request) // 2, len(request), len(request)])])
                time.sleep(chance.random() / 20)
        except OSError:
            pass  # it came to a service that was going away itself


def answers(address: str) -> bool:
    """Whether the service is there and ready."""
    try:
        return httpx2.get(f"{address}/readyz").is_success
    except httpx2.TransportError:
        return False


def until(true: Callable[[], bool]) -> None:
    """Wait for it, for a minute at most."""
    for _ in range(1200):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
