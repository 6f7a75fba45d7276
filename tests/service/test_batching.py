"""service.batching: one client never hurts another, queues are bounded, stopping finishes what was admitted."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from service.batching import Job, Lane
from service.cancellation import Cancellation
from service.errors import ClientClosed, DeadlineExceeded, Draining, Overloaded
from service.policy import Costs, Priority, Ticket

BATCHES_PAY = Costs({1: 1.0, 2: 1.1, 4: 1.2})
ALONE = Costs({1: 1.0})


class Machine:
    """A model of numbers that doubles them, holds its batches until told to go, and remembers them."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.started = threading.Event()
        self.batches: list[list[int]] = []

    def run(self, jobs: Sequence[Job[int, int]]) -> list[int]:
        self.started.set()
        self.go.wait(10)
        rows = [job.item for job in jobs]
        self.batches.append(rows)
        if 13 in rows:
            raise ValueError("thirteen")
        return [2 * row for row in rows]


class Bench:
    """A lane around a machine whose executors are all busy with rows 0, and what was submitted behind them."""

    def __init__(self, costs: Costs, capacity: int, executors: int) -> None:
        self.machine = Machine()
        self.lane: Lane[int, int] = Lane("test", self.machine.run, costs=costs, capacity=capacity, executors=executors)
        self.first = [self.submit(0) for _ in range(executors)]
        while self.lane.idle or len(self.lane._running) < executors:
            time.sleep(0.001)

    def submit(
        self, row: int, *, priority: Priority = Priority.INTERACTIVE, deadline: float = float("inf"), key: str = ""
    ) -> Job[int, int]:
        now = time.monotonic()
        cancellation = Cancellation(deadline)
        return self.lane.submit(row, Ticket(now, 1.0, cancellation.deadline, priority, key), cancellation)


BenchMaker = Callable[..., Bench]


@pytest.fixture(name="bench")
def bench_() -> Iterator[BenchMaker]:
    """Makes benches and closes their lanes."""
    made: list[Bench] = []

    def make(costs: Costs = BATCHES_PAY, *, capacity: int = 100, executors: int = 1) -> Bench:
        made.append(Bench(costs, capacity, executors))
        return made[-1]

    yield make
    for each in made:
        each.machine.go.set()
        each.lane.close()


def test_a_cancelled_neighbour_hurts_nobody_while_it_waits(bench: BenchMaker) -> None:
    """Of three that wait for one batch the second goes away: the others get their own results, it is never run."""
    scene = bench()
    jobs = [scene.submit(row) for row in (1, 2, 3)]
    jobs[1].cancellation.cancel()
    scene.machine.go.set()
    assert [jobs[0].future.result(5), jobs[2].future.result(5)] == [2, 6]
    with pytest.raises(ClientClosed):
        jobs[1].future.result(5)
    assert scene.machine.batches == [[0], [1, 3]]


def test_a_cancelled_neighbour_hurts_nobody_while_it_runs(bench: BenchMaker) -> None:
    """A client that goes away while its batch runs changes nothing for the rest of the batch, nor for later ones."""
    scene = bench()
    scene.first[0].cancellation.cancel()
    after = [scene.submit(row) for row in (1, 2)]
    scene.machine.go.set()
    assert [job.future.result(5) for job in after] == [2, 4]


def test_batches_take_what_waits_up_to_the_largest_bucket(bench: BenchMaker) -> None:
    """The executor takes the rows that are due, never more than the largest bucket."""
    scene = bench()
    jobs = [scene.submit(row) for row in (1, 2, 3, 4, 5)]
    scene.machine.go.set()
    assert [job.future.result(5) for job in jobs] == [2, 4, 6, 8, 10]
    assert scene.machine.batches == [[0], [1, 2, 3, 4], [5]]


def test_where_batches_do_not_pay_every_row_runs_alone(bench: BenchMaker) -> None:
    """With a cost table of one row, executors run rows side by side and never together."""
    scene = bench(ALONE, executors=2)
    jobs = [scene.submit(row) for row in (1, 2, 3)]
    scene.machine.go.set()
    assert [job.future.result(5) for job in jobs] == [2, 4, 6]
    assert all(len(batch) == 1 for batch in scene.machine.batches)


def test_priority_goes_before_deadline_and_deadline_before_arrival(bench: BenchMaker) -> None:
    """What was begun runs first, then interactive work by deadline, then bulk, whatever came first."""
    scene = bench(ALONE)
    soon = time.monotonic() + 60
    jobs = [
        scene.submit(1, priority=Priority.BULK),
        scene.submit(2, deadline=soon + 60),
        scene.submit(3, deadline=soon),
        scene.submit(4, priority=Priority.BEGUN),
    ]
    scene.machine.go.set()
    for job in jobs:
        job.future.result(5)
    assert scene.machine.batches == [[0], [4], [3], [2], [1]]


