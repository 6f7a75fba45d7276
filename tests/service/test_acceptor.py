"""service.acceptor: processes share the connections of one socket."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop

from service import acceptor
from service.acceptor import Acceptor

HEAD_START = 0.05


class Counted(asyncio.Protocol):
    """A connection that does nothing."""

    def __init__(self, made: list["Counted"]) -> None:
        self._made = made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._made.append(self)


@pytest.fixture(autouse=True)
def _long_head_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "HEAD_START", HEAD_START)
    monkeypatch.setattr(acceptor, "MOST", HEAD_START)


@asynccontextmanager
async def accepting(before: int) -> AsyncIterator[tuple[socket.socket, list[Counted], Acceptor]]:
    """An acceptor that has `before` connections from elsewhere."""
    made: list[Counted] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taking = Acceptor(listener, lambda: Counted(made), lambda: before + len(made))
        try:
            yield listener, made, taking
        finally:
            taking.close()
            await taking.wait_closed()
            for each in made:
                each.transport.close()


async def until(made: list[Counted], count: int) -> None:
    """Wait for so many connections."""
    async with asyncio.timeout(5):
        while len(made) < count:
            await asyncio.sleep(0.001)


def test_who_has_connections_lets_others_go_first() -> None:
    """Another process may take what waits; if nobody does, it is taken after all, and so is the next one."""

    async def scene() -> None:
        async with accepting(before=1) as (listener, made, _):
            with socket.create_connection(listener.getsockname()), socket.create_connection(listener.getsockname()):
                await asyncio.sleep(HEAD_START / 5)
                assert not made
                other, _ = listener.accept()
                other.close()
                await until(made, 1)
            with socket.create_connection(listener.getsockname()):
                await until(made, 2)

    uvloop.run(scene())


def test_who_idles_takes_one_of_two() -> None:
    """Two that wait at once are not both for who wakes first."""

    async def scene() -> None:
        async with accepting(before=0) as (listener, made, _):
            with socket.create_connection(listener.getsockname()), socket.create_connection(listener.getsockname()):
                await until(made, 1)
                assert len(made) == 1
                listener.accept()[0].close()

    uvloop.run(scene())


def test_who_has_none_takes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that idles does not wait."""
    monkeypatch.setattr(acceptor, "HEAD_START", 3600)
    monkeypatch.setattr(acceptor, "MOST", 3600)

    async def scene() -> None:
        async with accepting(before=0) as (listener, made, _):
            with socket.create_connection(listener.getsockname()):
                await until(made, 1)

    uvloop.run(scene())


@pytest.mark.parametrize("waits", [False, True])
def test_a_closed_acceptor_takes_nothing(waits: bool) -> None:
    """Neither what comes after the end nor what was about to be taken; the listener stays its owner's."""

    async def scene() -> None:
        async with accepting(before=1) as (listener, made, taking):
            if not waits:
                taking.close()
            with socket.create_connection(listener.getsockname()):
                await asyncio.sleep(HEAD_START / 5)
                taking.close()
                await asyncio.sleep(2 * HEAD_START)
                assert not made and not taking.is_serving()
                listener.accept()[0].close()

    uvloop.run(scene())
