"""service.connection: no connection takes the time, the memory or the place that it likes."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from service.connection import MAX_HEAD_BYTES
from tests.servers import LARGE, Running, head, running, until


@pytest.fixture(scope="module", name="quick")
def quick_() -> Iterator[Running]:
    """A server that is quick to give up on a head and on a body."""
    with running(header_timeout=0.3, body_timeout=0.3) as server:
        yield server


# Slow clients


@pytest.mark.parametrize("sent", [b"", b"GET /pl", b"\r\n\r\n"], ids=["nothing", "half a head", "no head at all"])
def test_a_head_that_does_not_come_is_given_up(quick: Running, sent: bytes) -> None:
    """Whoever connects and does not say what they want is closed."""
    with quick.client() as client:
        client.send(sent)
        assert client.closed()


@pytest.mark.parametrize("before", [0, 1])
def test_a_head_that_trickles_is_given_up(quick: Running, before: int) -> None:
    """Bytes that come one by one do not count as progress, on a new connection or after a request."""
    with quick.client() as client:
        for _ in range(before):
            assert client.get("/plain").status == 200
        client.trickle(head("GET", "/plain", "Cookie: " + 200 * "a"))
        assert client.closed()


def test_an_idle_connection_is_kept(quick: Running) -> None:
    """Between two requests a client may be silent for longer than within a head."""
    with quick.client() as client:
        assert client.get("/plain").status == 200
        time.sleep(0.6)
        assert client.get("/plain").status == 200


def test_a_body_that_trickles_is_given_up(quick: Running) -> None:
    """A byte now and then is 408 when the body's time is over, and the connection ends with it."""
    with quick.client() as client:
        client.send(head("POST", "/upload", "Content-Type: image/jpeg", "Content-Length: 100000"))
        sender = threading.Thread(target=client.trickle, args=(bytes(30),))
        sender.start()
        answer = client.answer()
        sender.join()
        assert (answer.status, answer.code, answer.headers["connection"]) == (408, "body-timeout", "close")
        assert client.closed()


def test_a_body_that_nobody_reads_does_not_go_on_for_ever(quick: Running) -> None:
    """After an early answer the rest of the body may come, and then another request; if neither ends, it is closed."""
    with quick.client() as client:
        client.send(head("POST", "/early", "Content-Length: 5"))
        assert client.answer().status == 403
        client.send(b"12345")
        assert client.get("/plain").status == 200
        client.send(head("POST", "/early", "Content-Length: 100000"))
        assert client.answer().status == 403
        client.trickle(bytes(30))
        assert client.closed()


@pytest.mark.parametrize(
    "requests",
    [
        head("GET", "/large?size=40000"),
        head("GET", "/large?size=40000", "Connection: close"),
        2 * head("GET", f"/large?size={LARGE}"),
    ],
    ids=["the connection idles", "the connection is to be closed", "the next answer waits"],
)
def test_an_answer_that_nobody_reads_is_let_go(requests: bytes) -> None:
    """A client that asks for much and reads nothing loses its connection, and the task of a request if that waits."""
    with running(keep_alive=1) as server, server.client(receive_buffer=4096) as client:
        client.send(requests)
        until(lambda: bool(server.server.server_state.connections))
        until(lambda: not server.server.server_state.connections and not server.server.server_state.tasks)
        with pytest.raises(ConnectionError):
            client.answer(), client.answer()


def test_a_large_answer_that_is_read_is_whole(quick: Running) -> None:
    """Also where its client asked to close after it."""
    with quick.client() as client:
        answer = client.get("/large?size=1000000", "Connection: close")
        assert len(answer.body) == 1_000_000 and client.closed()


# Heads


