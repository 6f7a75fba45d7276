"""One measurement: a load is sent to a server, or done without one, and what came of it is counted."""

import json
import os
import pickle
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmarks import machine, statistics
from benchmarks.exchanges import Outcome
from benchmarks.load import Load, Sample
from benchmarks.machine import Tree
from benchmarks.raw import RawLoad

SLO = 1.0  # seconds within which an answer is worth something

Cell = dict[str, Any]
"""The figures of one measurement, as they stand in a result file."""


def sent(load: Load, tree: Tree) -> tuple[Cell, list[Sample]]:
    """The figures of a load sent to a server, whose processes are `tree`, and what became of each request."""
    return _measured(load, "benchmarks.load", tree)


def looped(load: RawLoad) -> Cell:
    """The figures of the work without a server."""
    return _measured(load, "benchmarks.raw", None)[0]


def _measured(load: Load | RawLoad, module: str, tree: Tree | None) -> tuple[Cell, list[Sample]]:
    """Run the generator and sample the processes while it measures."""
    command = [sys.executable, "-m", module]
    with subprocess.Popen(command, cwd=machine.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        pickle.dump(load, process.stdin)
        process.stdin.close()
        tree = tree or Tree(process.pid)
        first = _sampled(process.stdout.readline(), b"begin\n", tree)
        last = _sampled(process.stdout.readline(), b"end\n", tree)
        memory = {"rss": tree.resident(), "pss": tree.proportional()}
        told = json.loads(process.stdout.read())
    samples = [Sample(start, seconds, Outcome(word), index) for start, seconds, word, index in told["samples"]]
    wall, server, busy = (end - start for start, end in zip(first, last, strict=True))
    counted = open_loop(samples, load.seconds) if getattr(load, "rates", ()) else closed_loop(samples, load.seconds)
    usage = {
        "server_cpu": round(server, 3),
        "client_cpu": round(told["cpu"], 3),
        # what others took of the machine while this was measured
        "foreign": round(max(0.0, busy - server - told["cpu"]) / wall / len(os.sched_getaffinity(0)), 4),
    }
    return {**counted, **usage, **memory}, samples


def _sampled(line: bytes, expected: bytes, tree: Tree) -> tuple[float, float, float]:
    if line != expected:
        raise RuntimeError(f"the generator said {line!r}, not {expected!r}")
    return time.perf_counter(), tree.cpu(), machine.busy()


def closed_loop(samples: Sequence[Sample], seconds: float) -> Cell:
    """Figures of the requests that ended within the measured seconds."""
    ended = [each for each in samples if 0 <= each.start + each.seconds < seconds]
    return _counted(ended, [each.start + each.seconds for each in ended], seconds)


def open_loop(samples: Sequence[Sample], seconds: float) -> Cell:
    """Figures of the requests that were due within the measured seconds."""
    due = [each for each in samples if 0 <= each.start < seconds]
    return {**_counted(due, [each.start for each in due], seconds), "offered": round(len(due) / seconds, 3)}


def recovery(samples: Sequence[Sample], overload_end: float) -> float:
    """Seconds after an overload's end until every request that is due gets its answer in time."""
    late = [each.start - overload_end for each in samples if each.start >= overload_end and not _good(each)]
    return max(late, default=0.0)


def _counted(samples: Sequence[Sample], moments: Sequence[float], seconds: float) -> Cell:
    """`moments` say in which second each sample counts."""
    right = [each.seconds for each in samples if each.outcome is Outcome.RIGHT]
    refused = [each.seconds for each in samples if each.outcome is Outcome.REFUSED]
    per_second = [0] * round(seconds)
    good = 0
    for sample, moment in zip(samples, moments, strict=True):
        if sample.outcome is Outcome.RIGHT:
            per_second[min(int(moment), len(per_second) - 1)] += 1
            good += _good(sample)
    return {
        "seconds": seconds,
        "per_second": per_second,
        "outcomes": dict(Counter(each.outcome for each in samples)),
        "good": good,
        "latency": statistics.percentiles(right),
        "refusal": statistics.percentiles(refused),
    }


def _good(sample: Sample) -> bool:
    return sample.outcome is Outcome.RIGHT and sample.seconds <= SLO
