"""One connection of a client, and what it may take: seconds and bytes for a head, a place among all connections.

uvicorn's protocol reads requests and writes answers. It would wait for a head for ever and keep any number of
connections; and where it closes before the whole body has come, the kernel may take the answer back (RST).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from service.errors import Overloaded, Problem, http_problem, problem_of
from service.problems import problem_response
from service.settings import Settings
from service.telemetry import PROBES

MAX_HEAD_BYTES = 16_384
"""Of a request's line and headers together."""
LINGER = 2.0
"""Seconds for a client to notice that it has been answered already, and to stop sending."""

_PROBES = frozenset(path.encode() for path in PROBES)


class Connections(ServerState):
    """All connections of a server."""

    def __init__(self, settings: Settings, refused: Callable[[Problem], None] = lambda problem: None) -> None:
        """`refused` is told of every problem that is answered here, without the application."""
        super().__init__()
        self.settings = settings
        self.refused = refused
        self.surplus = 0
        """How many of the open ones are beyond the limit."""


class Connection(HttpToolsProtocol):
    """A connection that is closed when it takes too long over a head, and refused when there are too many.

    What uvicorn's own class does not know: a connection is `surplus` for its whole life; it is `_leaving` once it was
    answered for the last time, and then only reads until the client is done.
    """

    server_state: Connections

    def __init__(
        self,
        config: Config,
        server_state: Connections,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._timer: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._surplus = False
        self._leaving = False
        self._in_body = False
        self._head_bytes = 0
        self._refusal: tuple[Problem, Exception | None] = (http_problem(400), None)

    # What the transport calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of the first head."""
        super().connection_made(transport)
        state = self.server_state
        limit = state.settings.max_connections
        self._surplus = len(state.connections) - state.surplus > limit
        state.surplus += self._surplus
        if state.surplus > limit:
            transport.abort()
            return
        self._close_in(min(LINGER, state.settings.header_timeout) if self._surplus else state.settings.header_timeout)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what is no request, or one that is not wanted, is answered here."""
        if self._leaving:
            return
        self._unset_keepalive_if_required()
        if not self._in_body:
            self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self._refuse(*self._refusal)
            return
        except httptools.HttpParserUpgrade:
            # The request is answered in HTTP/1.1, and the parser reads no further.
            self.cycle.keep_alive = False
            return
        if not self._in_body and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(http_problem(431), None)
        elif not self._busy and self._timer is None:
            # A head that has begun, or the rest of a body that was answered already: neither may go on for ever.
            self._close_in(self.server_state.settings.header_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._stop_clock()
        if self._unread is not None:
            self._unread.cancel()
        self.server_state.surplus -= self._surplus
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Much of the answer is unread: its client may take as long for it as it may idle."""
        super().pause_writing()
        self._unread = self.loop.call_later(self.server_state.settings.keep_alive, self.transport.abort)

    def resume_writing(self) -> None:
        """The answer is as good as read."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()

    # What the parser calls

    def on_headers_complete(self) -> None:
        """A head is there: begin the request, unless it is too large or one too many."""
        self._in_body = True
        self._head_bytes = 0
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            self._refusal = http_problem(431), None
            raise ValueError("a head of too many bytes")
        # Probes are answered even then: a flood of connections is no reason to restart.
        if self._surplus and self.url.partition(b"?")[0] not in _PROBES:
            error = Overloaded("too many connections are open")
            self._refusal = problem_of(error), error
            raise error
        self._stop_clock()
        super().on_headers_complete()
        self.cycle.transport = _Farewell(self)
        if self._surplus:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """The body is there."""
        self._in_body = False
        super().on_message_complete()

    # What uvicorn's cycle and server call

    def on_response_complete(self) -> None:
        """Go on with the next request, unless this was the last one."""
        if not self._leaving:
            super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """The connection was idle for long; what its client has not read by now of the last answer is let go."""
        self.transport.abort()

    def retire(self) -> None:
        """The server drains: this request is the last one. Who has none, and has had one, connects elsewhere.

        Who has never had one is about to ask, and will be refused.
        """
        if self._busy:
            self.cycle.keep_alive = False
        elif self.cycle is not None and self._timer is None:
            self.transport.close()

    def shutdown(self) -> None:
        """As uvicorn's; who leaves already needs no haste."""
        if not self._leaving:
            super().shutdown()

    def leave(self) -> None:
        """Close so that the client gets what was written."""
        if self._in_body:
            self._linger()
        else:
            self.transport.close()
            self._close_in(self.server_state.settings.keep_alive)

    @property
    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, problem: Problem, error: Exception | None) -> None:
        """Answer without the application, for the last time."""
        self.server_state.refused(problem)
        if self._busy:  # what came after a request, or in its body, was not HTTP: nobody waits for its answer
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        response = problem_response(problem, error, secrets.token_hex(16))
        headers = [*self.server_state.default_headers, *response.raw_headers, (b"connection", b"close")]
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[problem.status] + lines + b"\r\n" + response.body)
        self._linger()

    def _linger(self) -> None:
        """Read on for a while: were the socket closed with something unread, the answer would be taken back."""
        self._leaving = True
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._close_in(LINGER)

    def _close_in(self, seconds: float) -> None:
        self._stop_clock()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _stop_clock(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Farewell(asyncio.Transport):
    """What a cycle of uvicorn writes to: as the transport, and closing is taking leave."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._connection.transport.write(data)

    def is_closing(self) -> bool:
        return self._connection.transport.is_closing()

    def close(self) -> None:
        self._connection.leave()
