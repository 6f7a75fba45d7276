"""service.server and service.drain: the end comes when it should, and loses nothing."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI

from demo.run import free_port
from service import server as server_module
from service.drain import install
from service.logs import configure_logging
from service.server import Server
from service.settings import Settings
from service.telemetry import RequestTelemetry, Telemetry
from tests.servers import LARGE, Client, head, running, until

ROOT = Path(__file__).resolve().parents[2]


def test_what_was_admitted_is_finished_and_what_comes_is_refused() -> None:
    """From the signal on: a running request gets its answer, a new one the problem; who idles is closed at once."""
    with running() as server, server.client() as busy, server.client() as fresh, server.client() as idle:
        assert idle.get("/plain").status == 200
        busy.send(head("GET", "/wait"))
        assert server.entered.wait(5)
        server.drain()
        assert idle.closed()
        for client in (fresh, server.client()):
            with client:
                answer = client.get("/plain")
                assert (answer.status, answer.code, answer.headers["connection"]) == (503, "draining", "close")
                assert int(answer.headers["retry-after"]) >= 1 and client.closed()
        for path, status in (("/readyz", 503), ("/livez", 200)):
            with server.client() as probe:
                assert probe.get(path).status == status
        server.open_gate()
        answer = busy.answer()
        assert (answer.status, answer.body, answer.headers["connection"]) == (200, b'"waited"', "close")
        assert busy.closed()
        assert server.metric(r'likeness_requests_shed_total\{reason="draining"\}') == 3
        assert server.metric("likeness_ready") == 0
    assert server.server.clean


def test_the_end_comes_as_soon_as_nothing_is_in_flight() -> None:
    """Idle connections are closed at once, and nobody can connect any more, while the last request is finished."""
    with running() as server, server.client() as idle, server.client() as busy:
        assert idle.get("/plain").status == 200
        busy.send(head("GET", "/wait"))
        assert server.entered.wait(5)
        server.stop()
        assert idle.closed()
        until(lambda: not server.server.servers[0].is_serving())
        with pytest.raises(ConnectionError), server.client() as late:
            late.get("/plain")
        server.open_gate()
        assert busy.answer().status == 200
        server.thread.join(5)
        assert not server.thread.is_alive() and server.server.clean


def test_who_hangs_is_cut_off_with_a_problem() -> None:
    """When the time is up, what is still in work gets 503 too, and the end was not a clean one."""
    with running(grace=1) as server, server.client() as busy:
        busy.send(head("GET", "/wait"))
        assert server.entered.wait(5)
        server.stop()
        answer = busy.answer()
        assert (answer.status, answer.code) == (503, "draining") and busy.closed()
    assert not server.server.clean
    assert server.metric(r'likeness_http_request_duration_seconds_count\{method="GET",route="/wait",status="503"\}')


def test_requests_that_wait_behind_another_one_are_answered_too() -> None:
    """A pipelined request whose head came before the signal has its answer, the last one with the end announced."""
    with running() as server, server.client() as client:
        client.send(head("GET", "/wait") + head("GET", "/plain"))
        assert server.entered.wait(5)
        server.stop()
        server.open_gate()
        first, second = client.answer(), client.answer()
        assert (first.status, second.status, second.headers["connection"]) == (200, 503, "close")


def test_the_end_waits_for_a_refusal_to_arrive() -> None:
    """Also where the server stops while its client is still sending."""
    with running() as server, server.client() as client:
        client.send(b"POST")
        until(lambda: bool(server.server.server_state.connections))
        server.drain()
        client.send(head("", "/upload", "Content-Type: image/jpeg", f"Content-Length: {LARGE}"))
        until(lambda: server.metric(r'likeness_requests_shed_total\{reason="draining"\}') == 1)
        server.stop()
        until(lambda: not server.server.servers[0].is_serving())
        client.send(bytes(LARGE))
        assert client.answer().code == "draining" and client.closed()


def test_a_request_in_work_weighs_more_than_a_connection_that_idles() -> None:
    """A process with one of each lets a process go first that has only the latter."""
    with running() as server, server.client() as idle, server.client() as busy:
        assert idle.get("/plain").status == 200
        until(lambda: server.server.load == 2)
        busy.send(head("GET", "/wait"))
        assert server.entered.wait(5)
        assert server.server.load == 3
        server.open_gate()
        assert busy.answer().status == 200
        until(lambda: server.server.load == 2)


def test_two_seconds_after_a_request_freed_memory_goes_to_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of uvicorn's ten ticks a second it is one in twenty; without a request there is nothing to give back."""
    trims: list[bool] = []
    monkeypatch.setattr(server_module, "trim", lambda: trims.append(True))

    async def tick(server: Server) -> None:
        for counter in range(1, 61):
            await server.on_tick(counter)

    with running() as server, server.client() as client:
        assert client.get("/plain").status == 200
        asyncio.run(tick(server.server))
        trims.clear()
        asyncio.run(tick(server.server))
        assert not trims
        assert client.get("/plain").status == 200
        asyncio.run(tick(server.server))
        assert trims


