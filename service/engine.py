"""What runs a request: its chain of steps on the cores of the machine, its networks wherever they live.

A chain is a generator. Between its `yield`s it does the photo work of the request in an executor's thread; it yields
what it wants of a network, or work that may be done side by side, and is sent the results. On a CPU the network runs in
the same thread, so that a request changes threads once on its way in and once on its way out; on a GPU the rows wait in
the network's lane while the executor turns to another request.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Condition, Lock
from typing import Any, Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from service import policy
from service.batching import Job, Lane, LaneObserver, Unobserved
from service.cancellation import Cancellation
from service.errors import ClientClosed, DeadlineExceeded, Draining, Overloaded
from service.models import Model, Row
from service.policy import Costs, Priority, Ticket

T = TypeVar("T")

RowLane = Lane[Row, NDArray[np.generic]]


@dataclass(frozen=True)
class Served:
    """A model, and the lane that leads to it; None where it runs on the cores, within the chains themselves."""

    model: Model
    lane: RowLane | None = None

    @property
    def label(self) -> str:
        """name/version."""
        return f"{self.model.name}/{self.model.version}"


@dataclass(frozen=True)
class Run:
    """Wanted: one output of the network for each row."""

    served: Served
    rows: Sequence[Row]


@dataclass(frozen=True)
class Fork:
    """Wanted: what each function returns or raises; they may run side by side."""

    functions: Sequence[Callable[[], Any]]


Chain = Generator[Run | Fork, list[Any], T]


@dataclass(eq=False)
class _Task(Generic[T]):
    """A chain on its way."""

    chain: Chain[T]
    kind: str
    ticket: Ticket
    cancellation: Cancellation
    future: Future[T] = field(default_factory=Future)
    spent: float = 0.0  # executor seconds


Step = Callable[[], None]


class Engine:
    """The cores and what is known of the costs of requests."""

    def __init__(self, *, executors: int, capacity: int, observer: LaneObserver | None = None) -> None:
        """At most `capacity` requests wait for one of the `executors`."""
        self._observer = observer or Unobserved()
        self._cores: Lane[Step, None] = Lane(
            "cpu",
            _call,
            costs=Costs({1: 1.0}),  # chains are never run together; what one costs is in its ticket
            capacity=capacity,
            executors=executors,
            observer=self._observer,
        )
        self._costs: dict[str, float] = {}
        self._active = 0
        self._finished = Condition()
        self._closing = False

    # From the outside

    def admit(self, kind: str, budget: float, *, lanes: Sequence[RowLane | None] = (), bulk: bool = False) -> None:
        """Before a request's body is read: Overloaded if an answer within `budget` seconds cannot be expected."""
        if self._closing:
            self._observer.shed("draining")
            raise Draining("the service is shutting down")
        priority = Priority.BULK if bulk else Priority.INTERACTIVE
        wait = self._cores.predicted_wait(priority)
        wait += max((lane.predicted_wait(Priority.BEGUN) for lane in lanes if lane), default=0.0)
        cost = self.cost(kind)
        if policy.refuses(wait, cost, budget):
            self._observer.shed("predicted-wait")
            raise Overloaded(
                f"{1000 * wait:.0f} milliseconds of work wait already",
                retry_after=policy.retry_after(wait, cost, budget),
            )

    def cost(self, kind: str) -> float:
        """Executor seconds that a request of this kind took lately; 0 before the first."""
        return self._costs.get(kind, 0.0)

    @property
    def predicted_wait(self) -> float:
        """Seconds until a request that comes now would start."""
        return self._cores.predicted_wait()

    def submit(
        self, chain: Chain[T], kind: str, cancellation: Cancellation, *, key: str = "", bulk: bool = False
    ) -> Future[T]:
        """The future of what the chain returns or raises.

        Raises Overloaded or Draining; the future may get ClientClosed and DeadlineExceeded too.
        """
        priority = Priority.BULK if bulk else Priority.INTERACTIVE
        now = time.monotonic()
        if math.isfinite(cancellation.deadline):
            self.admit(kind, cancellation.deadline - now, bulk=bulk)
        ticket = Ticket(now, self.cost(kind), cancellation.deadline, priority, key)
        task = _Task(chain, kind, ticket, cancellation)
        with self._finished:
            self._active += 1
        task.future.add_done_callback(self._note_end)
        try:
            self._enqueue(task, lambda: self._advance(task, None), ticket)
        except BaseException as error:
            task.future.set_exception(error)
            raise
        return task.future

    def close(self) -> None:
        """Finish every request that was let in, refuse what comes, let the threads go. Blocks."""
        self._closing = True
        with self._finished:
            self._finished.wait_for(lambda: self._active == 0)
        self._cores.close()

    def _note_end(self, _: Future[Any]) -> None:
        with self._finished:
            self._active -= 1
            self._finished.notify_all()

    # In the executors' threads

    def _enqueue(self, task: _Task[Any], step: Step, ticket: Ticket) -> None:
        """Run the step when its turn comes; the task fails if the step is let go before."""
        job = self._cores.submit(step, ticket, task.cancellation)
        job.future.add_done_callback(lambda future: _fail(task, future.exception()))

    def _begun(self, task: _Task[Any]) -> Ticket:
        """A ticket for the rest of a task, most of which is done."""
        ticket = task.ticket
        return Ticket(time.monotonic(), max(0.0, ticket.cost - task.spent), ticket.deadline, Priority.BEGUN, ticket.key)

    def _advance(self, task: _Task[Any], results: list[Any] | None) -> None:
        """Run the chain until it ends or has to wait for others."""
        started = time.monotonic()
        try:
            while True:
                task.cancellation.check()
                wanted = task.chain.send(cast(list[Any], results))
                if isinstance(wanted, Fork):
                    if not self._can_fork(wanted):
                        results = [_outcome(function) for function in wanted.functions]
                        continue
                    self._account(task, started)
                    self._fork(task, wanted)
                    return
                if wanted.served.lane is not None:
                    self._account(task, started)
                    self._send_away(task, wanted)
                    return
                results = self._run_here(task, wanted)
        except StopIteration as end:
            self._account(task, started)
            self._learn(task, finished=True)
            task.future.set_result(end.value)
        except Exception as error:
            self._account(task, started)
            self._note_loss(task, error)
            _fail(task, error)

    def _run_here(self, task: _Task[Any], wanted: Run) -> list[Any]:
        """The network in this thread, on this core or, if nobody else wants them, on all of them."""
        model, results, rows = wanted.served.model, list[Any](), list(wanted.rows)
        while rows:
            size = policy.batch(len(rows), model.costs)
            wide = size == 1 and self._cores.alone(model.costs)
            started = time.monotonic()
            results += model.run(rows[:size], wide=wide, cancellation=task.cancellation)
            self._observer.ran(model.name, size, size, time.monotonic() - started)
            rows = rows[size:]
            task.cancellation.check()
        return results

    def _send_away(self, task: _Task[Any], wanted: Run) -> None:
        """The rows into the network's lane; the chain goes on when the last one is back."""
        lane = cast(RowLane, wanted.served.lane)
        ticket = Ticket(time.monotonic(), lane.costs.row, task.ticket.deadline, task.ticket.priority, task.ticket.key)
        jobs = [lane.submit(row, ticket, task.cancellation) for row in wanted.rows]
        gathered = _Countdown(len(jobs), lambda: self._resume(task, [job.future for job in jobs]))
        for job in jobs:
            job.future.add_done_callback(gathered)

    def _resume(self, task: _Task[Any], futures: Sequence[Future[Any]]) -> None:
        error = next((future.exception() for future in futures if future.exception()), None)
        if error is not None:
            _fail(task, error)
            return
        results = [future.result() for future in futures]
        self._enqueue(task, lambda: self._advance(task, results), self._begun(task))

    def _can_fork(self, wanted: Fork) -> bool:
        return len(wanted.functions) > 1 and self._cores.idle > 0

    def _fork(self, task: _Task[Any], wanted: Fork) -> None:
        """The functions side by side, the first one in this thread; whoever is last goes on with the chain."""
        outcomes: list[Any] = [None] * len(wanted.functions)
        finished = _Countdown(len(outcomes), lambda: self._advance(task, outcomes))

        def part(index: int, function: Callable[[], Any]) -> None:
            started = time.monotonic()
            outcomes[index] = _outcome(function)
            self._account(task, started)
            finished()

        others = list(enumerate(wanted.functions))[1:]
        for index, function in others:
            self._enqueue(task, partial(part, index, function), self._begun(task))
        part(0, wanted.functions[0])

    def _account(self, task: _Task[Any], started: float) -> None:
        seconds = time.monotonic() - started
        wasted = min(seconds, task.cancellation.wasted(started))
        task.spent += seconds
        self._observer.worked(seconds - wasted, False)
        if wasted:
            self._observer.worked(wasted, True)

    def _learn(self, task: _Task[Any], finished: bool) -> None:
        self._costs[task.kind] = policy.learnt(self._costs.get(task.kind), task.spent, finished)

    def _note_loss(self, task: _Task[Any], error: BaseException) -> None:
        if isinstance(error, ClientClosed):
            self._observer.cancelled(task.cancellation.stage)
        elif isinstance(error, DeadlineExceeded):
            self._learn(task, finished=False)
            self._observer.expired(task.cancellation.stage)


