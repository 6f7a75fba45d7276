"""Where the milliseconds of a request go that is alone.

    python -m benchmarks.stages

The service tells the stages of every answer in `Server-Timing`. What it does not tell is the rest of what a client
waits for: HTTP on both sides, the request's options and admission, changes of threads.
"""

import asyncio
import json
import statistics
import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import pictures, report, results
from benchmarks.client import Connection
from benchmarks.exchanges import Exchange
from benchmarks.servers import OURS, running
from benchmarks.workloads import PLAIN, READY, repository, workload
from service.telemetry import STAGES

WARM_UP = 20  # requests
REST = "rest"
SIZES = {"12 megapixels": (4000, 3000), "1.9 megapixels": (1600, 1200), "640 x 480": (640, 480)}


def requests(models: Path) -> dict[str, list[bytes]]:
    """Whole requests, by what they are called in the table."""
    noop, aligned, verify = (workload(name, models).exchanges for name in ("noop", "aligned", "verify"))
    found = {
        "A": [each.request(f"/translate?model=noop&{READY}") for each in noop],
        "B": [each.request(f"/translate?{READY}") for each in aligned],
        "/verify": [each.request("/verify") for each in verify],
    }
    for name, size in SIZES.items():
        photos = [Exchange("image/jpeg", body) for body in pictures.photos({size: 4})]
        found[f"C, {name}"] = [each.request(f"/translate?{PLAIN}") for each in photos]
        found[f"{name}, and its score"] = [each.request("/translate") for each in photos]
    return found


async def timed(port: int, wanted: list[bytes], count: int) -> dict[str, float]:
    """Median milliseconds of each stage, of the rest and of all, over `count` requests one after the other."""
    connection = await Connection.to(port)
    rows: list[dict[str, float]] = []
    for number in range(WARM_UP + count):
        started = time.perf_counter()
        answer = await connection.send(wanted[number % len(wanted)])
        total = 1000 * (time.perf_counter() - started)
        told = (answer.header(b"server-timing") or b"").decode()
        stages = {stage: float(spent) for stage, _, spent in (each.partition(";dur=") for each in told.split(", "))}
        rows.append({**stages, REST: total - sum(stages.values()), "all": total})
        assert answer.status == 200
    connection.close()
    return {name: round(statistics.median(row[name] for row in rows[WARM_UP:]), 3) for name in rows[-1]}


def main(
    count: Annotated[int, typer.Option(min=1, help="requests of each kind")] = 200,
    into: Annotated[Path | None, typer.Option(help="the result file")] = None,
) -> None:
    """Measure, print, write."""
    with repository() as models:
        wanted = requests(models)
        with running(OURS, workload("aligned", models), models) as live:
            found = {name: asyncio.run(timed(live.port, each, count)) for name, each in sorted(wanted.items())}
    order = [name for name in (*STAGES, REST, "all") if any(name in row for row in found.values())]
    document = results.document("stages", requests=count, stages=order, milliseconds=found)
    results.write(into or results.path("stages"), document)
    report.show([document])
    print(json.dumps(document))


if __name__ == "__main__":
    typer.run(main)
