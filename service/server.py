"""The HTTP server: uvicorn's, with an end that loses nothing.

SIGTERM and SIGINT begin the drain: what was admitted is finished, what comes is refused (service/drain.py). The process
ends as soon as nothing is in flight, with status 0; with status 1 when the time is up. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import math
import os
import resource
import socket
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from service.acceptor import Acceptor, Loads
from service.connection import Connection, Connections
from service.drain import Drain, install
from service.errors import Problem
from service.machine import keep_memory_flat, trim
from service.settings import Settings

RELEASE = 3
"""Seconds after `grace` to let go of threads and to send the last traces."""

_OTHER_FILES = 256
_TRIM_EVERY = 20  # ticks: two seconds


class Server(uvicorn.Server):
    """uvicorn's server, which drains."""

    def __init__(
        self,
        app: ASGIApp,
        drain: Drain,
        settings: Settings,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        supervised: bool = False,
        refused: Callable[[Problem], None] = lambda problem: None,
        beat: Callable[[], None] = lambda: None,
        loads: Loads | None = None,
    ) -> None:
        """`supervised`: another process says when to end at once, and may pass on a signal that came here already.

        `loads`: of the processes that listen on the same sockets, if there are others.

        `refused` is told of problems that never reach `app`; `beat` is called ten times a second while the loop runs.
        """
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                loop="uvloop",
                http=Connection,
                ws="none",
                lifespan="on",
                interface="asgi3",
                timeout_keep_alive=settings.keep_alive,
                # Our own middleware logs requests; uvicorn's access log would write addresses and query strings.
                access_log=False,
                log_config=None,
                server_header=False,
            )
        )
        self.server_state: Connections = Connections(settings, refused)
        self.clean = True
        """Everything that was admitted was finished in time."""
        self._drain = drain
        self._settings = settings
        self._supervised = supervised
        self._beat = beat
        self._loads = loads or Loads([0], 0)
        self._trimmed_after = 0
        self._loop: asyncio.AbstractEventLoop

    @property
    def load(self) -> int:
        """Connections and requests in work: a connection that idles weighs less than one that is waited for."""
        return len(self.server_state.connections) + len(self.server_state.tasks)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Load the application, listen."""
        self._loop = asyncio.get_running_loop()
        if sockets is None:
            await super().startup()
            return
        await super().startup([])
        for listener in sockets:
            listener.listen(self.config.backlog)
            acceptor = Acceptor(listener, self._connection, lambda: self.load, self._loads)
            self.servers.append(acceptor)  # type: ignore[arg-type]

    def _connection(self) -> Connection:
        return Connection(self.config, self.server_state, self.lifespan.state)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal: the first begins the drain, the second ends the process at once."""
        if not self.started:
            os._exit(0)  # nothing was admitted, and a load cannot be interrupted
        if self.should_exit and not self._supervised:
            os._exit(128 + sig)
        self.should_exit = True
        # Not in here: the signal may have come while the thread held one of the locks that this takes.
        self._loop.call_soon_threadsafe(self._begin_end)

    async def on_tick(self, counter: int) -> bool:
        """What uvicorn does ten times a second; and now and then, what was freed in between goes to the system."""
        self._beat()
        for each in self.servers:
            if isinstance(each, Acceptor):
                each.publish()
        requests = self.server_state.total_requests
        if counter % _TRIM_EVERY == 0 and requests != self._trimmed_after:
            self._trimmed_after = requests
            await asyncio.to_thread(trim)
        return await super().on_tick(counter)

    def begin_drain(self) -> None:
        """Refuse from now on; connections end with the request that is in work, or with the next one."""
        if not self._drain.active:
            self._drain.begin()
            for connection in list(self.server_state.connections):
                assert isinstance(connection, Connection)
                connection.retire()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse for `drain_delay`, then listen no more; finish what was admitted until `grace` is over."""
        self.begin_drain()
        delay = min(self._settings.drain_delay, self._settings.grace)
        await asyncio.sleep(delay)
        self.config.timeout_graceful_shutdown = math.ceil(self._settings.grace - delay)
        await super().shutdown(sockets)

    async def _wait_tasks_to_complete(self) -> None:
        self.clean = False
        await super()._wait_tasks_to_complete()
        self.clean = True

    def _begin_end(self) -> None:
        self.begin_drain()
        # Whatever hangs, the process ends.
        last = threading.Timer(self._settings.grace + RELEASE, os._exit, [1])
        last.daemon = True
        last.start()


def serve(
    settings: Settings,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    sockets: list[socket.socket] | None = None,
    supervised: bool = False,
    beat: Callable[[], None] = lambda: None,
    loads: Loads | None = None,
) -> int:
    """Serve the application in this process, on `sockets` or else on host and port, until a signal: the exit status.

    SystemExit, with uvicorn's status 3, if the application does not start or the port is taken.
    """
    # Here, because a supervisor never calls this: it has no use for models and codecs, and for the memory they take.
    from service.main import create_app

    keep_memory_flat()
    app = create_app(settings)
    problems = app.state.telemetry.problems
    server = Server(
        app,
        install(app),
        settings,
        host=host,
        port=port,
        supervised=supervised,
        refused=lambda problem: problems.labels(problem.code).inc(),
        beat=beat,
        loads=loads,
    )
    _allow_files(2 * settings.max_connections + _OTHER_FILES)
    server.run(sockets)
    return 0 if server.clean else 1


def _allow_files(count: int) -> None:
    """Raise the soft limit of open files, which is often 1024, as far as the hard one allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
