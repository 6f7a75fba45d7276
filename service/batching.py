"""Between requests and a model: a bounded queue that one thread empties in batches.

A lane knows nothing of HTTP, photos or ONNX. A scheduler of another kind goes here, behind `Lane.submit`.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from service.errors import DeadlineExceeded, Draining, Overloaded

Row = TypeVar("Row")
Result = TypeVar("Result")


class LaneObserver(Protocol):
    """Who is told what happens in a lane."""

    def queued(self, lane: str, depth: int) -> None:
        """The number of waiting rows changed."""

    def waited(self, lane: str, seconds: float) -> None:
        """A row left the queue to be run."""

    def ran(self, lane: str, rows: int, seconds: float) -> None:
        """A batch was run."""


class Unobserved:
    """Nobody is told."""

    def queued(self, lane: str, depth: int) -> None: ...
    def waited(self, lane: str, seconds: float) -> None: ...
    def ran(self, lane: str, rows: int, seconds: float) -> None: ...


@dataclass(eq=False)
class _Job(Generic[Row, Result]):
    row: Row
    deadline: float  # of time.monotonic()
    future: asyncio.Future[Result]
    arrived: float = field(default_factory=time.monotonic)


class Lane(Generic[Row, Result]):
    """One model's queue and the one thread that runs it.

    The thread takes what waits, up to `max_batch` rows, as soon as it is free: nothing waits for a batch to fill.
    Rows whose client has gone or whose deadline has passed are skipped. Must be used from one event loop.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[Sequence[Row]], Sequence[Result]],
        *,
        capacity: int,
        max_batch: int,
        observer: LaneObserver | None = None,
    ) -> None:
        """`run` gets 1..max_batch rows in the lane's thread and returns as many results in the same order."""
        self.name = name
        self._run = run
        self._capacity = capacity
        self._max_batch = max_batch
        self._observer = observer or Unobserved()
        self._queue: deque[_Job[Row, Result]] = deque()
        self._arrival = asyncio.Event()
        self._closing = False
        self._seconds_per_row = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"lane-{name}")
        self._owner = asyncio.create_task(self._serve(), name=f"lane-{name}")

    async def submit(self, rows: Sequence[Row], *, seconds: float = math.inf) -> list[Result]:
        """The results of `rows`, which are admitted all or none; they may be run in different batches.

        Raises Overloaded if they do not fit the queue, DeadlineExceeded if they waited longer than `seconds`,
        Draining after `close`, or whatever the model raised. Cancelling the call withdraws what still waits.
        """
        if self._closing:
            raise Draining("the service is shutting down")
        if len(self._queue) + len(rows) > self._capacity:
            self._queue = deque(job for job in self._queue if not job.future.done())
        if len(self._queue) + len(rows) > self._capacity:
            raise Overloaded(f"{self.name} has {len(self._queue)} faces waiting", retry_after=self._predicted_wait())
        loop = asyncio.get_running_loop()
        jobs = [_Job[Row, Result](row, time.monotonic() + seconds, loop.create_future()) for row in rows]
        self._queue.extend(jobs)
        self._observer.queued(self.name, len(self._queue))
        self._arrival.set()
        try:
            return await asyncio.gather(*(job.future for job in jobs))
        finally:
            for job in jobs:  # one failed or the caller has gone: nobody wants the rest
                job.future.cancel()

    async def close(self) -> None:
        """Finish what was admitted, refuse what comes, and let the thread go."""
        self._closing = True
        self._arrival.set()
        await self._owner
        self._thread.shutdown()

    async def _serve(self) -> None:
        while True:
            if jobs := self._take():
                await self._settle(jobs)
            elif self._closing:
                return
            else:
                self._arrival.clear()
                await self._arrival.wait()

    def _take(self) -> list[_Job[Row, Result]]:
        """The next batch: the oldest rows that somebody still waits for."""
        jobs: list[_Job[Row, Result]] = []
        now = time.monotonic()
        while self._queue and len(jobs) < self._max_batch:
            job = self._queue.popleft()
            if job.future.done():
                continue
            if now > job.deadline:
                job.future.set_exception(DeadlineExceeded(f"waited too long for {self.name}"))
                continue
            self._observer.waited(self.name, now - job.arrived)
            jobs.append(job)
        self._observer.queued(self.name, len(self._queue))
        return jobs

    async def _settle(self, jobs: Sequence[_Job[Row, Result]]) -> None:
        """Run one batch and hand out what came of it; if it fails, each row is tried alone."""
        started = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(self._thread, self._run, [job.row for job in jobs])
            outcomes = list(zip(jobs, results, strict=True))
        except Exception as error:
            if len(jobs) > 1:
                for job in jobs:
                    await self._settle([job])
            elif not jobs[0].future.done():
                jobs[0].future.set_exception(error)
            return
        for job, result in outcomes:
            if not job.future.done():  # its client may have gone while the batch ran
                job.future.set_result(result)
        self._learn(len(jobs), time.monotonic() - started)

    def _learn(self, rows: int, seconds: float) -> None:
        """A running mean of what a row costs, for Retry-After."""
        self._observer.ran(self.name, rows, seconds)
        cost = seconds / rows
        self._seconds_per_row = cost if not self._seconds_per_row else 0.9 * self._seconds_per_row + 0.1 * cost

    def _predicted_wait(self) -> int:
        """Whole seconds, at least one, until what waits now is done."""
        return max(1, math.ceil(len(self._queue) * self._seconds_per_row))


class Admission:
    """At most `limit` requests at a time: what bounds the memory of bodies and decoded pictures."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inside = 0

    def __enter__(self) -> Self:
        if self._inside >= self._limit:
            raise Overloaded(f"{self._inside} requests are in flight")
        self._inside += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside -= 1
