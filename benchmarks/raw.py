"""The work without any server, as the bound of what one can do: loops in the threads of one process.

    python -m benchmarks.raw < RAW_LOAD

Talks like `benchmarks.load`, whose place it takes: the process itself is what is sampled.
"""

import itertools
import pickle
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks import work
from benchmarks.client import Answer
from benchmarks.exchanges import Exchange, Outcome
from benchmarks.load import tell


@dataclass(frozen=True)
class RawLoad:
    """The work of a workload in so many loops at a time, a network's run on so many threads."""

    work: str
    models: Path
    exchanges: Sequence[Exchange]
    loops: int
    threads: int
    seconds: float
    settle: float = 2.0


def run(load: RawLoad) -> list[tuple[float, float, Outcome, int]]:
    """Start, seconds, outcome and picture of each turn of each loop."""
    answer = work.make(load.work, load.models, threads=load.threads, searches=load.loops)
    turn = itertools.count()
    zero = time.perf_counter() + load.settle
    samples = []

    def loop() -> None:
        while (start := time.perf_counter() - zero) < load.seconds:
            index = next(turn) % len(load.exchanges)
            exchange = load.exchanges[index]
            body = answer(exchange.body)
            seconds = time.perf_counter() - zero - start
            samples.append((start, seconds, exchange.outcome(Answer(200, b"", body)), index))

    with ThreadPoolExecutor(load.loops) as pool:
        loops = [pool.submit(loop) for _ in range(load.loops)]
        time.sleep(max(0.0, zero - time.perf_counter()))
        print("begin", flush=True)
        time.sleep(max(0.0, zero + load.seconds - time.perf_counter()))
        print("end", flush=True)
        for each in loops:
            each.result()
    return samples


def main() -> None:
    """Read the load, do it, tell."""
    tell(run(pickle.load(sys.stdin.buffer)), 0.0)


if __name__ == "__main__":
    main()
