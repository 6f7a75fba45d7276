"""Work in bulk: the items of batches and jobs, which go to the engine a few at a time and never crowd it.

For one thread, the event loop's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from service.admission import Admission, Memory
from service.cancellation import Cancellation
from service.engine import Chain, Engine
from service.errors import DeadlineExceeded, Overloaded

T = TypeVar("T")


class Bulk:
    """Batches and jobs take turns, an item each, so that one with many items does not hold up one with few."""

    def __init__(self, engine: Engine, *, places: int, admission: Admission, memory: Memory) -> None:
        """At most `places` items of all batches and jobs together are with the engine."""
        self.admission = admission
        """How many batches may be read and worked on at a time."""
        self.memory = memory
        """What their bodies and drawings may take together."""
        self._engine = engine
        self._places = asyncio.Semaphore(places)

    async def run(
        self,
        count: int,
        begin: Callable[[int, Cancellation], Chain[T]],
        end: Callable[[int, T | Exception], None],
        *,
        kind: str,
        key: str,
        deadline: float,
    ) -> None:
        """Run the chains that `begin` gives for 0..count-1 and tell `end` what came of each.

        `begin` is called when an item's turn has come, and again if the engine had no room for it. What is not done at
        the `deadline`, a time of time.monotonic(), ends as DeadlineExceeded. A caller that is cancelled lets all that
        is not done go.
        """
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                if not await self._place(deadline):
                    end(number, DeadlineExceeded("the deadline passed before the item's turn came"))
                    continue
                task = group.create_task(self._item(number, begin, end, kind, key, deadline))
                task.add_done_callback(lambda _: self._places.release())  # even if it is cancelled before it starts

    async def _place(self, deadline: float) -> bool:
        """Whether there is a place in time; those who wait get theirs in the order in which they came."""
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await self._places.acquire()
        except TimeoutError:
            return False

    async def _item(
        self,
        number: int,
        begin: Callable[[int, Cancellation], Chain[T]],
        end: Callable[[int, T | Exception], None],
        kind: str,
        key: str,
        deadline: float,
    ) -> None:
        cancellation = Cancellation(deadline)
        try:
            outcome = await self._patiently(lambda: begin(number, cancellation), kind, cancellation, key)
        except asyncio.CancelledError:
            cancellation.cancel()
            raise
        except Exception as error:
            end(number, error)
        else:
            end(number, outcome)

    async def _patiently(self, begin: Callable[[], Chain[T]], kind: str, cancellation: Cancellation, key: str) -> T:
        """What the chain returns; while the engine has no room, nobody's, it is tried again."""
        while True:
            cancellation.check()
            try:
                return await on_loop(self._engine.submit(begin(), kind, cancellation, key=key, bulk=True))
            except Overloaded as error:
                if type(error) is not Overloaded:  # one that shuts down has no room later either
                    raise
                pause = min(error.retry_after, max(0.0, cancellation.deadline - time.monotonic()))
            await asyncio.sleep(pause)


def on_loop(future: Future[T]) -> asyncio.Future[T]:
    """What the future of other threads becomes, for this thread's event loop; cancelling it stops nothing."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[T] = loop.create_future()
    future.add_done_callback(lambda done: loop.call_soon_threadsafe(_settle, waiter, done))
    return waiter


def _settle(waiter: asyncio.Future[T], done: Future[T]) -> None:
    if waiter.done():
        return
    error = done.exception()
    if error is None:
        waiter.set_result(done.result())
    else:
        waiter.set_exception(error)
