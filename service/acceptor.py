"""How several processes that listen on one socket share its connections.

The kernel wakes all of them for each new connection, and whoever is first takes it: often one takes two while another
has none, and a client that keeps its connection stays where it is. So who has much to do lets others go first.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

HEAD_START = 0.002
"""Seconds that others get for each connection or request that is here: a busy machine is slow to wake them."""
MOST = 0.004
"""At most; it is also what a new connection costs where all have much."""
EXHAUSTED = 1.0
"""Seconds until the next try where the process may not open more files."""


class Acceptor:
    """Takes connections from a socket that listens, and serves each with a protocol that `make` gives."""

    def __init__(self, listener: socket.socket, make: Callable[[], asyncio.Protocol], load: Callable[[], int]) -> None:
        """`load`: connections and requests that this process has now. To be made where the event loop runs."""
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._make = make
        self._load = load
        self._turn: asyncio.TimerHandle | None = None
        self._arrivals: set[asyncio.Task[object]] = set()
        self._serving = True
        listener.setblocking(False)
        self._watch()

    def is_serving(self) -> bool:
        """Whether it still takes connections."""
        return self._serving

    def close(self) -> None:
        """Take no more; the listener is its owner's to close."""
        if self._serving:
            self._serving = False
            self._loop.remove_reader(self._listener)
            if self._turn is not None:
                self._turn.cancel()

    async def wait_closed(self) -> None:
        """Until what was taken has its protocol."""
        await asyncio.gather(*self._arrivals, return_exceptions=True)

    def _watch(self) -> None:
        self._loop.add_reader(self._listener, self._step_back)

    def _step_back(self) -> None:
        """A connection waits: who has fewer takes it."""
        head_start = min(HEAD_START * (self._load() + len(self._arrivals)), MOST)
        if not head_start:
            self._accept()
            return
        self._loop.remove_reader(self._listener)
        self._turn = self._loop.call_later(head_start, self._take)

    def _take(self) -> None:
        self._turn = None
        self._watch()
        self._accept()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # somebody else has it, or it has gone
        except OSError:
            self._loop.remove_reader(self._listener)
            self._turn = self._loop.call_later(EXHAUSTED, self._take)
            return
        connection.setblocking(False)
        arrival = self._loop.create_task(self._loop.connect_accepted_socket(self._make, connection))
        self._arrivals.add(arrival)
        arrival.add_done_callback(self._arrived)

    def _arrived(self, arrival: asyncio.Task[object]) -> None:
        self._arrivals.discard(arrival)
        arrival.exception()  # a client that went away in between is no news