def test_keys_take_turns(bench: BenchMaker) -> None:
    """One key with four requests and another with one: the other's is run second at the latest."""
    scene = bench(ALONE)
    jobs = [scene.submit(row, key="greedy") for row in (1, 2, 3, 4)] + [scene.submit(9, key="modest")]
    scene.machine.go.set()
    for job in jobs:
        job.future.result(5)
    assert [9] in scene.machine.batches[1:3]


def test_a_row_that_fails_fails_alone(bench: BenchMaker) -> None:
    """A row on which the model raises does not take its neighbours along."""
    scene = bench()
    jobs = [scene.submit(row) for row in (1, 13, 3, 4)]
    scene.machine.go.set()
    assert [jobs[index].future.result(5) for index in (0, 2, 3)] == [2, 6, 8]
    with pytest.raises(ValueError, match="thirteen"):
        jobs[1].future.result(5)


def test_a_full_queue_refuses_and_goes_on(bench: BenchMaker) -> None:
    """Beyond the capacity a row is refused and told when to come back; cancelled rows make room; begun work goes in."""
    scene = bench(capacity=2)
    jobs = [scene.submit(row) for row in (1, 2)]
    with pytest.raises(Overloaded) as refusal:
        scene.submit(3)
    assert refusal.value.retry_after >= 1
    begun = scene.submit(5, priority=Priority.BEGUN)
    begun.cancellation.cancel()
    jobs[0].cancellation.cancel()
    late = scene.submit(4)
    scene.machine.go.set()
    assert [jobs[1].future.result(5), late.future.result(5)] == [4, 8]


def test_a_row_that_waited_too_long_is_not_run(bench: BenchMaker) -> None:
    """A row past its deadline is given up without costing the model anything."""
    scene = bench()
    late = scene.submit(1, deadline=0.0)
    scene.machine.go.set()
    with pytest.raises(DeadlineExceeded):
        late.future.result(5)
    assert scene.first[0].future.result(5) == 0
    assert scene.machine.batches == [[0]]


def test_the_predicted_wait_counts_what_runs_and_what_waits(bench: BenchMaker) -> None:
    """Two rows of a second behind one that runs make about three seconds; bulk work does not count for others."""
    scene = bench(ALONE)
    for row in (1, 2):
        scene.submit(row)
    scene.submit(3, priority=Priority.BULK)
    assert scene.lane.predicted_wait() == pytest.approx(3, abs=0.5)
    assert scene.lane.predicted_wait(Priority.BULK) == pytest.approx(4, abs=0.5)


def test_the_last_thing_told_of_an_idle_lane_is_that_nobody_waits(bench: BenchMaker) -> None:
    """When all is done the observer knows of an empty queue and of no wait: an autoscaler reads it."""
    scene = bench(ALONE)
    told: list[tuple[int, float]] = []
    scene.lane._observer.queued = lambda lane, depth, wait: told.append((depth, wait))  # type: ignore[method-assign]
    jobs = [scene.submit(row) for row in (1, 2)]
    jobs[1].cancellation.cancel()
    scene.machine.go.set()
    jobs[0].future.result(5)
    scene.lane.close()
    assert max(told)[0] == 2 and told[-1] == (0, 0.0)


def test_closing_finishes_what_was_admitted_and_refuses_the_rest(bench: BenchMaker) -> None:
    """After close everything admitted has its result and new rows are refused as draining."""
    scene = bench()
    jobs = [scene.submit(row) for row in (1, 2)]
    closing = threading.Thread(target=scene.lane.close)
    closing.start()
    while not scene.lane._closing:
        time.sleep(0.001)
    with pytest.raises(Draining):
        scene.submit(3)
    scene.machine.go.set()
    closing.join(5)
    assert [job.future.result(0) for job in jobs] == [2, 4]


def test_lanes_need_no_web_framework() -> None:
    """Importing the lanes loads neither FastAPI, Starlette nor ONNX Runtime; the engine needs no HTTP either."""
    code = "import sys, service.{0}; print({{'fastapi', 'starlette', 'uvicorn'{1}}} & set(sys.modules))"
    for module, runtime in (("batching", ", 'onnxruntime'"), ("engine", "")):
        command = [sys.executable, "-c", code.format(module, runtime)]
        assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == "set()"
