"""Three of ten clients leave while they wait: how much of the service's work is for nobody?

    python -m benchmarks.leaving

They leave at a random moment within the time that an answer takes at the median when nobody leaves. The service's own
counters say what it worked, and what of that after the client had gone.
"""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from prometheus_client.parser import text_string_to_metric_families

from benchmarks import measurement, report, results
from benchmarks.client import Connection
from benchmarks.load import Load
from benchmarks.measurement import Cell
from benchmarks.servers import OURS, Running, running
from benchmarks.workloads import repository, workload

WORK, WASTED = "likeness_work_seconds_total", "likeness_wasted_seconds_total"


async def counters(port: int) -> dict[str, float]:
    """The service's counters of work, by name."""
    connection = await Connection.to(port)
    answer = await connection.send(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    connection.close()
    families = text_string_to_metric_families(answer.body.decode())
    return {
        sample.name: sample.value for family in families for sample in family.samples if sample.name in (WORK, WASTED)
    }


def asked(live: Running, load: Load) -> Cell:
    """The figures of a load, and the seconds that the service worked and wasted meanwhile."""
    before = asyncio.run(counters(live.port))
    cell = measurement.sent(load, live.tree)[0]
    after = asyncio.run(counters(live.port))
    return {**cell, "worked": after[WORK] - before[WORK], "wasted": after[WASTED] - before[WASTED]}


def main(
    seconds: Annotated[float, typer.Option(min=1, help="that each part lasts")] = 60.0,
    clients: Annotated[int, typer.Option(min=1)] = 8,
    share: Annotated[float, typer.Option(min=0, max=1, help="of the clients that leave")] = 0.3,
    into: Annotated[Path | None, typer.Option(help="the result file")] = None,
) -> None:
    """Measure, print, write."""
    found = {}
    with repository() as models:
        for name in ("aligned", "photo"):
            work = workload(name, models)
            with running(OURS, work, models) as live:
                patient = Load(live.port, live.path, work.exchanges, seconds, clients)
                staying = asked(live, patient)
                stay = staying["latency"]["p50"] / 1000
                hasty = Load(live.port, live.path, work.exchanges, seconds, clients, leaving=share, stay=stay)
                found[name] = {"staying": staying, "leaving": asked(live, hasty), "stay": stay}
    document = results.document("leaving", clients=clients, share=share, workloads=found)
    results.write(into or results.path("leaving"), document)
    report.show([document])
    print(json.dumps(document))


if __name__ == "__main__":
    typer.run(main)
