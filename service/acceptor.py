"""How several processes that listen on one socket share its connections.

The kernel wakes all of them for each new connection, and whoever is first takes it: often one takes two while another
has none, and a client that keeps its connection stays where it is. So each process says how much it has to do where all
of them can read it, and takes what waits if no other has less.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, MutableSequence

LOOK_AGAIN = 0.002
"""Seconds until who left a connection to another process looks whether it still waits."""
PATIENCE = 0.05
"""Seconds after which it takes it itself: the other one may hang."""
EXHAUSTED = 1.0
"""Seconds until the next try where the process may not open more files."""


class Loads:
    """How much each of several processes has to do: connections and requests, in memory that they share."""

    AWAY = 2**31 - 1
    """Of a process that takes no connections."""

    def __init__(self, shared: MutableSequence[int], own: int) -> None:
        """`shared` has a place for each process; `own` is this one's."""
        self._shared = shared
        self._own = own

    def publish(self, load: int) -> None:
        """What this process has to do now."""
        self._shared[self._own] = load

    @property
    def least_of_others(self) -> int:
        """AWAY if nobody else takes connections."""
        others = (load for place, load in enumerate(self._shared) if place != self._own)
        return min(others, default=self.AWAY)


class Acceptor:
    """Takes connections from a socket that listens, and serves each with a protocol that `make` gives."""

    def __init__(
        self, listener: socket.socket, make: Callable[[], asyncio.Protocol], load: Callable[[], int], loads: Loads
    ) -> None:
        """`load`: connections and requests that this process has now. To be made where the event loop runs."""
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._make = make
        self._load = load
        self._loads = loads
        self._first_look = self._last_look = 0.0
        self._turn: asyncio.TimerHandle | None = None
        self._arrivals: set[asyncio.Task[object]] = set()
        self._serving = True
        listener.setblocking(False)
        self.publish()
        self._watch()

    def is_serving(self) -> bool:
        """Whether it still takes connections."""
        return self._serving

    def close(self) -> None:
        """Take no more; the listener is its owner's to close."""
        if self._serving:
            self._serving = False
            self._loads.publish(Loads.AWAY)
            self._loop.remove_reader(self._listener)
            if self._turn is not None:
                self._turn.cancel()

    async def wait_closed(self) -> None:
        """Until what was taken has its protocol."""
        await asyncio.gather(*self._arrivals, return_exceptions=True)

    def _watch(self) -> None:
        self._loop.add_reader(self._listener, self._look)

    def publish(self) -> None:
        """Tell the others how much there is to do here, as what they know grows old."""
        if self._serving:
            self._loads.publish(self._load() + len(self._arrivals))

    def _look(self) -> None:
        """A connection waits: who has least to do takes it."""
        self.publish()
        if not self._leaves_it():
            self._accept()
            self.publish()
            return
        self._loop.remove_reader(self._listener)
        self._turn = self._loop.call_later(LOOK_AGAIN, self._resume)

    def _leaves_it(self) -> bool:
        """Whether another process has less to do, and has not let the connection wait for too long."""
        if self._loads.least_of_others >= self._load() + len(self._arrivals):
            return False
        now = self._loop.time()
        if now > self._last_look + 2 * LOOK_AGAIN:
            self._first_look = now
        self._last_look = now
        return now < self._first_look + PATIENCE

    def _resume(self) -> None:
        self._turn = None
        self._watch()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # somebody else has it, or it has gone
        except OSError:
            self._loop.remove_reader(self._listener)
            self._turn = self._loop.call_later(EXHAUSTED, self._resume)
            return
        connection.setblocking(False)
        arrival = self._loop.create_task(self._loop.connect_accepted_socket(self._make, connection))
        self._arrivals.add(arrival)
        arrival.add_done_callback(self._arrived)

    def _arrived(self, arrival: asyncio.Task[object]) -> None:
        self._arrivals.discard(arrival)
        arrival.exception()  # a client that went away in between is no news
