"""The end of a service's life: nothing new is begun, and what was admitted is finished."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import Draining, problem_of
from service.logs import log
from service.problems import problem_response
from service.telemetry import Telemetry

# Whoever asks whether the process lives, or what it counted, asks to the end. /readyz is told the truth: a refusal.
_TO_THE_END = frozenset({"/livez", "/startupz", "/metrics", "/v2/health/live"})


class Drain:
    """Whether the service is going away. For one thread, the event loop's."""

    def __init__(self, telemetry: Telemetry, stop: Callable[[], None] = lambda: None) -> None:
        """`stop` lets go of work that nobody can ask for any more."""
        self.active = False
        """Requests that come now are refused."""
        self._telemetry = telemetry
        self._stop = stop

    def begin(self) -> None:
        """Be not ready from now on; once."""
        if not self.active:
            self.active = True
            self._telemetry.ready.set(0)
            log.info("draining")
            self._stop()


class Refusal:
    """Pure ASGI middleware: 503 `draining` for what comes too late, and for what is cut off when the time is up.

    A request was admitted if it came here before the drain began: as soon as its head was read. Nothing is read of the
    body of one that was not.
    """

    def __init__(self, app: ASGIApp, drain: Drain, telemetry: Telemetry) -> None:
        self._app = app
        self._drain = drain
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _TO_THE_END:
            await self._app(scope, receive, send)
        elif self._drain.active:
            self._telemetry.shed("draining")
            await self._refuse(scope, receive, send)
        else:
            await self._finish(scope, receive, send)

    async def _finish(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noted_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noted_send)
        except asyncio.CancelledError:
            # The server cancels what is left when the time is up, and nothing else does.
            if started or not self._drain.active:
                raise
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = Draining("the service is shutting down")
        problem = problem_of(error)
        self._telemetry.refused(problem, error)
        response = problem_response(problem, error, scope["state"]["request_id"], scope["path"])
        response.headers["Connection"] = "close"
        await response(scope, receive, send)


def install(app: Starlette) -> Drain:
    """Give `app` its `state.draining`, and refuse while that is active: within all other middleware, which label it."""
    telemetry: Telemetry = app.state.telemetry

    def stop_jobs() -> None:
        parts = app.state.parts
        if parts is not None and parts.jobs is not None:
            parts.jobs.stop()

    app.state.draining = drain = Drain(telemetry, stop_jobs)
    app.user_middleware.append(Middleware(Refusal, drain=drain, telemetry=telemetry))
    return drain
