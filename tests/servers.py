"""A small server in a thread, and clients that speak to it byte by byte."""

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response

from service import problems
from service.drain import install
from service.errors import Problem
from service.server import Server
from service.settings import Settings
from service.telemetry import RequestTelemetry, Telemetry
from service.uploads import read_upload

LARGE = 8_000_000
"""More bytes than the kernel's buffers of a connection hold."""


@dataclass
class Answer:
    """What came back over a connection."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """Of the problem."""
        assert self.headers["content-type"] == "application/problem+json"
        members = json.loads(self.body)
        assert members["status"] == self.status and members["instance"].startswith("urn:likeness:request:")
        return str(members["code"])


class Client:
    """A connection, byte by byte."""

    def __init__(self, address: tuple[str, int], receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(10)
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        self._received = b""

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """All of it."""
        self.socket.sendall(data)

    def get(self, path: str, *headers: str) -> Answer:
        """The answer to a request without a body."""
        self.send(head("GET", path, *headers))
        return self.answer()

    def trickle(self, data: bytes) -> None:
        """Bytes with pauses, until all are sent or the server has closed."""
        for byte in data:
            try:
                self.send(bytes([byte]))
            except OSError:
                return
            time.sleep(0.02)

    def answer(self) -> Answer:
        """The next answer; ConnectionError if the connection ends before."""
        while b"\r\n\r\n" not in self._received:
            self._more()
        lines, _, self._received = self._received.partition(b"\r\n\r\n")
        status, *fields = lines.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        length = int(headers["content-length"])
        while len(self._received) < length:
            self._more()
        body, self._received = self._received[:length], self._received[length:]
        return Answer(int(status.split()[1]), headers, body)

    def closed(self) -> bool:
        """Whether the server closes without another byte (waits for it)."""
        try:
            return not self._received and self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed")
        self._received += data


def head(method: str, path: str, *headers: str) -> bytes:
    """The head of a request."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: a", *headers, "", ""]).encode()


class Running:
    """A server over a small application, in a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self.gate = asyncio.Event()
        self.entered = threading.Event()
        self.telemetry = Telemetry()
        self.telemetry.ready.set(1)
        self.refused: list[Problem] = []
        app = self._app(settings)
        self.draining = install(app)
        self.server = Server(app, self.draining, settings, port=0, refused=self.refused.append)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # of its connections: small
        self.address: tuple[str, int] = self.listener.getsockname()
        self.thread = threading.Thread(target=self.server.run, args=([self.listener],))
        self.thread.start()
        until(lambda: self.server.started)

    def client(self, receive_buffer: int | None = None) -> Client:
        """A new connection."""
        return Client(self.address, receive_buffer)

    def open_gate(self) -> None:
        """Let /wait answer."""
        with suppress(RuntimeError):  # the server may have ended already
            self.loop.call_soon_threadsafe(self.gate.set)

    def drain(self) -> None:
        """Refuse, and go on to listen."""
        self.loop.call_soon_threadsafe(self.server.begin_drain)
        until(lambda: self.draining.active)

    def stop(self) -> None:
        """What a first SIGTERM does."""
        self.server.should_exit = True
        until(lambda: self.draining.active)

    def join(self) -> None:
        """Stop if it has not, and wait until it has."""
        self.server.should_exit = True
        if self.thread.is_alive():
            self.open_gate()
        self.thread.join(10)
        self.listener.close()
        assert not self.thread.is_alive()

    def metric(self, pattern: str) -> float:
        """A number of the metrics."""
        found = re.search(rf"^{pattern} (\S+)$", self.telemetry.exposition(None)[0].decode(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def _app(self, settings: Settings) -> FastAPI:
        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            self.loop = asyncio.get_running_loop()
            yield

        app = FastAPI(lifespan=lifespan)
        app.state.telemetry = self.telemetry
        app.state.parts = None
        problems.install(app)
        app.add_middleware(RequestTelemetry, telemetry=self.telemetry)

        @app.get("/wait")
        async def wait() -> str:
            self.entered.set()
            await self.gate.wait()
            return "waited"

        @app.get("/livez")
        @app.get("/readyz")
        @app.get("/plain")
        async def plain() -> Response:
            return Response("ok")

        @app.get("/large")
        async def large(size: int) -> Response:
            return Response(bytes(size))

        @app.post("/early")
        async def early() -> Response:
            return Response("without reading", 403)

        @app.post("/upload")
        async def upload(request: Request) -> Response:
            received = await read_upload(request, ["image"], max_bytes=LARGE, seconds=settings.body_timeout)
            return Response(str(len(received.pictures["image"].content)))

        return app


def until(true: Callable[[], bool]) -> None:
    """Wait for it."""
    for _ in range(1000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


@contextmanager
def running(**limits: object) -> Iterator[Running]:
    """A server within limits, stopped at the end."""
    server = Running(Settings(**limits))  # type: ignore[arg-type]
    try:
        yield server
    finally:
        server.join()
