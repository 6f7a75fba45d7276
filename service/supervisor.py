"""Workers: several processes that serve on one socket, and the process that sees to it that they are there.

Each worker is a service of its own, with its share of the cores; what one holds is lost with it and nothing else. The
supervisor starts another one in place of one that died or hangs. uvicorn's supervisor would run uvicorn's own server,
waits for ever for workers that do not end, and keeps the socket open while they drain.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, MutableSequence
from contextlib import contextmanager
from ctypes import c_double, c_int
from multiprocessing.connection import wait
from types import FrameType

import uvicorn

from service.acceptor import Loads
from service.logs import configure_logging, log
from service.machine import cores
from service.server import RELEASE, serve
from service.settings import Settings
from service.telemetry import MULTIPROCESS, worker_ended

HUNG = 30.0
"""Seconds without a turn of its event loop after which a worker that has served is ended."""
PAUSE = 0.5
"""Seconds before another worker takes the place of one, so that a crash at start is no storm of processes."""

_TICK = 0.5
_processes = multiprocessing.get_context("spawn")


class Worker:
    """A process that runs `target(beat, *args)`; `beat` is to be called as long as it serves."""

    def __init__(self, target: Callable[..., int], *args: object) -> None:
        self._last_beat = _processes.RawValue(c_double, 0.0)
        self._process = _processes.Process(target=_work, args=(self._last_beat, target, *args), daemon=True)
        self._process.start()
        self.pid = self._process.pid or 0

    @property
    def has_served(self) -> bool:
        """Whether it ever came so far."""
        return self._last_beat.value > 0

    @property
    def silence(self) -> float:
        """Seconds since its last beat; 0 if there was none yet, because loading models may take long."""
        return time.monotonic() - self._last_beat.value if self.has_served else 0.0

    @property
    def sentinel(self) -> int:
        """A file that is ready to be read when the process has ended."""
        return self._process.sentinel

    @property
    def status(self) -> int | None:
        """Exit status, negative for a signal, None while it lives."""
        return self._process.exitcode

    def terminate(self) -> None:
        """Ask it to drain."""
        self._process.terminate()

    def kill(self) -> None:
        """End it now."""
        self._process.kill()


class Supervisor:
    """Keeps `count` workers alive until a signal, and ends them gracefully."""

    def __init__(
        self,
        start: Callable[[int], Worker],
        count: int,
        *,
        patience: float,
        hung: float = HUNG,
        ended: Callable[[int], None] = lambda pid: None,
    ) -> None:
        """`start` begins the worker of a place below `count`; `ended` is told of each end.

        `patience`: seconds from the signal to the end of whoever is still there.
        """
        self._start = start
        self._count = count
        self._patience = patience
        self._hung = hung
        self._ended = ended
        self._workers: dict[int, Worker] = {}
        self._given_up: float | None = None
        self._status = 0

    def run(self, listener: socket.socket | None = None) -> int:
        """The exit status: 0 if all workers finished what they had admitted. `listener` is closed as soon as it ends.

        A worker that ends by itself before it ever served would do so again: all end then, with its status.
        """
        former = {each: signal.signal(each, self._signalled) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            for place in range(self._count):
                self._add(place)
            while self._workers:
                wait([worker.sentinel for worker in self._workers.values()], _TICK)
                for place, worker in list(self._workers.items()):
                    self._look_after(place, worker)
                if self._given_up is not None and listener is not None:
                    listener.close()
        finally:
            for each, handler in former.items():
                signal.signal(each, handler)
        return self._status

    def _add(self, place: int) -> None:
        if self._given_up is None:
            worker = self._workers[place] = self._start(place)
            if self._given_up is not None:  # the signal came between
                worker.terminate()

    def _look_after(self, place: int, worker: Worker) -> None:
        if worker.status is None:
            hangs = worker.silence > self._hung if self._given_up is None else time.monotonic() > self._given_up
            if hangs:
                worker.kill()
            return
        del self._workers[place]
        self._ended(worker.pid)
        if self._given_up is not None:
            self._status = self._status or int(worker.status not in (0, -signal.SIGTERM))
            return
        log.warning("worker ended", worker=worker.pid, status=worker.status)
        if worker.status > 0 and not worker.has_served:
            self._status = worker.status
            self._end()
            return
        time.sleep(PAUSE)
        self._add(place)

    def _signalled(self, sig: int, frame: FrameType | None) -> None:
        if self._given_up is None:
            self._end()
        else:
            self._status = 128 + sig
            for worker in self._workers.values():
                worker.kill()

    def _end(self) -> None:
        self._given_up = time.monotonic() + self._patience
        for worker in self._workers.values():
            worker.terminate()


def supervise(settings: Settings, host: str, port: int, workers: int) -> int:
    """Serve with so many processes until a signal: the exit status. SystemExit if the port is taken."""
    listener = uvicorn.Config("service.main:create_app", host=host, port=port, log_config=None).bind_socket()
    loads = _processes.RawArray(c_int, workers)

    def start(place: int) -> Worker:
        loads[place] = Loads.AWAY  # until it listens; who was there before may have died
        return Worker(_serve, settings, workers, listener, loads, place)

    with _shared_metrics():
        supervisor = Supervisor(
            start,
            workers,
            patience=settings.grace + RELEASE + _TICK,
            ended=worker_ended,
        )
        return supervisor.run(listener)


@contextmanager
def _shared_metrics() -> Iterator[None]:
    """A folder in memory for the numbers that workers count together."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="likeness-", dir=memory) as folder:
        os.environ[MULTIPROCESS] = folder
        try:
            yield
        finally:
            del os.environ[MULTIPROCESS]


def _work(last_beat: c_double, target: Callable[..., int], *args: object) -> None:
    """The life of a worker; without its supervisor it drains and ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from a terminal: it is for the supervisor
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def beat() -> None:
        last_beat.value = time.monotonic()

    raise SystemExit(target(beat, *args))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def share(settings: Settings, workers: int) -> Settings:
    """What one of so many workers is to be: its part of the cores, and nothing that all would have to know of.

    A job lives in one process, and the next question about it may come to another. A load would reach one of them.
    """
    threads = settings.threads or max(1, cores() // workers)
    return settings.model_copy(update={"threads": threads, "jobs": False, "allow_model_control": False})


def _serve(
    beat: Callable[[], None],
    settings: Settings,
    workers: int,
    listener: socket.socket,
    loads: MutableSequence[int],
    place: int,
) -> int:
    """One worker of the service."""
    configure_logging(settings.log_level)
    return serve(share(settings, workers), sockets=[listener], supervised=True, beat=beat, loads=Loads(loads, place))
