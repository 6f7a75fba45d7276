import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from benchmarks.exchanges import Exchange, Outcome
from benchmarks.load import Generator, Load, Sample
from benchmarks.static import Static

EXCHANGES = [Exchange("image/jpeg", b"one", answers=frozenset({b"1"})), Exchange("image/jpeg", b"four", problem="x")]
ANSWERS = {3: b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1", 4: b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"}

Protocol = Callable[[], asyncio.Protocol]


def samples_of(protocol: Protocol, seconds: float = 0.2, **how: object) -> list[Sample]:
    """What becomes of a load that is sent to a server of one's own."""

    async def send() -> list[Sample]:
        server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
        load = Load(server.sockets[0].getsockname()[1], "/", EXCHANGES, seconds, settle=0.0, patience=0.05, **how)
        generator = Generator(load)
        await generator.run()
        server.close()
        await asyncio.sleep(0.02)  # the server's side hears of the ends
        return generator.samples

    return asyncio.run(send())


@pytest.fixture(autouse=True)
def quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """The generator's marks are for whoever started it."""


def test_clients_ask_all_exchanges_in_turn(capsys: pytest.CaptureFixture[str]):
    """Every exchange is asked as often as the others, its outcome is its own, and the marks frame the measurement."""
    samples = samples_of(lambda: Static(ANSWERS), clients=3)
    counts = Counter(sample.exchange for sample in samples)
    assert abs(counts[0] - counts[1]) <= 1 and counts[0] > 3
    assert {sample.outcome for sample in samples if sample.exchange == 0} == {Outcome.RIGHT}
    assert {sample.outcome for sample in samples if sample.exchange == 1} == {Outcome.FAILED}
    assert capsys.readouterr().out == "begin\nend\n"


def test_arrivals_do_not_wait_for_a_silent_server():
    """Every arrival of the drawn schedule is counted, though no request is ever answered."""
    samples = samples_of(asyncio.Protocol, rates=[(100.0, 0.2)], seed=4)
    again = samples_of(asyncio.Protocol, rates=[(100.0, 0.2)], seed=4)
    assert {sample.outcome for sample in samples} == {Outcome.UNANSWERED}
    assert len(samples) > 5
    assert sorted(sample.start for sample in samples) == sorted(sample.start for sample in again)


def test_arrivals_follow_the_rates_one_after_the_other():
    """An overload and what comes after it are one schedule, each with its own rate."""
    samples = samples_of(lambda: Static(ANSWERS), rates=[(400.0, 0.1), (20.0, 0.1)], seed=1)
    overload = [sample for sample in samples if sample.start < 0.1]
    assert len(overload) > 4 * (len(samples) - len(overload))
    assert all(0 <= sample.start < 0.2 for sample in samples)


def test_clients_that_leave_are_told_from_lost_ones():
    """Who leaves at once has left, whatever the server does."""
    samples = samples_of(asyncio.Protocol, clients=2, leaving=1.0, stay=0.001)
    assert {sample.outcome for sample in samples} == {Outcome.LEFT}


def test_a_connection_that_the_server_ends_is_lost():
    """A server that hangs up is a failure of the request, and the next one takes a new connection."""

    class Rude(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.close()

    samples = samples_of(Rude, clients=1)
    assert len(samples) > 1
    assert {sample.outcome for sample in samples} == {Outcome.LOST}
