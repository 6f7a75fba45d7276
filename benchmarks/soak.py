"""Half an hour of photos, a tenth of them broken: does the service keep its memory, its files and its answers?

    python -m benchmarks.soak

Every answer is compared with the right one of its input. Memory and open files are sampled all the time; the medians of
the second tenth, when everything has warmed up, and of the last one are what is compared.
"""

import itertools
import json
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import measurement, pictures, report, results
from benchmarks.exchanges import Exchange
from benchmarks.load import Load
from benchmarks.machine import Tree
from benchmarks.servers import OURS, running
from benchmarks.statistics import second_and_last_tenth
from benchmarks.workloads import photo, repository

BROKEN_EVERY = 10  # requests
INTERVAL = 1.0  # seconds between two samples


def mixed(photos: Sequence[Exchange]) -> list[Exchange]:
    """Photos, every tenth one replaced by something broken, until every photo and every kind of damage had its turn."""
    broken = [Exchange("image/jpeg", body, problem=code) for code, body in pictures.broken(photos[-1].body).items()]
    sound = itertools.cycle(photos)
    return [each for damaged in broken for each in (*itertools.islice(sound, BROKEN_EVERY - 1), damaged)]


def sampled(load: Load, tree: Tree) -> tuple[measurement.Cell, list[dict[str, float]]]:
    """The figures of the load, and seconds, bytes in memory and open files while it was sent."""
    samples = []
    began = time.perf_counter()
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(measurement.sent, load, tree)
        while not sending.done():
            moment = round(time.perf_counter() - began, 1)
            samples.append({"at": moment, "rss": tree.resident(), "files": tree.open_files()})
            time.sleep(INTERVAL)
    return sending.result()[0], samples


def compared(samples: Sequence[dict[str, float]], figure: str) -> dict[str, float]:
    """Medians of the second and of the last tenth, and the most there was."""
    values = [sample[figure] for sample in samples]
    second, last = map(statistics.median, second_and_last_tenth(values))
    return {"second_tenth": second, "last_tenth": last, "growth": last - second, "most": max(values)}


def main(
    minutes: Annotated[float, typer.Option(min=0.5)] = 30.0,
    clients: Annotated[int, typer.Option(min=1)] = 4,
    into: Annotated[Path | None, typer.Option(help="the result file")] = None,
) -> None:
    """Measure, print, write."""
    with repository() as models:
        work = photo(models)
        exchanges = mixed(work.exchanges)
        with running(OURS, work, models) as live:
            load = Load(live.port, live.path, exchanges, seconds=60 * minutes, clients=clients)
            cell, samples = sampled(load, live.tree)
    mix = {f"{width} x {height}": count for (width, height), count in pictures.MIX.items()}
    found: dict[str, Any] = {"clients": clients, "mix": mix, "broken_every": BROKEN_EVERY, "cell": cell}
    found |= {figure: compared(samples, figure) for figure in ("rss", "files")}
    document = results.document("soak", **found, samples=samples)
    results.write(into or results.path("soak"), document)
    report.show([document])
    print(json.dumps(document))


if __name__ == "__main__":
    typer.run(main)
