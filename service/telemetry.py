"""What the service tells about itself: metrics, JSON logs, request ids. docs/telemetry.md lists every one.

Labels are bounded (route templates, model names, problem codes); no photo, embedding, file name, address or query
string is in a metric or a log line.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import errors
from service.problems import problem_response

log = structlog.stdlib.get_logger("likeness")

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_BYTES = tuple(10**power for power in range(2, 8))
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")


class Telemetry:
    """The metrics of one application, in a registry of its own; also the observer of the lanes."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)

        def histogram(name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"likeness_{name}", text, labels, buckets=buckets, registry=registry)

        self.request_seconds = histogram(
            "http_request_duration_seconds", "From head to last byte", ("method", "route", "status"), _SECONDS
        )
        self.body_bytes = histogram("http_request_body_bytes", "Size of request bodies", ("route",), _BYTES)
        self.requests_in_flight = Gauge("likeness_http_requests_in_flight", "Now in work", registry=registry)
        self.problems = Counter("likeness_problems", "Problem answers by code", ("code",), registry=registry)
        self.stage_seconds = histogram("stage_duration_seconds", "Stages of a request", ("stage",), _SECONDS)
        self.queue_seconds = histogram("queue_wait_seconds", "A face's wait for its model", ("lane",), _SECONDS)
        self.queue_depth = Gauge("likeness_queue_depth", "Faces waiting", ("lane",), registry=registry)
        self.batch_rows = histogram("batch_size", "Faces of a model run", ("lane",), (1, 2, 4, 8, 16, 32, 64))
        self.batch_seconds = histogram("batch_duration_seconds", "Model runs", ("lane",), _SECONDS)
        self.faces = histogram("faces_per_image", "Faces used of a picture", (), (1, 2, 4, 8, 16, 32))
        self.megapixels = histogram("image_megapixels", "Size of pictures", (), (0.1, 0.3, 1, 2, 4, 8, 12, 20, 40))
        self.similarity = histogram(
            "identity_similarity", "Cosine of photo and drawing", ("model",), tuple(step / 10 for step in range(-2, 11))
        )
        self.model_info = Gauge(
            "likeness_model_info", "Served models", ("name", "version", "role", "digest"), registry=registry
        )
        self.ready = Gauge("likeness_ready", "1 once every model is warm", registry=registry)

    def queued(self, lane: str, depth: int) -> None:
        """A lane's queue has `depth` rows."""
        self.queue_depth.labels(lane).set(depth)

    def waited(self, lane: str, seconds: float) -> None:
        """A row waited `seconds` for its lane."""
        self.queue_seconds.labels(lane).observe(seconds)

    def ran(self, lane: str, rows: int, seconds: float) -> None:
        """A lane ran `rows` rows in `seconds`."""
        self.batch_rows.labels(lane).observe(rows)
        self.batch_seconds.labels(lane).observe(seconds)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A response was sent, or its client went away (499)."""
        self.request_seconds.labels(method, route, str(status)).observe(seconds)
        level = logging.ERROR if status == errors.INTERNAL.status else logging.INFO
        log.log(level, "request", method=method, route=route, status=status, duration_ms=round(1000 * seconds, 1))

    def refused(self, problem: errors.Problem, error: Exception | None) -> None:
        """A problem was answered; an unexpected one leaves its traceback (without local variables) in the log."""
        self.problems.labels(problem.code).inc()
        if problem is errors.INTERNAL:
            log.error("failure", code=problem.code, exc_info=error)
        else:
            log.info("problem", code=problem.code)


class Stopwatch:
    """Seconds by stage of one request; threads may time different pictures of it at once."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.seconds: dict[str, float] = {}
        self._telemetry = telemetry
        self._lock = Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block; a stage that comes twice adds up."""
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            with self._lock:
                self.seconds[name] = self.seconds.get(name, 0.0) + spent
            self._telemetry.stage_seconds.labels(name).observe(spent)

    @property
    def milliseconds(self) -> dict[str, float]:
        """For people: milliseconds by stage, to a hundredth."""
        return {name: round(1000 * seconds, 2) for name, seconds in self.seconds.items()}

    @property
    def server_timing(self) -> str:
        """The value of the Server-Timing header."""
        return ", ".join(f"{name};dur={spent:g}" for name, spent in self.milliseconds.items())


class RequestTelemetry:
    """Pure ASGI middleware: request id in and out, Server-Timing, metrics, one log line, and a last resort for errors.

    The stopwatch of the request is `scope["state"]["stopwatch"]`, its id `scope["state"]["request_id"]`.
    """

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _request_id(Headers(scope=scope))
        stopwatch = Stopwatch(self._telemetry)
        scope.setdefault("state", {}).update(request_id=request_id, stopwatch=stopwatch)
        status: int | None = None

        async def labelled_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
                if stopwatch.seconds:
                    headers["Server-Timing"] = stopwatch.server_timing
            await send(message)

        with (
            structlog.contextvars.bound_contextvars(request_id=request_id),
            self._telemetry.requests_in_flight.track_inprogress(),
        ):
            try:
                await self._app(scope, receive, labelled_send)
            except Exception as error:
                self._telemetry.refused(errors.INTERNAL, error)
                if status is None:
                    await problem_response(errors.INTERNAL, None, request_id)(scope, receive, labelled_send)
            finally:
                method = scope["method"] if scope["method"] in _METHODS else "other"
                seconds = time.perf_counter() - started
                self._telemetry.answered(method, route_of(scope), status or errors.INTERNAL.status, seconds)


def route_of(scope: Mapping[str, Any]) -> str:
    """The template of the matched route, so that paths cannot multiply labels."""
    return getattr(scope.get("route"), "path", None) or "unmatched"


def configure_logging(level: str) -> None:
    """JSON lines on stdout, for the service's own events and for the libraries' log records alike."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Not dict_tracebacks: that one prints local variables, and those hold photos.
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


def _request_id(headers: Headers) -> str:
    """The caller's X-Request-ID if it is short and harmless, otherwise a new one."""
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