@pytest.mark.parametrize("where", ["url", "header", "many headers"])
def test_a_head_of_too_many_bytes_is_refused(quick: Running, where: str) -> None:
    """More than the limit is 431, in one go or in pieces, ended or not; the limit itself is not."""
    spare = MAX_HEAD_BYTES - 100

    def request(size: int) -> bytes:
        if where == "url":
            return head("GET", "/plain?" + size * "a")
        if where == "header":
            return head("GET", "/plain", "A: " + size * "a")
        return head("GET", "/plain", *(size // 10) * ["Aaaaa: aaaaa"])[:-2] + b"\r\n"

    with quick.client() as client:
        client.send(request(spare))
        assert client.answer().status == 200
    whole = request(2 * MAX_HEAD_BYTES)
    for pieces in ([whole], [whole[:10_000], whole[10_000:20_000]], [whole[:20_000]]):
        with quick.client() as client:
            for piece in pieces:
                client.send(piece)
                time.sleep(0.02)
            answer = client.answer()
            assert (answer.status, answer.code) == (431, "request-header-fields-too-large")
            assert answer.headers["connection"] == "close" and client.closed()


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/9\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
        b"POST /upload HTTP/1.1\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ],
    ids=["TLS", "a version", "CONNECT", "a URL", "a chunk"],
)
def test_what_is_no_request_is_a_problem(quick: Running, sent: bytes) -> None:
    """Bytes that are not HTTP get a typed 400, which is counted, and the connection ends."""
    before = len(quick.refused)
    with quick.client() as client:
        client.send(sent)
        answer = client.answer()
        assert (answer.status, answer.code) == (400, "bad-request") and client.closed()
    assert [each.code for each in quick.refused[before:]] == ["bad-request"]


def test_an_upgrade_is_answered_as_if_it_had_not_been_asked_for(quick: Running) -> None:
    """HTTP/2 in the clear and web sockets are not spoken here: the request itself is answered, and then it is over."""
    for protocol in ("h2c", "websocket"):
        with quick.client() as client:
            answer = client.get("/plain", f"Upgrade: {protocol}", "Connection: Upgrade")
            assert (answer.status, answer.headers["connection"]) == (200, "close") and client.closed()


# Too many connections


def test_a_connection_too_many_gets_a_problem_and_probes_are_answered() -> None:
    """At the limit the next one is told to come back; the ones that are there, and probes, are served."""
    with running(max_connections=2) as server, ExitStack() as stack:
        first, second = (stack.enter_context(server.client()) for _ in range(2))
        assert first.get("/plain").status == second.get("/plain").status == 200
        with server.client() as third, server.client() as probe:
            answer = third.get("/plain")
            assert (answer.status, answer.code, answer.headers["connection"]) == (503, "overloaded", "close")
            assert int(answer.headers["retry-after"]) >= 1 and third.closed()
            answer = probe.get("/livez")
            assert (answer.status, answer.headers["connection"]) == (200, "close") and probe.closed()
        assert first.get("/plain").status == 200
        assert [each.code for each in server.refused] == ["overloaded"]
        second.socket.close()
        until(lambda: len(server.server.server_state.connections) == 1)
        with server.client() as next_one:
            assert next_one.get("/plain").status == 200


def test_a_flood_of_connections_is_bounded() -> None:
    """There are never more than twice the limit, silent ones included, and those beyond the limit do not stay."""
    with running(max_connections=3, header_timeout=1.0) as server, ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(server.client())
        until(lambda: 3 < len(server.server.server_state.connections) <= 6)
        until(lambda: not server.server.server_state.connections)
        assert server.server.server_state.surplus == 0


# Refused in the middle of a body


def test_a_refusal_reaches_a_client_that_is_still_sending() -> None:
    """The answer is not taken back by a reset because much of the body was never read, and is given once."""
    with running(max_connections=1) as server, server.client(), server.client() as client:
        client.send(head("POST", "/upload", "Content-Type: image/jpeg", f"Content-Length: {LARGE}"))
        client.send(bytes(LARGE))
        assert client.answer().code == "overloaded" and client.closed()
        assert [each.code for each in server.refused] == ["overloaded"]


def test_nothing_is_begun_after_the_last_answer() -> None:
    """A request that was sent along with the last one of a connection is left alone."""
    with running(max_connections=1) as server, server.client(), server.client() as client:
        client.send(head("GET", "/livez") + head("POST", "/livez", "Content-Length: 5"))
        answer = client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close") and client.closed()
        client.socket.close()
        until(lambda: len(server.server.server_state.connections) == 1)
        assert server.metric(r'likeness_http_request_duration_seconds_count\{method="POST".*') == 0
