"""What the service still answers when it is asked for more than it can do: peak and overload in turns.

    python -m benchmarks.overload

The peak is what it answers to eight clients in a closed loop. `compare` measures the peak some minutes before the
overload, and a machine with neighbours is not as fast then as it is now; in turns both have the same machine.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import measurement, report, results, statistics
from benchmarks.load import Load
from benchmarks.measurement import SLO, Cell
from benchmarks.servers import OURS, Running, running
from benchmarks.workloads import Workload, repository, workload

WORKLOADS = ("aligned", "photo")
MULTIPLES = (2, 4)
CLIENTS = 8
WARM_UP = 2.0  # seconds
SETTLE = 1.5  # seconds of a turn before what counts: until the queue is as long as it gets

say = Console(stderr=True, markup=False, highlight=False).print


def peak(work: Workload, live: Running, seconds: float) -> Cell:
    """A closed loop."""
    load = Load(live.port, live.path, work.exchanges, seconds, CLIENTS, settle=SETTLE)
    return measurement.sent(load, live.tree)[0]


def overload(work: Workload, live: Running, seconds: float, rate: float, seed: int) -> Cell:
    """Arrivals that wait no longer than SLO, and say so."""
    hurried = [each.with_headers({"X-Request-Timeout": f"{SLO:g}"}) for each in work.exchanges]
    rates = [(rate, SETTLE + seconds)]
    load = Load(live.port, live.path, hurried, seconds, settle=SETTLE, rates=rates, seed=seed)
    return measurement.sent(load, live.tree)[0]


def turns(work: Workload, live: Running, count: int, seconds: float) -> dict[str, Any]:
    """`count` turns of the peak and of each overload, which is a multiple of the first turn's peak."""
    first = peak(work, live, seconds)
    capacity = statistics.rate([first["per_second"]])
    found: dict[str, list[Cell]] = {"peak": [], **{str(multiple): [] for multiple in MULTIPLES}}
    for number in range(count):
        found["peak"].append(peak(work, live, seconds))
        for multiple in MULTIPLES:
            found[str(multiple)].append(overload(work, live, seconds, multiple * capacity, number))
        say(f"{work.name}: {number + 1} of {count}")
    return {"workload": work.name, "capacity": capacity, "turns": found}


def main(
    count: Annotated[int, typer.Option(min=2, help="turns of each")] = 8,
    seconds: Annotated[float, typer.Option(min=1, help="of a turn")] = 4.0,
    into: Annotated[Path | None, typer.Option(help="the result file")] = None,
) -> None:
    """Measure, print, write."""
    measured = []
    with repository() as models:
        for name in WORKLOADS:
            work = workload(name, models)
            with running(OURS, work, models) as live:
                warm_up = Load(live.port, live.path, work.exchanges, WARM_UP, CLIENTS, settle=0.0)
                measurement.sent(warm_up, live.tree)
                measured.append(turns(work, live, count, seconds))
    document = results.document("overload", clients=CLIENTS, workloads=measured)
    results.write(into or results.path("overload"), document)
    report.show([document])
    print(json.dumps(document))


if __name__ == "__main__":
    typer.run(main)
