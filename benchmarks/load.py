"""The load generator, a process of its own: reads a pickled `Load`, writes what became of every request.

    python -m benchmarks.load < LOAD

Standard output is a line `begin` and a line `end` around the measured seconds, for whoever samples the server, and then
one line of JSON: `samples`, each the second of its start, its seconds and its outcome, and the generator's own `cpu`.
A sample of an open loop starts when its request was due, whether or not the generator managed to send it then, so that
a server that stalls cannot hide how many would have waited (coordinated omission).
"""

import asyncio
import gc
import itertools
import json
import pickle
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import uvloop

from benchmarks.client import Connection
from benchmarks.exchanges import Exchange, Outcome

CONNECTIONS = 1000  # at most; what is due beyond waits in the generator, and its latency counts all the same


@dataclass(frozen=True)
class Load:
    """What to send where: `clients` that each wait for their answer, or arrivals at given rates."""

    port: int
    path: str
    exchanges: Sequence[Exchange]
    seconds: float
    """Measured; requests that end (closed loop) or are due (open loop) within them count."""
    clients: int = 0
    rates: Sequence[tuple[float, float]] = ()
    """Open loop: arrivals a second, and for how many seconds; from the beginning of `settle`."""
    settle: float = 2.0
    """Seconds of the same load before the measured ones."""
    patience: float = 1.0
    """Seconds after the last arrival of an open loop until its unanswered requests are given up."""
    leaving: float = 0.0
    """Share of a closed loop's requests whose client leaves, at a random moment of the first `stay` seconds."""
    stay: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Sample:
    """One request: seconds since the measurement began, seconds until its answer, what became of it."""

    start: float
    seconds: float
    outcome: Outcome
    exchange: int


class Generator:
    """Sends a load and keeps the samples."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._requests = [exchange.request(load.path) for exchange in load.exchanges]
        self._turn = itertools.count()
        self._random = random.Random(load.seed)
        self._free: list[Connection] = []
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._zero = 0.0
        self.samples: list[Sample] = []
        self.cpu = 0.0
        """Seconds that the generator itself took of a core while it measured."""

    async def run(self) -> None:
        """All of it."""
        self._zero = time.perf_counter() + self._load.settle
        marks = asyncio.gather(self._mark("begin", 0.0), self._mark("end", self._load.seconds))
        if self._load.rates:
            await self._open_loop()
        else:
            await asyncio.gather(*(self._client() for _ in range(self._load.clients)))
        await marks
        for connection in self._free:
            connection.close()

    async def _mark(self, word: str, at: float) -> None:
        await asyncio.sleep(max(0.0, at - self._now()))
        print(word, flush=True)
        self.cpu = time.process_time() - self.cpu

    async def _client(self) -> None:
        """One request after the other until the measured seconds are over."""
        while self._now() < self._load.seconds:
            index = next(self._turn) % len(self._requests)
            stay = self._random.uniform(0, self._load.stay) if self._random.random() < self._load.leaving else None
            await self._ask(index, self._now(), stay)

    async def _open_loop(self) -> None:
        """Poisson arrivals, whatever becomes of them."""
        running = set()
        for due in self._arrivals():
            if (ahead := due - self._now()) > 0:
                await asyncio.sleep(ahead)
            task = asyncio.create_task(self._ask(next(self._turn) % len(self._requests), due))
            running.add(task)
            task.add_done_callback(running.discard)
        if running:
            await asyncio.wait(running, timeout=self._load.patience)
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _arrivals(self) -> Iterator[float]:
        beginning = -self._load.settle
        for rate, seconds in self._load.rates:
            due = beginning + self._random.expovariate(rate)
            while due < beginning + seconds:
                yield due
                due += self._random.expovariate(rate)
            beginning += seconds

    async def _ask(self, index: int, due: float, stay: float | None = None) -> None:
        """One request over a free connection or a new one; a client that leaves does so after `stay` seconds."""
        outcome = Outcome.UNANSWERED
        connection: Connection | None = None
        try:
            async with self._places, asyncio.timeout(stay):
                connection = self._connection() or await Connection.to(self._load.port)
                answer = await connection.send(self._requests[index])
            outcome = self._load.exchanges[index].outcome(answer)
            self._free.append(connection)
        except TimeoutError:
            outcome = Outcome.LEFT
        except OSError:
            outcome = Outcome.LOST
        finally:
            self.samples.append(Sample(due, self._now() - due, outcome, index))
            if connection is not None and outcome in (Outcome.LEFT, Outcome.LOST, Outcome.UNANSWERED):
                connection.close()

    def _connection(self) -> Connection | None:
        while self._free:
            if (connection := self._free.pop()).usable:
                return connection
        return None

    def _now(self) -> float:
        return time.perf_counter() - self._zero


def tell(samples: Sequence[tuple[float, float, Outcome, int]], cpu: float) -> None:
    """The last line; all of it even where PYTHONUNBUFFERED leaves standard output to write as much as it likes."""
    with open(1, "wb", closefd=False) as output:
        output.write(json.dumps({"samples": samples, "cpu": cpu}).encode())


def main() -> None:
    """Read the load, send it, tell."""
    load: Load = pickle.load(sys.stdin.buffer)
    generator = Generator(load)
    gc.collect()
    gc.freeze()
    uvloop.run(generator.run())
    samples = [(round(s.start, 6), round(s.seconds, 6), s.outcome, s.exchange) for s in generator.samples]
    tell(samples, generator.cpu)


if __name__ == "__main__":
    main()
