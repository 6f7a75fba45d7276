"""service.engine: chains run to their end, on cores and through lanes, and stop costing when nobody waits for them."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from export.contract import Contract
from service.batching import Unobserved
from service.cancellation import Cancellation
from service.engine import Chain, Engine, Fork, Run, Served, row_lane
from service.errors import ClientClosed, DeadlineExceeded, Draining, Overloaded
from service.models import Row
from service.policy import Costs


class Doubler:
    """A network that doubles the number that a row asks for, and remembers how it was run."""

    name, version, digest = "doubler", 1, "none"
    contract: Contract
    device = provider = "cpu"

    def __init__(self, costs: Costs) -> None:
        self.costs = costs
        self.runs: list[tuple[int, bool]] = []
        self.go = threading.Event()
        self.go.set()

    def run(
        self, rows: Sequence[Row], *, wide: bool = False, cancellation: Cancellation | None = None
    ) -> list[NDArray[Any]]:
        self.runs.append((len(rows), wide))
        self.go.wait(10)
        if cancellation:
            cancellation.check()
        return [2 * np.asarray(row.values["number"]) for row in rows]


class Notes(Unobserved):
    """An observer that remembers refusals, losses and seconds."""

    def __init__(self) -> None:
        self.lost: list[str] = []
        self.seconds = {False: 0.0, True: 0.0}

    def shed(self, reason: str) -> None:
        self.lost.append(f"shed {reason}")

    def cancelled(self, stage: str) -> None:
        self.lost.append(f"cancelled {stage}")

    def expired(self, stage: str) -> None:
        self.lost.append(f"expired {stage}")

    def worked(self, seconds: float, wasted: bool) -> None:
        self.seconds[wasted] += seconds


def two_steps(seconds: float) -> Chain[None]:
    """A chain that keeps an executor busy for so long, twice."""
    time.sleep(seconds)
    yield Fork([lambda: time.sleep(seconds)])


@pytest.fixture(name="notes")
def notes_() -> Notes:
    """What the engine told."""
    return Notes()


@pytest.fixture(name="engine")
def engine_(notes: Notes) -> Iterator[Engine]:
    """Two executors."""
    engine = Engine(executors=2, capacity=10, observer=notes)
    yield engine
    engine.close()


@pytest.fixture(name="served", params=["cores", "lane"])
def served_(request: pytest.FixtureRequest) -> Iterator[Served]:
    """The doubler on the cores, then behind a lane of its own with batches."""
    if request.param == "cores":
        yield Served(Doubler(Costs({1: 0.01})))
        return
    model = Doubler(Costs({1: 0.01, 2: 0.011, 4: 0.012}))
    lane = row_lane(model, capacity=100)
    yield Served(model, lane)
    lane.close()


def row(number: int) -> Row:
    """Asks for a number."""
    return Row(None, {"number": number})


def doubled(served: Served, *numbers: int) -> Chain[list[int]]:
    """A chain that doubles numbers, twice."""
    first = yield Run(served, [row(number) for number in numbers])
    second = yield Run(served, [row(int(number)) for number in first])
    return [int(number) for number in second]


def working(seconds: float) -> Chain[None]:
    """A chain that keeps an executor busy."""
    time.sleep(seconds)
    return
    yield Fork(())


def test_a_chain_gets_every_result_in_its_place(engine: Engine, served: Served) -> None:
    """Rows of one request come back in order, wherever the network lives and however many rows there are."""
    future = engine.submit(doubled(served, *range(9)), "test", Cancellation())
    assert future.result(5) == [4 * number for number in range(9)]


def test_many_chains_at_once_do_not_mix(engine: Engine, served: Served) -> None:
    """Requests that run side by side and in common batches each get their own results."""
    futures = [engine.submit(doubled(served, number, number + 100), "test", Cancellation()) for number in range(8)]
    assert [future.result(5) for future in futures] == [[4 * n, 4 * n + 400] for n in range(8)]


@pytest.mark.parametrize(("seconds", "expected_again"), [(3600.0, True), (1e-6, False)])
def test_a_lone_row_runs_wide_and_company_runs_narrow(engine: Engine, seconds: float, expected_again: bool) -> None:
    """On an idle machine a network may use every core, but not within the time of a run after there was company."""
    model = Doubler(Costs({1: seconds}, lone=seconds / 2))
    engine.submit(doubled(Served(model), 1), "test", Cancellation()).result(5)
    assert model.runs == [(1, True)] * 2
    busy = engine.submit(working(0.3), "other", Cancellation())
    time.sleep(0.05)
    engine.submit(doubled(Served(model), 1), "test", Cancellation()).result(5)
    assert model.runs[2:] == [(1, False)] * 2
    busy.result(5)
    time.sleep(0.05)  # until its executor is idle
    engine.submit(doubled(Served(model), 1), "test", Cancellation()).result(5)
    assert model.runs[4:] == [(1, not expected_again)] * 2


def test_forks_run_side_by_side_and_keep_their_order(engine: Engine) -> None:
    """The functions of a fork meet at a barrier, so they run at once; outcomes, errors too, are in order."""
    barrier = threading.Barrier(2)

    def meets() -> int:
        return 10 + int(barrier.wait(5) >= 0)

    def fails() -> None:
        barrier.wait(5)
        raise ValueError("fork")

    def chain() -> Chain[list[Any]]:
        return (yield Fork([meets, fails]))

    met, failed = engine.submit(chain(), "test", Cancellation()).result(5)
    assert met == 11 and isinstance(failed, ValueError)


def test_forks_of_a_busy_engine_run_one_after_the_other(engine: Engine) -> None:
    """With no executor free the functions of a fork run in their own, and nothing is stuck."""
    busy = engine.submit(working(0.3), "other", Cancellation())
    time.sleep(0.05)

    def chain() -> Chain[list[Any]]:
        return (yield Fork([lambda: 1, lambda: 2, lambda: 3]))

    assert engine.submit(chain(), "test", Cancellation()).result(5) == [1, 2, 3]
    busy.result(5)


def test_an_error_in_a_chain_is_the_requests_alone(engine: Engine, served: Served) -> None:
    """What a chain raises is its future's exception; the next request is served."""

    def fails() -> Chain[None]:
        yield Run(served, [row(1)])
        raise ValueError("chain")

    with pytest.raises(ValueError, match="chain"):
        engine.submit(fails(), "test", Cancellation()).result(5)
    assert engine.submit(doubled(served, 1), "test", Cancellation()).result(5) == [4]


