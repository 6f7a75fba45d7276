"""service.bulk: many items reach the engine a few at a time, in turns, and go when nobody waits for them."""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from service.admission import Admission, Memory
from service.bulk import Bulk
from service.cancellation import Cancellation
from service.engine import Chain, Engine
from service.errors import ClientClosed, DeadlineExceeded, Draining, NoFaceFound, Overloaded


@pytest.fixture(name="engine")
def engine_() -> Iterator[Engine]:
    """Two executors."""
    engine = Engine(executors=2, capacity=64)
    yield engine
    engine.close()


def bulk_of(engine: Any, places: int) -> Bulk:
    """Bulk in front of an engine."""
    return Bulk(engine, places=places, admission=Admission(9), memory=Memory(9))


def constant(value: Any) -> Chain[Any]:
    """A chain that returns the value, or raises it."""
    if isinstance(value, Exception):
        raise value
    return value
    yield


def run(
    bulk: Bulk, count: int, begin: Callable[[int, Cancellation], Chain[Any]], deadline: float = math.inf
) -> dict[int, Any]:
    """What came of each item."""
    outcomes: dict[int, Any] = {}
    asyncio.run(bulk.run(count, begin, outcomes.__setitem__, kind="any", key="me", deadline=deadline))
    return outcomes


def test_every_item_has_its_own_outcome(engine: Engine) -> None:
    """What one item raises, when it begins or later, is its outcome alone."""

    def begin(number: int, _: Cancellation) -> Chain[Any]:
        if number == 1:
            raise NoFaceFound("at once")
        return constant(NoFaceFound("later") if number == 2 else number)

    outcomes = run(bulk_of(engine, 4), 5, begin)
    assert [str(outcomes[number]) for number in range(5)] == ["0", "at once", "later", "3", "4"]


@pytest.mark.parametrize("places", [1, 3])
def test_never_more_items_than_places(engine: Engine, places: int) -> None:
    """The items of all who run at the same time are never more with the engine than there are places."""
    inside, most = 0, 0

    async def scene() -> None:
        bulk = bulk_of(engine, places)

        def begin(number: int, _: Cancellation) -> Chain[int]:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            return constant(number)

        def end(number: int, outcome: Any) -> None:
            nonlocal inside
            inside -= 1
            assert outcome == number

        await asyncio.gather(*(bulk.run(7, begin, end, kind="any", key="me", deadline=math.inf) for _ in range(3)))

    asyncio.run(scene())
    assert most == places and inside == 0


def test_one_with_few_items_does_not_wait_for_one_with_many(engine: Engine) -> None:
    """Who comes second with one item has its turn after one more item of the first, not after all of them."""
    order: list[str] = []

    async def scene() -> None:
        bulk = bulk_of(engine, 1)

        def work(name: str, count: int) -> Any:
            def begin(number: int, _: Cancellation) -> Chain[int]:
                order.append(name)
                return constant(number)

            return bulk.run(count, begin, lambda *_: None, kind="any", key=name, deadline=math.inf)

        await asyncio.gather(work("many", 20), work("few", 1))

    asyncio.run(scene())
    assert order.index("few") <= 2 and order.count("many") == 20


def test_what_is_not_begun_at_the_deadline_never_is(engine: Engine) -> None:
    """An item whose turn does not come in time ends as DeadlineExceeded, unseen; the one that was begun is told too."""
    begun: list[int] = []
    go = threading.Event()

    def waiting(cancellation: Cancellation) -> Chain[None]:
        while time.monotonic() < cancellation.deadline:
            go.wait(0.005)
        cancellation.check()
        yield from constant(None)

    def begin(number: int, cancellation: Cancellation) -> Chain[None]:
        begun.append(number)
        return waiting(cancellation)

    outcomes = run(bulk_of(engine, 1), 4, begin, time.monotonic() + 0.05)
    assert begun == [0]
    assert [type(outcomes[number]) for number in range(4)] == [DeadlineExceeded] * 4


def test_who_is_cancelled_lets_go_and_gives_the_places_back(engine: Engine) -> None:
    """A run that is cancelled cancels what it began, begins nothing more, tells nothing more, and frees its places."""
    cancellations: list[Cancellation] = []
    ended: list[int] = []

    def held(cancellation: Cancellation) -> Chain[None]:
        while not cancellation.cancelled:
            time.sleep(0.002)
        raise ClientClosed("gone")
        yield

    async def scene() -> dict[int, Any]:
        bulk = bulk_of(engine, 2)

        def begin(_: int, cancellation: Cancellation) -> Chain[None]:
            cancellations.append(cancellation)
            return held(cancellation)

        task = asyncio.create_task(
            bulk.run(9, begin, lambda number, _: ended.append(number), kind="any", key="me", deadline=math.inf)
        )
        while len(cancellations) < 2:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        outcomes: dict[int, Any] = {}
        await bulk.run(
            3, lambda number, _: constant(number), outcomes.__setitem__, kind="any", key="me", deadline=math.inf
        )
        return outcomes

    assert asyncio.run(scene()) == {0: 0, 1: 1, 2: 2}
    assert len(cancellations) == 2 and all(each.cancelled for each in cancellations) and not ended


class Refusing:
    """An engine that has no room for the first items that come."""

    def __init__(self, refusals: list[Exception]) -> None:
        self.refusals = refusals

    def submit(self, chain: Chain[Any], kind: str, cancellation: Cancellation, **_: Any) -> Future[Any]:
        if self.refusals:
            raise self.refusals.pop(0)
        future: Future[Any] = Future()
        future.set_result("done")
        return future


def test_an_item_waits_for_an_engine_that_is_full() -> None:
    """An item for which there is no room is tried again until there is."""
    full = [Overloaded("full", retry_after=0) for _ in range(3)]
    assert run(bulk_of(Refusing(full), 1), 2, lambda *_: constant(0)) == {0: "done", 1: "done"}


def test_an_item_does_not_wait_for_an_engine_that_ends() -> None:
    """One that shuts down will have no room later either: the item is told so."""
    outcomes = run(bulk_of(Refusing([Draining("bye")]), 1), 2, lambda *_: constant(0))
    assert isinstance(outcomes[0], Draining) and outcomes[1] == "done"


def test_the_patience_of_an_item_ends_at_the_deadline() -> None:
    """An engine that stays full is waited for no longer than the deadline."""
    full = [Overloaded("full", retry_after=60) for _ in range(9)]
    outcomes = run(bulk_of(Refusing(full), 1), 2, lambda *_: constant(0), time.monotonic() + 0.05)
    assert [type(outcomes[number]) for number in range(2)] == [DeadlineExceeded] * 2
