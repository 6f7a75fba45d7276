"""Between requests and devices: lanes, whose executors take the work that is due next as soon as they are free.

A lane knows nothing of HTTP, photos or ONNX; which work is due, how much of it together and what is refused is decided
by `policy`. All methods may be called from any thread.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import Generic, Protocol, TypeVar

from service import policy
from service.cancellation import Cancellation
from service.errors import ClientClosed, DeadlineExceeded, Draining, LikenessError, Overloaded
from service.policy import Costs, Priority, Ticket

Item = TypeVar("Item")
Result = TypeVar("Result")

ARRIVAL_MEMORY = 0.9  # weight of the past in the running mean of the time between two arrivals


class LaneObserver(Protocol):
    """Who is told what happens in a lane; called from any thread."""

    def queued(self, lane: str, depth: int, wait: float) -> None:
        """The queue changed: rows waiting, predicted seconds until new interactive work would start."""

    def waited(self, lane: str, priority: str, seconds: float) -> None:
        """A row left the queue to be run."""

    def ran(self, lane: str, rows: int, bucket: int, seconds: float) -> None:
        """One run of a model: rows that were wanted, rows that were run."""

    def shed(self, reason: str) -> None:
        """Work was refused at arrival."""

    def cancelled(self, stage: str) -> None:
        """Work was let go because its client had left."""

    def expired(self, stage: str) -> None:
        """Work was let go because its deadline had passed."""

    def worked(self, seconds: float, wasted: bool) -> None:
        """An executor spent seconds on a request; wasted: after its client had left."""


class Unobserved:
    """Nobody is told."""

    def queued(self, lane: str, depth: int, wait: float) -> None: ...
    def waited(self, lane: str, priority: str, seconds: float) -> None: ...
    def ran(self, lane: str, rows: int, bucket: int, seconds: float) -> None: ...
    def shed(self, reason: str) -> None: ...
    def cancelled(self, stage: str) -> None: ...
    def expired(self, stage: str) -> None: ...
    def worked(self, seconds: float, wasted: bool) -> None: ...


@dataclass(eq=False)
class Job(Generic[Item, Result]):
    """An item in a lane, and where its result goes."""

    item: Item
    ticket: Ticket
    cancellation: Cancellation
    future: Future[Result] = field(default_factory=Future)

    @property
    def is_dead(self) -> bool:
        """Whether its result is not wanted any more."""
        now = time.monotonic()
        late = now > self.cancellation.deadline or policy.hopeless(self.ticket, now)
        return self.cancellation.cancelled or late


class _Bell:
    """Wakes one sleeping thread, once for each ring."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """The thread that waits, or will wait next, goes on."""
        self._lock.release()

    def wait(self, seconds: float | None) -> bool:
        """Whether it rang before `seconds` were over; None: as long as it takes."""
        return self._lock.acquire(timeout=-1 if seconds is None else seconds)


class Lane(Generic[Item, Result]):
    """The queue in front of one device and the threads that run it.

    An executor that is free takes the batch that is due; nothing waits for a window to pass or is polled. What was
    cancelled or has expired is dropped when it is seen, never run.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[Sequence[Job[Item, Result]]], Sequence[Result]],
        *,
        costs: Costs,
        capacity: int,
        executors: int = 1,
        observer: LaneObserver | None = None,
    ) -> None:
        """`run` gets 1..max(costs.seconds) jobs in an executor's thread and returns as many results in their order."""
        self.name = name
        self.costs = costs
        self.executors = executors
        self._run = run
        self._capacity = capacity
        self._observer = observer or Unobserved()
        self._queue: list[Job[Item, Result]] = []
        self._running: dict[int, float] = {}  # executor -> when it will be free, as predicted
        self._company = -math.inf  # when two of them were last busy at a time
        self._served: dict[str, float] = {}
        self._gap = 0.0  # mean seconds between two arrivals
        self._last_arrival = 0.0
        self._closing = False
        self._lock = Lock()
        self._bells = [_Bell() for _ in range(executors)]
        self._asleep: list[_Bell] = []
        self._threads = [
            Thread(target=self._serve, args=(number,), name=f"{name}-{number}", daemon=True)
            for number in range(executors)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, item: Item, ticket: Ticket, cancellation: Cancellation) -> Job[Item, Result]:
        """Queue the item. Raises Overloaded if the queue is full and Draining after `close`.

        The job's future gets the result, what the device raised, ClientClosed or DeadlineExceeded. What was begun is
        always let in: turning it away would waste what was spent on it.
        """
        job = Job[Item, Result](item, ticket, cancellation)
        with self._lock:
            if ticket.priority is not Priority.BEGUN:
                self._refuse_if_full(ticket)
            self._note_arrival(ticket.arrived)
            self._queue.append(job)
            self._report()
            bell = self._asleep.pop() if self._asleep else None  # who slept last: what it needs is still in its cache
        if bell:
            bell.ring()
        return job

    def predicted_wait(self, priority: Priority = Priority.INTERACTIVE) -> float:
        """Seconds until work that comes now would start."""
        with self._lock:
            return self._wait(priority)

    def alone(self, costs: Costs) -> bool:
        """Asked by work that runs in one of the executors: may it use every core for one row?"""
        with self._lock:
            idle = self.executors - len(self._running)
            calm = time.monotonic() - self._company
            return policy.wide(idle, self.executors, len(self._queue), calm, costs)

    @property
    def idle(self) -> int:
        """Executors that would start new work at once."""
        with self._lock:
            return max(0, self.executors - len(self._running) - len(self._queue))

    def close(self) -> None:
        """Finish what is in the queue, refuse what comes, let the threads go. Blocks."""
        with self._lock:
            self._closing = True
            asleep, self._asleep = self._asleep, []
        for bell in asleep:
            bell.ring()
        for thread in self._threads:
            thread.join()

    def _refuse_if_full(self, ticket: Ticket) -> None:
        if self._closing:
            self._observer.shed("draining")
            raise Draining("the service is shutting down")
        if len(self._queue) >= self._capacity and sum(not job.is_dead for job in self._queue) >= self._capacity:
            self._observer.shed("queue-full")
            wait = self._wait(ticket.priority)
            raise Overloaded(f"{len(self._queue)} wait for {self.name}", retry_after=policy.retry_after(wait, 0, 0))

    def _note_arrival(self, now: float) -> None:
        if self._last_arrival:
            self._gap = ARRIVAL_MEMORY * self._gap + (1 - ARRIVAL_MEMORY) * max(0.0, now - self._last_arrival)
        self._last_arrival = now

    def _note_company(self) -> None:
        if len(self._running) > 1:
            self._company = time.monotonic()

    def _wait(self, priority: Priority) -> float:
        now = time.monotonic()
        ahead = [job.ticket for job in self._queue if not job.is_dead]
        return policy.predicted_wait(
            ahead, [max(0.0, free - now) for free in self._running.values()], self.executors, priority
        )

    def _report(self) -> None:
        self._observer.queued(self.name, len(self._queue), self._wait(Priority.INTERACTIVE))

    # In the executors' threads

    def _serve(self, number: int) -> None:
        while jobs := self._next(number):
            self._execute(jobs)
            with self._lock:
                self._note_company()
                del self._running[number]
                self._report()

    def _next(self, number: int) -> list[Job[Item, Result]]:
        """The batch that is due, once there is one; empty when the lane is closed and drained."""
        while True:
            with self._lock:
                dead, patience = self._sweep(), self._patience()
                if self._queue and not dead and not patience:
                    due = self._due()
                    self._start(number, due)
                    return due
                if not dead:
                    if self._closing and not self._queue:
                        return []
                    self._asleep.append(self._bells[number])
            for job in dead:  # out of the lock: a future runs its callbacks here
                self._let_go(job)
            if not dead:
                self._sleep(self._bells[number], patience)

    def _sleep(self, bell: _Bell, seconds: float) -> None:
        """Until the bell rings, or `seconds` are over if they are not 0."""
        if not bell.wait(seconds or None):
            with self._lock:
                if bell in self._asleep:
                    self._asleep.remove(bell)
                    return
            bell.wait(None)  # it is being rung

    def _sweep(self) -> list[Job[Item, Result]]:
        """Take the dead out of the queue."""
        dead = [job for job in self._queue if job.is_dead]
        if dead:
            self._queue = [job for job in self._queue if job not in dead]
            self._report()
        return dead

    def _due(self) -> list[Job[Item, Result]]:
        """Take the next batch out of the queue."""
        indices = policy.order([job.ticket for job in self._queue], self._served)
        due = [self._queue[index] for index in indices[: policy.batch(len(indices), self.costs)]]
        self._queue = [job for job in self._queue if job not in due]
        return due

    def _patience(self) -> float:
        """Seconds, counted from the last arrival, that waiting for one more row still pays; 0: none."""
        if len(self.costs.seconds) == 1 or not self._queue or not self._gap or self._closing:
            return 0.0
        worth = policy.patience(len(self._queue), 1 / self._gap, self.costs)
        return max(0.0, self._last_arrival + worth - time.monotonic())

    def _start(self, number: int, jobs: Sequence[Job[Item, Result]]) -> None:
        now = time.monotonic()
        self._running[number] = now + sum(job.ticket.cost for job in jobs)  # costs of rows are those of full batches
        self._note_company()
        for job in jobs:
            self._served = policy.charge(self._served, job.ticket, {each.ticket.key for each in self._queue})
            self._observer.waited(self.name, job.ticket.priority.name.lower(), now - job.ticket.arrived)
        self._report()

    def _execute(self, jobs: Sequence[Job[Item, Result]]) -> None:
        """Run one batch and hand out what came of it; if it fails, each row is tried alone."""
        try:
            outcomes = list(zip(jobs, self._run(jobs), strict=True))
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].future.set_exception(error)
            else:
                for job in jobs:
                    self._execute([job])
            return
        for job, result in outcomes:
            job.future.set_result(result)

    def _let_go(self, job: Job[Item, Result]) -> None:
        error: LikenessError
        if job.cancellation.cancelled:
            self._observer.cancelled(job.cancellation.stage)
            error = ClientClosed("the client went away")
        else:
            self._observer.expired(job.cancellation.stage)
            error = DeadlineExceeded(f"waited too long for {self.name}")
        job.future.set_exception(error)