def test_a_client_that_leaves_stops_the_chain_before_its_next_step(
    engine: Engine, served: Served, notes: Notes
) -> None:
    """A request that is cancelled while its network runs ends there, is closed, and is counted once."""
    model = served.model
    assert isinstance(model, Doubler)
    model.go.clear()
    closed = threading.Event()

    def chain() -> Chain[None]:
        try:
            yield Run(served, [row(1)])
            raise AssertionError("went on")
        finally:
            closed.set()

    cancellation = Cancellation()
    cancellation.stage = "translate"
    future = engine.submit(chain(), "test", cancellation)
    while not model.runs:
        time.sleep(0.001)
    cancellation.cancel()
    model.go.set()
    with pytest.raises(ClientClosed):
        future.result(5)
    assert closed.wait(5)
    engine.close()
    assert notes.lost == ["cancelled translate"]


def test_waste_is_what_ran_after_the_client_left(engine: Engine, notes: Notes) -> None:
    """Executor seconds after the cancel are told as wasted, those before are not."""
    cancellation = Cancellation()
    threading.Timer(0.1, cancellation.cancel).start()
    engine.submit(working(0.3), "test", cancellation).result(5)
    engine.close()
    assert notes.seconds[False] == pytest.approx(0.1, abs=0.08)
    assert notes.seconds[True] == pytest.approx(0.2, abs=0.08)


