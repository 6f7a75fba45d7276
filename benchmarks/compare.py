"""The service beside other servers that do the same work, and beside the work without any server.

    python -m benchmarks.compare --quick     (make bench)
    python -m benchmarks.compare             (make bench-full)

Rounds are interleaved: each starts every server anew, in an order of its own, warms it up and measures it under each
number of clients; three rounds give the ratios their confidence. After that the service and the two fastest peers of
each workload get arrivals at multiples of what each can do. The result file is written after every measurement, and the
same command goes on where an earlier run of the same commit stopped.
"""

import itertools
import json
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import cells, measurement, report, results
from benchmarks.load import Load
from benchmarks.machine import commit
from benchmarks.measurement import SLO
from benchmarks.raw import RawLoad
from benchmarks.results import Ledger
from benchmarks.servers import ENVIRONMENTS, OURS, SERVERS, STATIC, Running, Server, ServerError, running
from benchmarks.workloads import Workload, repository, workload

WORKLOADS = ("noop", "aligned", "photo", "example", "verify")
CLIENTS = (1, 2, 4, 8, 32)
FEW_CLIENTS = (1, 8)
LOADS = (0.5, 1.0, 2.0, 4.0)
WARM_UP_CLIENTS = 4
STATIC_CLIENTS = 8
AFTERMATH = 8.0  # seconds at half of what a server can do, after it was asked for more than that
RAW = {"narrow": (1, 1), "wide": (1, 2), "lanes": (2, 1)}  # loops, and threads of a network's run

QUICK_WORKLOADS = ("noop", "aligned", "photo")
QUICK_SERVERS = ("likeness", "fastapi lanes")
QUICK_CLIENTS = (1, 32)

say = Console(stderr=True, markup=False, highlight=False).print


@dataclass(frozen=True)
class Protocol:
    """How often and how long."""

    rounds: int = 3
    seconds: float = 15.0
    settle: float = 2.0
    warm_up: float = 5.0
    idle: float = 20.0


class Comparison:
    """What is measured, cell by cell; what the ledger has already is not measured again."""

    def __init__(self, ledger: Ledger, protocol: Protocol, models: Path, environments: Path) -> None:
        self._ledger = ledger
        self._protocol = protocol
        self._models = models
        self._environments = environments

    def closed(self, work: Workload, server: Server, number: int, clients: Sequence[int]) -> None:
        """One round of one server under each number of clients."""
        key = _key(work, server, number)
        missing = [count for count in clients if self._ledger.misses(**key, clients=count)]
        if not missing:
            return
        with self._warm(server, work) as live:
            for count in missing:
                cell, _ = measurement.sent(self._load(live, work, clients=count), live.tree)
                self._add({**key, "clients": count, **cell})
            if number == 0 and work.name == "photo" and server != STATIC:
                self._ledger.add_footprint({**key, **self._footprint(live)})

    def raw(self, work: Workload, number: int) -> None:
        """One round of the work without a server."""
        for setting, (loops, threads) in RAW.items():
            key = {**_key(work, Server("raw", setting), number), "clients": loops}
            if self._ledger.misses(**key):
                load = RawLoad(work.name, self._models, work.exchanges, loops, threads, **self._timing)
                self._add({**key, **measurement.looped(load)})

    def open(self, work: Workload, server: Server, number: int) -> None:
        """One round of one server under arrivals; each load finds it fresh, without what an earlier one left."""
        capacity = self.capacity(work.name, server)
        for multiple in LOADS:
            key = {**_key(work, server, number), "load": multiple}
            if not self._ledger.misses(**key):
                continue
            end = self._protocol.seconds
            rates = [(multiple * capacity, self._protocol.settle + end)]
            rates += [(capacity / 2, AFTERMATH)] if multiple > 1 else []
            with self._warm(server, work) as live:
                cell, samples = measurement.sent(self._load(live, work, rates=rates, seed=number), live.tree)
            if multiple > 1:
                cell["recovery"] = measurement.recovery(samples, end)
            self._add({**key, "capacity": capacity, **cell})

    def capacity(self, name: str, server: Server) -> float:
        """Right answers a second that the server gave at best: at its best number of clients, the median round."""
        rates: dict[int, list[float]] = {}
        for cell in self._ledger.cells:
            of_it = (cell["workload"], cell["server"], cell["setting"]) == (name, server.name, server.setting)
            if of_it and cell.get("clients"):
                rates.setdefault(cell["clients"], []).append(statistics.mean(cell["per_second"]))
        return max((statistics.median(rounds) for rounds in rates.values()), default=0.0)

    def fastest(self, name: str, servers: Sequence[Server], count: int) -> list[Server]:
        """The peers, each in its best setting, that answered most."""
        able = [each for each in servers if not each.is_ours and self.capacity(name, each)]
        ranked = sorted(able, key=lambda each: -self.capacity(name, each))
        best = {each.name: each for each in reversed(ranked)}
        return sorted(best.values(), key=ranked.index)[:count]

    @contextmanager
    def _warm(self, server: Server, work: Workload) -> Iterator[Running]:
        with running(server, work, self._models, self._environments) as live:
            warm_up = {"clients": WARM_UP_CLIENTS, "seconds": self._protocol.warm_up, "settle": 0.0}
            measurement.sent(Load(live.port, live.path, work.exchanges, **warm_up), live.tree)
            yield live

    def _load(self, live: Running, work: Workload, **how: Any) -> Load:
        """Arrivals do not wait for longer than SLO, and tell the service so; peers know no such header."""
        hurried = {"X-Request-Timeout": f"{SLO:g}"} if "rates" in how else {}
        exchanges = [each.with_headers(hurried) for each in work.exchanges]
        return Load(live.port, live.path, exchanges, **self._timing, **how)

    @property
    def _timing(self) -> dict[str, float]:
        return {"seconds": self._protocol.seconds, "settle": self._protocol.settle}

    def _add(self, cell: dict[str, Any]) -> None:
        self._ledger.add(cell)
        say(cells.line(cell))

    def _footprint(self, live: Running) -> dict[str, Any]:
        """What the server takes when nobody asks it any more."""
        time.sleep(1)
        before = live.tree.cpu()
        time.sleep(self._protocol.idle)
        return {
            "start_seconds": round(live.start_seconds, 2),
            "idle": round((live.tree.cpu() - before) / self._protocol.idle, 5),
            "processes": len(live.tree.processes()),
            "rss": live.tree.resident(),
            "pss": live.tree.proportional(),
        }


