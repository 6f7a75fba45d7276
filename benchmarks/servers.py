"""The servers that are compared: how each is set, installed, started, found ready and ended."""

import asyncio
import hashlib
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.client import Connection
from benchmarks.exchanges import Outcome
from benchmarks.machine import ROOT, Tree
from benchmarks.workloads import Workload

PEERS = ROOT / "benchmarks" / "peers"
ENVIRONMENTS = ROOT / "build" / "peers"
START_LIMIT = 120.0  # seconds until a server must give its first right answer
STOP_LIMIT = 15.0


@dataclass(frozen=True)
class Server:
    """One server in one setting."""

    name: str
    setting: str = ""
    folder: str = ""
    """Under peers/; empty for the service itself and for the server that does no work."""
    command: tuple[str, ...] = ("python", "server.py")
    processes: int = 1
    lanes: int = 1
    """Threads of each process that do the work."""
    threads: int = 1
    """Of one run of the network."""

    @property
    def label(self) -> str:
        """Name and setting."""
        return f"{self.name} {self.setting}".strip()

    @property
    def is_ours(self) -> bool:
        """Whether it is the service itself."""
        return self.command[0] == "likeness"

    @property
    def requirements(self) -> Path:
        """What its environment holds."""
        return PEERS / self.folder / "requirements.txt"


OURS = Server("likeness", command=("likeness", "serve"))
STATIC = Server("static")

# mosec gives up after three seconds and refuses ten megabytes unless it is told otherwise
MOSEC = ("python", "server.py", "--timeout", "600000", "--max-request-size", "20000000", "--log-level", "warning")
BENTOML = ("bentoml", "serve", "server:Likeness")
# `lanes`: two pieces of work at a time, networks on one thread each; `wide`: a network runs on both cores.
SERVERS = (
    OURS,
    Server("likeness x 2", command=("likeness", "serve", "--workers", "2"), processes=2),
    Server("fastapi", "lanes", "fastapi", lanes=2),
    Server("fastapi", "wide", "fastapi", lanes=2, threads=2),
    Server("fastapi x 2", "lanes", "fastapi", processes=2, lanes=2),
    Server("litserve", "lanes", "litserve", processes=2),
    Server("litserve", "wide", "litserve", threads=2),
    Server("mosec", "lanes", "mosec", MOSEC, processes=2),
    Server("mosec", "wide", "mosec", MOSEC, threads=2),
    Server("bentoml", "lanes", "bentoml", BENTOML, processes=2),
    Server("bentoml", "wide", "bentoml", BENTOML, threads=2),
    Server("ray", "lanes", "ray", processes=2),
    Server("ray", "wide", "ray", threads=2),
)


class ServerError(Exception):
    """A server that does not start, or whose answers are not those of the work."""


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    port: int
    path: str
    tree: Tree
    start_seconds: float
    """From its start to its first answer."""


@dataclass(frozen=True)
class _Start:
    """How a process is begun."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path = ROOT
    input: bytes = b""


@contextmanager
def running(server: Server, workload: Workload, models: Path, environments: Path = ENVIRONMENTS) -> Iterator[Running]:
    """The server, for as long as the block lasts; ServerError unless it answers every picture of the workload right."""
    port = _free_port()
    path = workload.path if server.is_ours else "/answer"
    with (
        tempfile.TemporaryFile() as log,
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch,
    ):
        start = _start(server, workload, models, environments, port, scratch)
        given.write(start.input)
        given.seek(0)
        began = time.perf_counter()
        process = subprocess.Popen(
            start.command, env=start.environment, cwd=start.folder, stdin=given, stdout=log, stderr=log
        )
        tree = Tree(process.pid)
        try:
            seconds = asyncio.run(_first_answer(process, port, path, workload)) - began
            asyncio.run(_check(port, path, workload))
            yield Running(port, path, tree, seconds)
        except ServerError as error:
            log.seek(0)
            raise ServerError(f"{server.label}: {error}\n{log.read()[-4000:].decode(errors='replace')}") from None
        finally:
            _stop(process, tree)


def installed(server: Server, environments: Path) -> Path:
    """The folder of a peer's commands, its environment made anew if its requirements have changed."""
    digest = hashlib.sha256(server.requirements.read_bytes()).hexdigest()
    folder = environments.resolve() / server.folder
    stamp = folder / "requirements.sha256"
    if not stamp.exists() or stamp.read_text() != digest:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "pip"), "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--requirement", str(server.requirements)], check=True)
        stamp.write_text(digest)
    return folder / "bin"


def _start(server: Server, workload: Workload, models: Path, environments: Path, port: int, scratch: str) -> _Start:
    """`scratch` is where the server may leave what it likes."""
    inherited = {"PATH": os.environ["PATH"], "HOME": scratch, "TMPDIR": scratch}
    inherited |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}
    if server == STATIC:
        command = [sys.executable, "-m", "benchmarks.static", str(port)]
        return _Start(command, inherited, input=pickle.dumps(list(workload.exchanges)))
    program, *arguments = server.command
    if server.is_ours:
        command = [str(Path(sys.executable).with_name(program)), *arguments, "--port", str(port)]
        return _Start(command, {**inherited, "LIKENESS_MODELS": str(models), "LIKENESS_LOG_LEVEL": "warning"})
    commands = installed(server, environments)
    knobs = {
        "BENCHMARK_WORK": workload.name,
        "BENCHMARK_MODELS": str(models),
        "BENCHMARK_PORT": str(port),
        "BENCHMARK_PROCESSES": str(server.processes),
        "BENCHMARK_LANES": str(server.lanes),
        "BENCHMARK_THREADS": str(server.threads),
        "PATH": f"{commands}:{inherited['PATH']}",
        "BENTOML_DO_NOT_TRACK": "True",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
    }
    if server.folder == "mosec":  # reads its port from nowhere else
        arguments += ["--address", "127.0.0.1", "--port", str(port)]
    return _Start([str(commands / program), *arguments], {**inherited, **knobs}, PEERS / server.folder)


async def _first_answer(process: subprocess.Popen[bytes], port: int, path: str, workload: Workload) -> float:
    """The moment of the first 200."""
    deadline = time.monotonic() + START_LIMIT
    request = workload.exchanges[0].request(path)
    while process.poll() is None and time.monotonic() < deadline:
        try:
            connection = await Connection.to(port)
            async with asyncio.timeout(START_LIMIT):
                answer = await connection.send(request)
            connection.close()
            if answer.status == 200:
                return time.perf_counter()
        except OSError:
            pass  # the port is not open yet
        await asyncio.sleep(0.05)
    raise ServerError("did not become ready")


async def _check(port: int, path: str, workload: Workload) -> None:
    """Every picture once."""
    for index, exchange in enumerate(workload.exchanges):
        connection = await Connection.to(port)
        answer = await connection.send(exchange.request(path))
        connection.close()
        if exchange.outcome(answer) is not Outcome.RIGHT:
            raise ServerError(f"picture {index}: {answer.status}, {len(answer.body)} bytes that are not the work's")


def _stop(process: subprocess.Popen[bytes], tree: Tree) -> None:
    """Ask it to end, then end whatever is left of it."""
    family = tree.processes()
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    _, left = psutil.wait_procs(family, timeout=STOP_LIMIT)
    for each in left:
        each.kill()
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