def test_a_deadline_ends_a_chain_between_its_steps(engine: Engine, served: Served, notes: Notes) -> None:
    """A request whose deadline passes while its network runs fails with DeadlineExceeded and takes no further step."""
    model = served.model
    assert isinstance(model, Doubler)
    model.go.clear()
    threading.Timer(0.2, model.go.set).start()
    with pytest.raises(DeadlineExceeded):
        engine.submit(doubled(served, 1), "test", Cancellation(time.monotonic() + 0.1)).result(5)
    assert len(model.runs) == 1


def test_what_cannot_be_done_in_time_is_refused_at_arrival(engine: Engine, notes: Notes) -> None:
    """Once the cost of a kind is known, a queue longer than the budget refuses more and says when to come back."""
    engine.submit(working(0.2), "test", Cancellation()).result(5)
    assert engine.cost("test") == pytest.approx(0.2, abs=0.1)
    futures = [engine.submit(working(0.2), "test", Cancellation()) for _ in range(8)]
    with pytest.raises(Overloaded) as refusal:
        engine.admit("test", 0.5)
    assert refusal.value.retry_after >= 1 and "milliseconds" in refusal.value.detail
    with pytest.raises(Overloaded):
        engine.submit(working(0.2), "test", Cancellation(time.monotonic() + 0.5))
    engine.admit("test", 10.0)
    for future in futures:
        future.result(5)
    engine.admit("test", 0.5)
    assert notes.lost == ["shed predicted-wait"] * 2


def test_a_device_that_turned_slow_goes_on_answering(engine: Engine) -> None:
    """When requests suddenly take six times as long, enough of a flood is refused that others are still in time."""
    for _ in range(3):
        engine.submit(two_steps(0.01), "test", Cancellation()).result(5)
    in_time: list[bool] = []
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        deadline = time.monotonic() + 0.5
        with suppress(Overloaded):
            future = engine.submit(two_steps(0.06), "test", Cancellation(deadline))
            future.add_done_callback(
                lambda done, deadline=deadline: in_time.append(not done.exception() and time.monotonic() < deadline)
            )
        time.sleep(0.005)
    engine.close()
    assert sum(in_time) > 24  # of some 42 that two executors can do; without learning from losses it is 12


def test_bulk_work_waits_for_interactive_work(engine: Engine) -> None:
    """Items of batches start after requests that came later."""
    order: list[str] = []

    def note(name: str) -> Chain[None]:
        order.append(name)
        return
        yield Fork(())

    blockers = [engine.submit(working(0.2), "other", Cancellation()) for _ in range(2)]
    time.sleep(0.05)
    futures = [engine.submit(note("bulk"), "test", Cancellation(), bulk=True) for _ in range(2)]
    futures += [engine.submit(note("interactive"), "test", Cancellation()) for _ in range(2)]
    for future in blockers + futures:
        future.result(5)
    assert order == ["interactive"] * 2 + ["bulk"] * 2


def test_closing_finishes_what_was_admitted(served: Served) -> None:
    """After close every request that was let in has its result, and new ones are refused as draining."""
    engine = Engine(executors=1, capacity=10)
    futures: list[Any] = [engine.submit(doubled(served, number), "test", Cancellation()) for number in range(4)]
    engine.close()
    assert [future.result(0) for future in futures] == [[4 * number] for number in range(4)]
    with pytest.raises(Draining):
        engine.submit(doubled(served, 1), "test", Cancellation())


def test_what_is_begun_is_not_refused_by_a_full_queue(served: Served) -> None:
    """A queue that is full of new requests lets a request that came back from a network's lane go on."""
    model = served.model
    assert isinstance(model, Doubler)
    engine = Engine(executors=1, capacity=1)
    model.go.clear()
    begun = engine.submit(doubled(served, 1), "test", Cancellation())
    while not model.runs:
        time.sleep(0.001)
    waiting = engine.submit(working(0.05), "other", Cancellation())
    model.go.set()
    assert begun.result(5) == [4]
    waiting.result(5)
    engine.close()
