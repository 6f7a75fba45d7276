"""The service and a peer, both alive, in turns of two seconds: a machine whose speed drifts does so to both.

    python -m benchmarks.duel
    python -m benchmarks.duel --ours "likeness x 2" --peers "mosec lanes,fastapi lanes" --clients 2,4,8,32 --into RESULT

Where the work is dear, servers differ by less than the speed of a machine with neighbours does from one half minute to
the next, and `compare`, which measures a server in one go, cannot tell them apart. Here one rests while the other is
asked. Each round starts both anew: the same program may be some per cent faster or slower for the life of a process,
by how its memory happens to lie.
"""

import itertools
import json
import random
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import measurement, report, results
from benchmarks.load import Load
from benchmarks.machine import commit
from benchmarks.servers import OURS, SERVERS, Running, Server, running
from benchmarks.workloads import Workload, repository, workload

WORKLOADS = ("aligned", "photo")
PEERS = ("fastapi lanes", "fastapi wide", "mosec lanes", "mosec wide", "bentoml lanes")
CLIENTS = (1, 2, 4, 8, 32)
WARM_UP = 2.0  # seconds
SETTLE = 0.3  # seconds of a turn before what counts

say = Console(stderr=True, markup=False, highlight=False).print


def turns(
    work: Workload, ours: Running, theirs: Running, clients: int, count: int, seconds: float, draw: random.Random
) -> dict[str, Any]:
    """Right answers in each second of each turn, of both; who begins a pair of turns is drawn."""
    found: dict[str, list[list[int]]] = {"ours": [], "theirs": []}
    for _ in range(count):
        pair = [("ours", ours), ("theirs", theirs)]
        draw.shuffle(pair)
        for name, live in pair:
            load = Load(live.port, live.path, work.exchanges, seconds, clients, settle=SETTLE)
            cell, _ = measurement.sent(load, live.tree)
            if set(cell["outcomes"]) - {"right"}:
                raise RuntimeError(f"{name}: {cell['outcomes']}")
            found[name].append(cell["per_second"])
    return found


def main(
    workloads: Annotated[str, typer.Option(help="names with commas")] = ",".join(WORKLOADS),
    ours: Annotated[str, typer.Option(help="label of the service's setting")] = OURS.label,
    peers: Annotated[str, typer.Option(help="labels with commas")] = ",".join(PEERS),
    clients: Annotated[str, typer.Option(help="numbers with commas")] = ",".join(map(str, CLIENTS)),
    rounds: Annotated[int, typer.Option(min=2, help="times that both are started")] = 5,
    count: Annotated[int, typer.Option(min=1, help="turns of each in a round")] = 3,
    seconds: Annotated[float, typer.Option(min=1, help="of a turn")] = 2.0,
    into: Annotated[Path | None, typer.Option(help="the result file; it is gone on with")] = None,
) -> None:
    """Measure, print, write."""
    place = into or results.FOLDER / f"duel-{commit()}.json"
    ledger = results.Ledger(place, "duel")
    service = next(each for each in SERVERS if each.label == ours)
    numbers = [int(each) for each in clients.split(",")]
    with repository() as models:
        works = [workload(name, models) for name in workloads.split(",")]
        met = [each for each in SERVERS if each.label in peers.split(",")]
        for round_, work, peer in itertools.product(range(rounds), works, met):
            _meet(ledger, round_, work, service, peer, models, numbers, count, seconds)
    report.show([ledger.document])
    print(json.dumps(ledger.document))


def _meet(
    ledger: results.Ledger,
    round_: int,
    work: Workload,
    service: Server,
    peer: Server,
    models: Path,
    clients: list[int],
    count: int,
    seconds: float,
) -> None:
    """What is not measured yet; a wide peer has no chance in company."""
    wanted = [each for each in clients if each == 1 or peer.setting != "wide"]
    met = {"round": round_, "workload": work.name, "service": service.label}
    met |= {"server": peer.name, "setting": peer.setting}
    keys = [{**met, "clients": each} for each in wanted]
    missing = [key for key in keys if ledger.misses(**key)]
    if not missing:
        return
    draw = random.Random(round_)
    with running(service, work, models) as ours, running(peer, work, models) as theirs:
        for live in (ours, theirs):
            measurement.sent(Load(live.port, live.path, work.exchanges, WARM_UP, 4, settle=0.0), live.tree)
        for key in missing:
            ledger.add({**key, **turns(work, ours, theirs, key["clients"], count, seconds, draw)})
            say(f"round {round_ + 1}: {work.name}, {key['clients']} clients: {peer.label}")


if __name__ == "__main__":
    typer.run(main)
