"""service.batching: one client never hurts another, queues are bounded, stopping finishes what was admitted."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence

import pytest

from service.batching import Admission, Lane
from service.errors import DeadlineExceeded, Draining, Overloaded


class Machine:
    """A model of numbers that doubles them, holds its batches until told to go, and remembers them."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.batches: list[list[int]] = []

    def run(self, rows: Sequence[int]) -> list[int]:
        self.go.wait(10)
        self.batches.append(list(rows))
        if 13 in rows:
            raise ValueError("thirteen")
        return [2 * row for row in rows]


def with_lane(
    test: Callable[[Lane[int, int], Machine], Awaitable[None]], *, capacity: int = 100, max_batch: int = 4
) -> Machine:
    """Run `test` with a lane around a machine, and close the lane."""
    machine = Machine()

    async def main() -> None:
        lane = Lane("test", machine.run, capacity=capacity, max_batch=max_batch)
        try:
            await test(lane, machine)
        finally:
            machine.go.set()
            await lane.close()

    asyncio.run(main())
    return machine


async def blocked(lane: Lane[int, int], *rows: int) -> list[asyncio.Task[list[int]]]:
    """One waiting call for each row, behind a first row 0 that keeps the thread busy."""
    tasks = [asyncio.create_task(lane.submit([0]))]
    await asyncio.sleep(0.01)
    tasks += [asyncio.create_task(lane.submit([row])) for row in rows]
    await asyncio.sleep(0.01)
    return tasks


def test_a_cancelled_neighbour_hurts_nobody_while_it_waits() -> None:
    """Of three that wait for one batch the second goes away: the others get their own results, it is never run."""

    async def test(lane: Lane[int, int], machine: Machine) -> None:
        tasks = await blocked(lane, 1, 2, 3)
        tasks[2].cancel()
        await asyncio.sleep(0)
        machine.go.set()
        assert await asyncio.gather(tasks[0], tasks[1], tasks[3]) == [[0], [2], [6]]
        assert tasks[2].cancelled()

    assert with_lane(test).batches == [[0], [1, 3]]


def test_a_cancelled_neighbour_hurts_nobody_while_it_runs() -> None:
    """A client that goes away while its batch runs changes nothing for the rest of the batch."""

    async def test(lane: Lane[int, int], machine: Machine) -> None:
        tasks = [asyncio.create_task(lane.submit([row])) for row in (1, 2, 3)]
        await asyncio.sleep(0.01)
        tasks[1].cancel()
        machine.go.set()
        assert await asyncio.gather(tasks[0], tasks[2]) == [[2], [6]]
        assert await lane.submit([4]) == [8]

    with_lane(test)


def test_batches_take_what_waits_in_order_up_to_the_limit() -> None:
    """The thread takes the oldest rows, never more than the largest batch, and does not wait for more."""

    async def test(lane: Lane[int, int], machine: Machine) -> None:
        tasks = await blocked(lane, 1, 2, 3, 4, 5)
        machine.go.set()
        assert await asyncio.gather(*tasks) == [[0], [2], [4], [6], [8], [10]]

    assert with_lane(test).batches == [[0], [1, 2, 3, 4], [5]]


def test_rows_of_one_call_come_back_in_order() -> None:
    """A call with more rows than a batch gets every result in its place."""

    async def test(lane: Lane[int, int], machine: Machine) -> None:
        machine.go.set()
        assert await lane.submit(range(10)) == [2 * row for row in range(10)]

    with_lane(test)


def test_a_row_that_fails_fails_alone() -> None:
    """A row on which the model raises does not take its neighbours along."""

    async def test(lane: Lane[int, int], machine: Machine) -> None:
        tasks = await blocked(lane, 1, 13, 3)
        machine.go.set()
        assert await tasks[1] == [2] and await tasks[3] == [6]
        with pytest.raises(ValueError, match="thirteen"):
            await tasks[2]

    assert with_lane(test).batches == [[0], [1, 13, 3], [1], [13], [3]]


def test_a_full_queue_refuses_and_goes_on() -> None:
    """Beyond the capacity a call is refused whole and told when to come back; cancelled rows make room."""

    async def test(lane: Lane[int, int], machine: Machine) -> None:
        tasks = await blocked(lane, 1, 2)
        with pytest.raises(Overloaded) as refusal:
            await lane.submit([3, 4])
        assert refusal.value.retry_after >= 1
        tasks[1].cancel()
        await asyncio.sleep(0)
        late = asyncio.create_task(lane.submit([3, 4]))
        await asyncio.sleep(0)
        machine.go.set()
        assert await late == [6, 8]

    with_lane(test, capacity=3)


def test_a_row_that_waited_too_long_is_not_run() -> None:
    """A row past its deadline is given up without costing the model anything."""

    async def test(lane: Lane[int, int], machine: Machine) -> None:
        tasks = await blocked(lane)
        late = asyncio.create_task(lane.submit([1], seconds=0))
        await asyncio.sleep(0.01)
        machine.go.set()
        assert await tasks[0] == [0]
        with pytest.raises(DeadlineExceeded):
            await late

    assert with_lane(test).batches == [[0]]


def test_closing_finishes_what_was_admitted_and_refuses_the_rest() -> None:
    """After close everything admitted has its result and new rows are refused as draining."""

    async def test(lane: Lane[int, int], machine: Machine) -> None:
        tasks = await blocked(lane, 1, 2)
        closing = asyncio.create_task(lane.close())
        await asyncio.sleep(0)
        with pytest.raises(Draining):
            await lane.submit([3])
        machine.go.set()
        await closing
        assert [task.result() for task in tasks] == [[0], [2], [4]]

    with_lane(test)


def test_admission_is_bounded_and_gives_places_back() -> None:
    """No more than the limit is inside at a time, however its guests leave."""
    admission = Admission(1)
    with admission, pytest.raises(Overloaded), admission:
        pass
    with pytest.raises(KeyError), admission:
        raise KeyError
    with admission:
        pass


def test_lanes_need_no_web_framework() -> None:
    """Importing the lanes loads neither FastAPI, Starlette nor ONNX Runtime."""
    code = "import sys, service.batching; print({'fastapi', 'starlette', 'onnxruntime'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
