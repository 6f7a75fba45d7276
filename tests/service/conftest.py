"""A real server, for what a client in the same thread cannot do: leave, or listen while others work."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

from service.engine import Chain
from service.main import create_app
from service.pipeline import Commission, Pipeline, Translated, Watch
from service.settings import Settings


class Gate:
    """Where photos wait at their turn as long as it is closed, unless nobody wants them any more."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._open = threading.Event()
        self._open.set()
        self.reached: list[Commission] = []
        translate = pipeline.translate

        def gated(commission: Commission, watch: Watch) -> Chain[Translated]:
            self.reached.append(commission)
            while not self._open.wait(0.005):
                watch.cancellation.check()
            return (yield from translate(commission, watch))

        pipeline.translate = gated

    @contextmanager
    def closed(self) -> Iterator[None]:
        """No photo is drawn within the block."""
        self._open.clear()
        self.reached.clear()
        try:
            yield
        finally:
            self.open()

    def open(self) -> None:
        """Let all go on."""
        self._open.set()


class Live:
    """A running service: where it is, and what is inside."""

    def __init__(self, address: str, app: FastAPI) -> None:
        self.address = address
        self.app = app
        self.gate = Gate(app.state.parts.pipeline)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.address.rpartition(":")[2])

    def metric(self, line: str) -> float:
        """The value of a sample, 0 if it is not there."""
        for each in httpx2.get(f"{self.address}/metrics").text.splitlines():
            if each.startswith(line):
                return float(each.rpartition(" ")[2])
        return 0.0


@pytest.fixture(scope="session", name="live")
def live_(models: Path) -> Iterator[Live]:
    """One service of two executors for all tests that leave it as it was."""
    app = create_app(Settings(models=models, log_level="error", threads=2))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Live(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", app)
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="session", name="eventually")
def eventually_() -> Callable[[Callable[[], bool]], None]:
    """A way to wait for something."""

    def wait(condition: Callable[[], bool]) -> None:
        for _ in range(1000):
            if condition():
                return
            time.sleep(0.01)
        raise AssertionError("it did not happen")

    return wait
