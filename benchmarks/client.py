"""A small HTTP/1.1 client that takes little of the machine that it shares with the server it measures."""

import asyncio
from dataclasses import dataclass
from typing import cast


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, header section in lower case, body."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """The value of a header whose name is given in lower case."""
        start = self.head.find(b"\r\n" + name + b":")
        if start < 0:
            return None
        start += len(name) + 3
        end = self.head.find(b"\r\n", start)
        return self.head[start : end if end >= 0 else None].strip()


class Reader:
    """Answers out of the bytes of one connection; bodies have a Content-Length, as those of every server here do."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._body_at = 0  # 0: the header section is not complete yet
        self._end = 0
        self._answer: tuple[int, bytes] = (0, b"")

    def feed(self, data: bytes) -> Answer | None:
        """The answer that `data` completes; ValueError if it is none that can be read."""
        self._buffer += data
        if not self._body_at and not self._read_head():
            return None
        if len(self._buffer) < self._end:
            return None
        status, head = self._answer
        answer = Answer(status, head, bytes(self._buffer[self._body_at : self._end]))
        del self._buffer[: self._end]
        self._body_at = 0
        return answer

    def _read_head(self) -> bool:
        blank = self._buffer.find(b"\r\n\r\n")
        if blank < 0:
            return False
        head = bytes(self._buffer[:blank]).lower()
        answer = Answer(int(head[9:12]), head, b"")
        length = answer.header(b"content-length")
        if length is None:
            raise ValueError("an answer without a length")
        self._answer = answer.status, head
        self._body_at = blank + 4
        self._end = self._body_at + int(length)
        return True


class Connection(asyncio.Protocol):
    """One connection, which carries one request at a time and stays open."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reader = Reader()
        self._waiter: asyncio.Future[Answer] | None = None

    @classmethod
    async def to(cls, port: int) -> "Connection":
        """A connection to this machine; OSError."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return connection

    @property
    def usable(self) -> bool:
        """Whether another request may go over it."""
        return self._transport is not None and not self._transport.is_closing()

    async def send(self, request: bytes) -> Answer:
        """The answer to a whole request; ConnectionError if there is none."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("closed")
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        answer = await self._waiter
        if answer.header(b"connection") == b"close":
            self.close()
        return answer

    def close(self) -> None:
        """At once, whatever is on its way."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            answer = self._reader.feed(data)
        except ValueError as error:
            self._fail(error)
            self.close()
            return
        if answer and self._waiter and not self._waiter.done():
            self._waiter.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(error)

    def _fail(self, error: Exception | None) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_exception(ConnectionError(str(error or "closed by the server")))
