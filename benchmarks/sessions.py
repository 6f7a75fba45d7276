"""What ONNX Runtime's sessions cost: threads, callers and batches; the options that speed or memory could hang on.

    python -m benchmarks.sessions                                      # a few minutes on an otherwise idle machine
    python -m benchmarks.sessions --preload /usr/lib/x86_64-linux-gnu/libjemalloc.so.2

Every row is the bundled models in a process of its own, several times in turn with all the others, and the best of each
figure: whatever else the machine does only adds to it. One line of JSON comes last and goes to benchmarks/results/.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import numpy as np
import onnxruntime
import psutil

from benchmarks.machine import ROOT, commit, machine
from export.repository import GRAPH, Entry, Repository
from service import sessions
from service.machine import held

ROWS = 16  # runs of one measurement
IDLE = 1.0  # seconds in which nobody asks for anything
MIB = 2**20
RESULTS = ROOT / "benchmarks" / "results"
MODELS = ("caricature", "sphereface")
BOTH = "both"
SERVED = "as served"

Options = onnxruntime.SessionOptions
Figures = dict[str, float]
Change = Callable[[Options], object]


def _entry(name: str, value: str) -> Change:
    return lambda options: options.add_session_config_entry(name, value)


def _attribute(name: str, value: object) -> Change:
    return lambda options: setattr(options, name, value)


LEVELS = onnxruntime.GraphOptimizationLevel
OWN_ARENA = _entry("session.use_env_allocators", "0")
# What is changed of the service's own options.
CHANGES: dict[str, Sequence[Change]] = {
    SERVED: (),
    "an arena for each session": (OWN_ARENA,),
    "no arena": (OWN_ARENA, _attribute("enable_cpu_mem_arena", False)),
    "memory patterns": (_attribute("enable_mem_pattern", True),),
    "workers that spin": (_entry("session.intra_op.allow_spinning", "1"),),
    "parallel execution": (_attribute("execution_mode", onnxruntime.ExecutionMode.ORT_PARALLEL),),
    "basic optimisation": (_attribute("graph_optimization_level", LEVELS.ORT_ENABLE_BASIC),),
    "extended optimisation": (_attribute("graph_optimization_level", LEVELS.ORT_ENABLE_EXTENDED),),
    "denormals are zero": (_entry("session.set_denormal_as_zero", "1"),),
    "weights as they are": (_entry("session.disable_prepacking", "1"),),
}
SHRINKING = "an arena that shrinks after each run"


@dataclass(frozen=True)
class Case:
    """One row of the tables."""

    model: str
    change: str = SERVED
    threads: int = 1
    callers: int = 1
    batch: int = 1

    @property
    def label(self) -> str:
        """For the table."""
        words = f"{self.model}, {self.threads} thread{'s' * (self.threads > 1)}, {self.callers} at a time"
        return words + (f", batches of {self.batch}" if self.batch > 1 else "") + f": {self.change}"


def cases(cores: int) -> list[Case]:
    """What is measured."""
    together = [
        Case(model, threads=threads, callers=callers)
        for model in MODELS
        for threads, callers in ((1, 1), (cores, 1), (1, cores), (cores, cores))
    ]
    batches = [Case(model, batch=batch) for model in MODELS for batch in (2, 4, 8)]
    return together + batches + [Case(BOTH, change, cores, cores) for change in (*CHANGES, SHRINKING)]


# In a process of its own


def measure(case: Case) -> Figures:
    """Open the case's sessions, run them, and count."""
    repository = Repository(ROOT / "models")
    names = MODELS if case.model == BOTH else (case.model,)
    # Together they are what a service holds: every model narrow and wide.
    threads = sorted({1, case.threads}) if case.model == BOTH else [case.threads]
    process, before, started = psutil.Process(), held(), time.perf_counter()
    opened = [_open(repository.resolve(name), each, case.change) for name in names for each in threads]
    figures = {"load_ms": 1e3 * (time.perf_counter() - started)}
    feeds = [_feed(session, case.batch) for session in opened]
    for session, feed in zip(opened, feeds, strict=True):
        session.run(None, feed)
    figures["opened_mib"] = (held() - before) / MIB
    figures |= _timed(opened[0], feeds[0], case)
    if case.model == BOTH:
        wide = [_seconds(opened[len(threads) - 1], feeds[0], case) for _ in range(ROWS // 2)]
        figures["wide_ms"] = 1e3 * min(wide)
    figures["used_mib"] = (held() - before) / MIB
    busy = sum(process.cpu_times()[:2])
    time.sleep(IDLE)
    figures["idle_percent"] = 100 * (sum(process.cpu_times()[:2]) - busy) / IDLE
    return figures


def _open(entry: Entry, threads: int, change: str) -> onnxruntime.InferenceSession:
    sessions.share_arena()
    options = sessions.options(threads)
    for each in CHANGES.get(change, ()):
        each(options)
    return onnxruntime.InferenceSession(str(entry.path(GRAPH)), options, providers=["CPUExecutionProvider"])


def _feed(session: onnxruntime.InferenceSession, batch: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    shapes = {port.name: ([batch, *port.shape[1:]], port.type) for port in session.get_inputs()}
    return {
        name: random.integers(0, 256, shape, dtype=np.uint8)
        if kind == "tensor(uint8)"
        else random.uniform(0, 1, shape).astype(np.float32)
        for name, (shape, kind) in shapes.items()
    }


def _timed(session: onnxruntime.InferenceSession, feed: dict[str, np.ndarray], case: Case) -> Figures:
    """Milliseconds of the fastest run, and of a row with all callers at work: by the clock, and of processors."""
    runs: list[float] = []

    def call() -> None:
        runs.extend(_seconds(session, feed, case) for _ in range(ROWS // case.batch))

    threads = [Thread(target=call) for _ in range(case.callers)]
    started, busy = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = len(runs) * case.batch
    return {
        "run_ms": 1e3 * min(runs),
        "row_ms": 1e3 * (time.perf_counter() - started) / rows,
        "row_cpu_ms": 1e3 * (time.process_time() - busy) / rows,
    }


def _seconds(session: onnxruntime.InferenceSession, feed: dict[str, np.ndarray], case: Case) -> float:
    options = onnxruntime.RunOptions()
    if case.change == SHRINKING:
        options.add_run_config_entry(sessions.SHRINK, "cpu:0")
    started = time.perf_counter()
    session.run(None, feed, options)
    return time.perf_counter() - started


# In the process that is called


def main() -> None:
    """Measure everything in turn, print tables, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--preload", default="", help="a library with another malloc")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(measure(Case(**json.loads(arguments.case)))))
        return
    wanted = cases(len(os.sched_getaffinity(0)))
    best: dict[Case, Figures] = {}
    for _ in range(arguments.rounds):
        for case in wanted:
            figures = _apart(case, arguments.preload)
            known = best.get(case, figures)
            best[case] = {name: min(value, known[name]) for name, value in figures.items()}
    _print(best)
    result = {
        "benchmark": "sessions",
        "commit": commit(),
        "machine": machine(),
        "preload": Path(arguments.preload).name,
        "cases": [asdict(case) | {name: round(value, 2) for name, value in best[case].items()} for case in wanted],
    }
    line = json.dumps(result)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"sessions-{stamp}.json").write_text(line + "\n")
    print(line)


def _apart(case: Case, preload: str) -> Figures:
    command = [sys.executable, "-m", "benchmarks.sessions", "--case", json.dumps(asdict(case))]
    environment = {**os.environ, "LD_PRELOAD": preload}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def _print(best: dict[Case, Figures]) -> None:
    names = ("load_ms", "opened_mib", "used_mib", "run_ms", "row_ms", "row_cpu_ms", "wide_ms", "idle_percent")
    print("| case |", " | ".join(name.replace("_", " ") for name in names), "|")
    print("|---" * (len(names) + 1) + "|")
    for case, figures in best.items():
        said = (f"{figures[name]:.1f}" if name in figures else "" for name in names)
        print(f"| {case.label} |", " | ".join(said), "|")


if __name__ == "__main__":
    main()
