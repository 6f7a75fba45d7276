"""service.acceptor: processes share the connections of one socket."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import pytest
import uvloop

from service import acceptor
from service.acceptor import Acceptor, Loads

PATIENCE = 0.05


class Counted(asyncio.Protocol):
    """A connection that does nothing."""

    def __init__(self, made: list["Counted"]) -> None:
        self._made = made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._made.append(self)


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "PATIENCE", PATIENCE)


@asynccontextmanager
async def accepting(before: int) -> AsyncIterator[tuple[socket.socket, list[Counted], Acceptor]]:
    """An acceptor that has `before` connections from elsewhere, beside a process that has one less, or none."""
    made: list[Counted] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taking = Acceptor(
            listener, lambda: Counted(made), lambda: before + len(made), Loads([0, max(0, before - 1)], 0)
        )
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
                await asyncio.sleep(PATIENCE / 5)
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
    monkeypatch.setattr(acceptor, "PATIENCE", 3600)

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
                await asyncio.sleep(PATIENCE / 5)
                taking.close()
                await asyncio.sleep(2 * PATIENCE)
                assert not made and not taking.is_serving()
                listener.accept()[0].close()

    uvloop.run(scene())


def test_who_has_more_leaves_what_waits_to_others() -> None:
    """Of two acceptors that know of each other, the one with connections gets none before the other has as many."""

    async def scene() -> None:
        shared, made = [0, 0], list[Counted]()
        with socket.create_server(("127.0.0.1", 0)) as first, first.dup() as second, ExitStack() as clients:
            taking = [
                Acceptor(first, lambda: Counted([]), lambda: 3, Loads(shared, 0)),
                Acceptor(second, lambda: Counted(made), lambda: len(made), Loads(shared, 1)),
            ]
            for _ in range(3):
                clients.enter_context(socket.create_connection(first.getsockname()))
            await until(made, 3)
            for each in taking:
                each.close()
                await each.wait_closed()
            assert shared == [Loads.AWAY, Loads.AWAY]
            for each in made:
                each.transport.close()

    uvloop.run(scene())
