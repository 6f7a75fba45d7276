"""A server that knows all answers and does no work: what the load generator can ask at most.

    python -m benchmarks.static PORT < EXCHANGES

An answer is looked up by the length of the body, which is all that is read of a request.
"""

import asyncio
import pickle
import sys
from collections.abc import Mapping

import uvloop

from benchmarks.exchanges import Exchange


class Static(asyncio.Protocol):
    """One connection."""

    def __init__(self, answers: Mapping[int, bytes]) -> None:
        self._answers = answers
        self._got = 0
        self._body = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._body < 0:  # the generator writes a whole header section at once
            head, _, data = data.partition(b"\r\n\r\n")
            self._body = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            self._got = 0
        self._got += len(data)
        if self._got >= self._body:
            self._transport.write(self._answers[self._body])
            self._body = -1


async def serve(port: int, exchanges: list[Exchange]) -> None:
    """Until the process is ended."""
    answers: dict[int, bytes] = {}
    for exchange in exchanges:
        assert len(exchange.body) not in answers, "two pictures of one length"
        body = min(exchange.answers)
        answers[len(exchange.body)] = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    server = await asyncio.get_running_loop().create_server(lambda: Static(answers), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), pickle.load(sys.stdin.buffer)))