def row_lane(model: Model, *, capacity: int, observer: LaneObserver | None = None) -> RowLane:
    """A lane in front of a network that lives on a device of its own."""

    def run(jobs: Sequence[Job[Row, NDArray[np.generic]]]) -> Sequence[NDArray[np.generic]]:
        started = time.monotonic()
        results = model.run([job.item for job in jobs])
        if observer is not None:
            bucket = min(size for size in model.costs.seconds if size >= len(jobs))
            observer.ran(model.name, len(jobs), bucket, time.monotonic() - started)
        return results

    return Lane(model.name, run, costs=model.costs, capacity=capacity, observer=observer)


class _Countdown:
    """Calls `then` in the thread of the last of `count` calls."""

    def __init__(self, count: int, then: Callable[[], None]) -> None:
        self._left = count
        self._then = then
        self._lock = Lock()

    def __call__(self, _: object = None) -> None:
        with self._lock:
            self._left -= 1
            last = self._left == 0
        if last:
            self._then()


def _call(jobs: Sequence[Job[Step, None]]) -> list[None]:
    for job in jobs:
        job.item()
    return [None] * len(jobs)


def _outcome(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Exception as error:
        return error


def _fail(task: _Task[Any], error: BaseException | None) -> None:
    """Once; a chain that is not needed any more is closed, which releases what it holds."""
    if error is not None:
        task.chain.close()
        with suppress(InvalidStateError):  # a fork's parts may be let go at the same moment
            task.future.set_exception(error)
