"""Processor time of an answer by thread, of the service and peers in turns: what is spent around the work?

    python -m benchmarks.threads

Threads of one name are added up, the first thread of each process is its `main`: in the service and in uvicorn that is
the event loop, in mosec's processes the work.
"""

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated

import psutil
import typer

from benchmarks import measurement, report, results
from benchmarks.load import Load
from benchmarks.machine import Tree
from benchmarks.servers import SERVERS, running
from benchmarks.workloads import repository, workload

LABELS = ("likeness", "likeness x 2", "fastapi lanes", "mosec lanes")
WARM_UP = 2.0  # seconds


Thread = tuple[int, str]
"""Its number, and the names of its process and of itself."""


def spent(tree: Tree) -> dict[Thread, float]:
    """Seconds of a core that each thread took so far."""
    found = dict[Thread, float]()
    for process in tree.processes():
        with suppress(psutil.NoSuchProcess, OSError):
            for thread in process.threads():
                comm = Path(f"/proc/{process.pid}/task/{thread.id}/comm").read_text().strip()
                name = "main" if thread.id == process.pid else comm
                found[thread.id, f"{process.name()}: {name}"] = thread.user_time + thread.system_time
    return found


def between(before: Mapping[Thread, float], after: Mapping[Thread, float]) -> Counter[str]:
    """Seconds in between, by name, of the threads that are still there."""
    found = Counter[str]()
    for thread, seconds in after.items():
        found[thread[1]] += seconds - before.get(thread, 0.0)
    return found


def main(
    name: Annotated[str, typer.Option("--workload")] = "aligned",
    clients: Annotated[int, typer.Option(min=1)] = 8,
    labels: Annotated[str, typer.Option(help="servers, with commas")] = ",".join(LABELS),
    count: Annotated[int, typer.Option(min=1, help="turns of each")] = 8,
    seconds: Annotated[float, typer.Option(min=1, help="of a turn")] = 3.0,
    into: Annotated[Path | None, typer.Option(help="the result file")] = None,
) -> None:
    """Measure, print, write."""
    chosen = [each for each in SERVERS if each.label in labels.split(",")]
    answers, took = Counter[str](), {each.label: Counter[str]() for each in chosen}
    with repository() as models, ExitStack() as stack:
        work = workload(name, models)
        live = {each.label: stack.enter_context(running(each, work, models)) for each in chosen}
        for each in live.values():
            measurement.sent(Load(each.port, each.path, work.exchanges, WARM_UP, clients, settle=0.0), each.tree)
        for _ in range(count):
            for label, each in live.items():
                before = spent(each.tree)
                load = Load(each.port, each.path, work.exchanges, seconds, clients, settle=0.0)
                answers[label] += sum(measurement.sent(load, each.tree)[0]["outcomes"].values())
                took[label].update(between(before, spent(each.tree)))
    threads = {
        label: {thread: 1000 * each / answers[label] for thread, each in took[label].most_common()} for label in took
    }
    document = results.document("threads", workload=name, clients=clients, answers=answers, milliseconds=threads)
    results.write(into or results.path("threads"), document)
    report.show([document])
    print(json.dumps(document))


if __name__ == "__main__":
    typer.run(main)