# Signals


def serve(kind: str) -> None:
    """What the processes of these tests run: an application that says how far it is."""
    configure_logging("error")
    if kind == "slow to end":
        server_module.RELEASE = 0  # type: ignore[assignment]

    def say(word: str) -> None:
        print(word, flush=True)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if kind == "slow to load":
            say("loading")
            time.sleep(60)
        asyncio.get_running_loop().call_later(0.2, say, "ready")
        yield
        if kind == "slow to end":
            await asyncio.sleep(60)

    app = FastAPI(lifespan=lifespan)
    app.state.telemetry, app.state.parts = Telemetry(), None
    app.add_middleware(RequestTelemetry, telemetry=app.state.telemetry)

    @app.get("/wait")
    async def wait() -> None:
        say("waiting")
        await asyncio.sleep(60)

    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    server = Server(app, install(app), Settings(grace=1), supervised=kind == "supervised")
    server.run([listener])
    sys.exit(0 if server.clean else 1)


@contextmanager
def process(kind: str) -> Iterator[tuple[subprocess.Popen[str], tuple[str, int], Callable[[str], None]]]:
    """A server of that kind, its address, and what waits for one of its words."""
    port = free_port()
    script = f"from tests.service.test_server import serve; serve({kind!r})"
    running = subprocess.Popen(
        [sys.executable, "-c", script, str(port)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )

    def hear(word: str) -> None:
        assert running.stdout is not None
        assert any(line.strip() == word for line in iter(running.stdout.readline, "")), f"{word} was never said"

    try:
        yield running, ("127.0.0.1", port), hear
    finally:
        running.kill()
        running.communicate()


def test_a_signal_while_loading_ends_at_once() -> None:
    """Nothing was admitted yet, so nothing is waited for."""
    with process("slow to load") as (running, _, hear):
        hear("loading")
        time.sleep(0.1)
        running.terminate()
        assert running.wait(5) == 0


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_with_nothing_in_flight_is_a_clean_end(sent: signal.Signals) -> None:
    """Status 0, and not that of the signal."""
    with process("plain") as (running, _, hear):
        hear("ready")
        running.send_signal(sent)
        assert running.wait(5) == 0


@pytest.mark.parametrize("second, status", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_signal_ends_at_once(second: signal.Signals, status: int) -> None:
    """Whatever is in flight, with the status that says which signal it was."""
    with process("plain") as (running, address, hear):
        hear("ready")
        with Client(address) as client:
            client.send(head("GET", "/wait"))
            hear("waiting")
            running.terminate()
            time.sleep(0.1)
            assert running.poll() is None
            running.send_signal(second)
            assert running.wait(5) == status


def test_a_worker_hears_of_its_end_twice() -> None:
    """Where another process decides about the end, a signal that is passed on is not a second one."""
    with process("supervised") as (running, address, hear):
        hear("ready")
        with Client(address) as client:
            client.send(head("GET", "/wait"))
            hear("waiting")
            for _ in range(3):
                running.terminate()
                time.sleep(0.05)
            assert client.answer().status == 503
        assert running.wait(5) == 1


def test_an_end_that_hangs_is_ended() -> None:
    """Whatever of the application does not let go, the process is gone when the time is up."""
    with process("slow to end") as (running, _, hear):
        hear("ready")
        running.terminate()
        assert running.wait(5) == 1