def _key(work: Workload, server: Server, number: int) -> dict[str, Any]:
    return {"round": number, "workload": work.name, "server": server.name, "setting": server.setting}


def _measure_closed(
    comparison: Comparison, works: Sequence[Workload], servers: Sequence[Server], clients: Sequence[int], number: int
) -> None:
    """One round of every server of every workload."""
    blocks = list(itertools.product(works, servers))
    random.Random(number).shuffle(blocks)
    for work, server in blocks:
        if _belongs(work, server):
            few = work.name == "example" or server.setting == "wide"
            with _told():
                comparison.closed(work, server, number, FEW_CLIENTS if few else clients)


def _measure_bounds(comparison: Comparison, works: Sequence[Workload], number: int, quick: bool) -> None:
    """One round of what the work takes without a server, and of what the load generator can ask."""
    for work in works:
        if work.name == "aligned" or (work.name == "photo" and not quick):
            comparison.raw(work, number)
        if work.name in ("noop", "photo") and not quick:
            comparison.closed(work, STATIC, number, [STATIC_CLIENTS])


def _measure_open(comparison: Comparison, works: Sequence[Workload], servers: Sequence[Server], number: int) -> None:
    """One round of the service and the two fastest peers."""
    for work in works:
        if work.name in QUICK_WORKLOADS:
            for server in [OURS, *comparison.fastest(work.name, servers, 2)]:
                with _told():
                    comparison.open(work, server, number)


def _belongs(work: Workload, server: Server) -> bool:
    """The service does nothing as examples do, and only it verifies; a no-op has no use for a second thread."""
    match work.name:
        case "example":
            return not server.is_ours and server.setting != "wide"
        case "verify":
            return server == OURS
        case "noop":
            return server.setting != "wide"
    return True


@contextmanager
def _told() -> Iterator[None]:
    """A server that fails is no reason to stop measuring the others; what is missing is measured by the next run."""
    try:
        yield
    except (ServerError, OSError) as error:
        say(str(error), style="red")


def _versions() -> list[str]:
    """Which peers; what else their environments hold stands in their requirements of the same commit."""
    folders = {each.folder for each in SERVERS if each.folder}
    pins = {pin for each in SERVERS if each.folder for pin in each.requirements.read_text().split()}
    return sorted(pin for pin in pins if pin.partition("==")[0] in folders)


def main(
    quick: Annotated[bool, typer.Option("--quick", help="a part of it, in twenty minutes")] = False,
    workloads: Annotated[str, typer.Option(help="names with commas; empty: all")] = "",
    servers: Annotated[str, typer.Option(help="names or labels with commas; empty: all")] = "",
    clients: Annotated[str, typer.Option(help="numbers with commas; empty: all")] = "",
    loads: Annotated[bool, typer.Option(help="arrivals at given rates as well")] = True,
    rounds: Annotated[int, typer.Option(min=1)] = Protocol.rounds,
    seconds: Annotated[float, typer.Option(min=1, help="that each measurement lasts")] = Protocol.seconds,
    settle: Annotated[float, typer.Option(min=0, help="of the same load before it")] = Protocol.settle,
    warm_up: Annotated[float, typer.Option(min=1, help="of every server after its start")] = Protocol.warm_up,
    idle: Annotated[float, typer.Option(min=1, help="that a server is left alone after its load")] = Protocol.idle,
    environments: Annotated[Path, typer.Option(help="where the peers' environments are kept")] = ENVIRONMENTS,
    into: Annotated[Path | None, typer.Option(help="the result file; it is gone on with")] = None,
) -> None:
    """Measure, print, write."""
    names = workloads.split(",") if workloads else QUICK_WORKLOADS if quick else WORKLOADS
    counts = [int(count) for count in clients.split(",")] if clients else QUICK_CLIENTS if quick else CLIENTS
    wanted = servers.split(",") if servers else QUICK_SERVERS if quick else [each.name for each in SERVERS]
    chosen = [each for each in SERVERS if {each.name, each.label} & {*wanted}]
    place = into or results.FOLDER / f"compare-{'quick-' if quick else ''}{commit()}.json"
    ledger = Ledger(place, "compare", peers=_versions())
    with repository() as models:
        say("working out the right answers")
        works = [workload(name, models) for name in names]
        comparison = Comparison(ledger, Protocol(rounds, seconds, settle, warm_up, idle), models, environments)
        for number in range(rounds):
            _measure_closed(comparison, works, chosen, counts, number)
            _measure_bounds(comparison, works, number, quick)
        for number in range(rounds if loads and not quick else 0):
            _measure_open(comparison, works, chosen, number)
    report.show([ledger.document])
    print(json.dumps(ledger.document))


if __name__ == "__main__":
    typer.run(main)
