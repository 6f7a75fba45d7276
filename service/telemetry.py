"""What the service tells about itself: metrics, JSON logs, request ids. docs/telemetry.md lists every one.

Labels are bounded (route templates, lanes, models, stages, problem codes); no photo, embedding, file name, address or
query string is in a metric or a log line.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any, Generic, Literal, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import (
    bind_contextvars,
    clear_contextvars,
    get_contextvars,
    unbind_contextvars,
)

from service import errors
from service.logs import log
from service.problems import problem_response
from service.tracing import Trace, Tracing, caller_trace_id

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
# Asked about the service by machines, every few seconds: no line in the log unless it is for debugging, and no trace.
PROBES = frozenset({"/livez", "/readyz", "/startupz", "/metrics", "/v2/health/live", "/v2/health/ready"})
STAGES = ("queue", "decode", "detect", "cut", "style", "translate", "identity", "paste", "generate", "encode")
SHED_REASONS = ("predicted-wait", "queue-full", "memory", "draining")
PICTURE_PROBLEMS = frozenset(
    {
        errors.EmptyBody,
        errors.MalformedImage,
        errors.UnsupportedImage,
        errors.ImageTypeMismatch,
        errors.TooManyPixels,
        errors.NoFaceFound,
        errors.FaceTooSmall,
        errors.TooManyFaces,
    }
)

# What OpenTelemetry advises for HTTP servers, and two more for answers that need no model.
_REQUEST_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_STAGE_SECONDS = tuple(0.0005 * 2**power for power in range(15))
_LOAD_SECONDS = tuple(0.1 * 2**power for power in range(12))
_BYTES = tuple(10**power for power in range(2, 8))
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~-]{1,128}")

# They would be one more series for each counter and histogram, which nobody reads.
disable_created_metrics()  # type: ignore[no-untyped-call]

Metric = TypeVar("Metric", bound=MetricWrapperBase)


class Children(dict[Any, Metric], Generic[Metric]):
    """A metric's children by label values (one, or a tuple), made once: `labels()` costs more than what it leads to."""

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        self._metric = metric

    def __missing__(self, values: Any) -> Metric:
        child = self[values] = self._metric.labels(*(values if isinstance(values, tuple) else (values,)))
        return child


class Telemetry:
    """The metrics of one application, in a registry of its own; also the observer of the lanes.

    All methods may be called from any thread. Where PROMETHEUS_MULTIPROC_DIR was set before this module was loaded, the
    workers of one server share their metrics through files there, and any of them can tell of all.
    """

    def __init__(self, tracing: Tracing | None = None) -> None:
        self.tracing = tracing
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"likeness_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str, workers: Literal["livesum", "livemax", "livemin"]) -> Gauge:
            # `workers`: what several workers' values make together.
            return Gauge(f"likeness_{name}", text, labels, registry=registry, multiprocess_mode=workers)

        def histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"likeness_{name}", text, labels, buckets=buckets, registry=registry)

        # Requests
        self.request_seconds = histogram(
            "http_request_duration_seconds",
            "From head to last byte",
            *("method", "route", "status"),
            buckets=_REQUEST_SECONDS,
        )
        self.body_bytes = histogram("http_request_body_bytes", "Size of request bodies", "route", buckets=_BYTES)
        self.requests_in_flight = gauge("http_requests_in_flight", "Now in work", workers="livesum")
        self.problems = counter("problems", "Problem answers by code", "code")
        self.stage_seconds = histogram("stage_duration_seconds", "Stages of a request", "stage", buckets=_STAGE_SECONDS)

        # Lanes
        self.queue_seconds = histogram(
            "queue_wait_seconds", "A row's wait to be run", "lane", "priority", buckets=_STAGE_SECONDS
        )
        self.queue_depth = gauge("queue_depth", "Rows waiting", "lane", workers="livesum")
        self.predicted_wait = gauge(
            "predicted_wait_seconds", "Until new interactive work would start", "lane", workers="livemax"
        )
        self.batch_rows = histogram("batch_size", "Wanted rows of a run", "lane", buckets=(1, 2, 4, 8, 16, 32, 64))
        self.batch_padding = counter("batch_padding_rows", "Rows run that nobody wanted", "lane")
        self.batch_seconds = histogram("batch_duration_seconds", "Runs", "lane", "bucket", buckets=_STAGE_SECONDS)
        self.requests_shed = counter("requests_shed", "Refused at arrival", "reason")
        self.requests_cancelled = counter("requests_cancelled", "Let go: the client left", "stage")
        self.deadline_exceeded = counter("deadline_exceeded", "Let go: the deadline passed", "stage")
        self.work_seconds = counter("work_seconds", "Executors' seconds spent on requests")
        self.wasted_seconds = counter("wasted_seconds", "Those of them spent after the client had left")

        # Pictures and models
        self.faces = histogram("faces_per_image", "Faces used of a picture", buckets=(1, 2, 4, 8, 16, 32))
        self.megapixels = histogram("image_megapixels", "Size of pictures", buckets=(0.1, 0.3, 1, 2, 4, 8, 12, 20, 40))
        self.images_rejected = counter("images_rejected", "Pictures that were not drawn, by problem", "reason")
        self.similarity = histogram(
            "identity_similarity",
            "Cosine of photo and drawing",
            "model",
            buckets=tuple(step / 10 for step in range(-2, 11)),
        )
        self.model_load_seconds = histogram("model_load_seconds", "Load and warm-up", "model", buckets=_LOAD_SECONDS)
        self.model_info = gauge(
            "model_info", "Served models", "name", "version", "role", "digest", "provider", workers="livemax"
        )
        self.ready = gauge("ready", "1 once every model is warm", workers="livemin")

        self._request_seconds = Children(self.request_seconds)
        self._stage_seconds = Children(self.stage_seconds)
        self._queue_seconds = Children(self.queue_seconds)
        self._queue_depth = Children(self.queue_depth)
        self._predicted_wait = Children(self.predicted_wait)
        self._batch_rows = Children(self.batch_rows)
        self._batch_padding = Children(self.batch_padding)
        self._batch_seconds = Children(self.batch_seconds)
        # A counter that is there from the start at zero shows its first event as an increase.
        for reason in SHED_REASONS:
            self.requests_shed.labels(reason)
        for stage in STAGES:
            self.requests_cancelled.labels(stage)
            self.deadline_exceeded.labels(stage)
        for error in PICTURE_PROBLEMS:
            self.images_rejected.labels(errors.PROBLEMS[error].code)

    # The observer of the lanes

    def queued(self, lane: str, depth: int, wait: float) -> None:
        """A lane's queue has `depth` rows; new interactive work would start in `wait` seconds."""
        self._queue_depth[lane].set(depth)
        self._predicted_wait[lane].set(wait)

    def waited(self, lane: str, priority: str, seconds: float) -> None:
        """A row waited `seconds` before it was run."""
        self._queue_seconds[lane, priority].observe(seconds)

    def ran(self, lane: str, rows: int, bucket: int, seconds: float) -> None:
        """A lane ran `bucket` rows, `rows` of them wanted, in `seconds`."""
        self._batch_rows[lane].observe(rows)
        self._batch_padding[lane].inc(bucket - rows)
        self._batch_seconds[lane, bucket].observe(seconds)

    def shed(self, reason: str) -> None:
        """Work was refused at arrival: `reason` is one of SHED_REASONS."""
        self.requests_shed.labels(reason).inc()

    def cancelled(self, stage: str) -> None:
        """Work was let go in `stage` because its client had left."""
        self.requests_cancelled.labels(stage).inc()

    def expired(self, stage: str) -> None:
        """Work was let go in `stage` because its deadline had passed."""
        self.deadline_exceeded.labels(stage).inc()

    def worked(self, seconds: float, wasted: bool) -> None:
        """An executor spent `seconds` on a request; `wasted`: after its client had left."""
        self.work_seconds.inc(seconds)
        if wasted:
            self.wasted_seconds.inc(seconds)

    # Models

    def served(self, name: str, version: int, role: str, digest: str, provider: str, seconds: float) -> None:
        """A model is served from now on, `seconds` after its load began (warm-up included)."""
        self.model_info.labels(name, str(version), role, digest, provider).set(1)
        self.model_load_seconds.labels(name).observe(seconds)

    def retired(self, name: str, version: int, role: str, digest: str, provider: str) -> None:
        """A model is not served any more."""
        self.model_info.labels(name, str(version), role, digest, provider).set(0)

    # Requests

    def stage(self, name: str, seconds: float) -> None:
        """A stage of a request took `seconds`."""
        self._stage_seconds[name].observe(seconds)

    def answered(self, method: str, route: str, status: int, seconds: float, trace: Trace | None = None) -> None:
        """A response was sent, or its client went away (499)."""
        exemplar = {"trace_id": trace.trace_id} if trace is not None and trace.recorded else None
        self._request_seconds[method, route, status].observe(seconds, exemplar)
        level = logging.DEBUG if route in PROBES else logging.INFO
        if status == errors.INTERNAL.status:
            level = logging.ERROR
        log.log(level, "request", method=method, route=route, status=status, duration_ms=round(1000 * seconds, 1))

    def refused(self, problem: errors.Problem, error: Exception | None) -> None:
        """A problem was answered; an unexpected one leaves its traceback (without local variables) in the log."""
        self.problems.labels(problem.code).inc()
        self.rejected(error)
        bind_contextvars(problem=problem.code)
        if problem is errors.INTERNAL:
            log.error("failure", exc_info=error)

    def rejected(self, error: Exception | None) -> None:
        """A picture could not be drawn; errors that are not of pictures are passed over."""
        if error is not None and type(error) in PICTURE_PROBLEMS:
            self.images_rejected.labels(errors.problem_of(error).code).inc()

    def exposition(self, accept: str | None) -> tuple[bytes, str]:
        """The metrics and their Content-Type: OpenMetrics, with exemplars, where `accept` asks for it."""
        registry = self.registry
        if MULTIPROCESS in os.environ:
            MultiProcessCollector(registry := CollectorRegistry())  # type: ignore[no-untyped-call]
        encode, content_type = choose_encoder(accept or "")
        return encode(registry), content_type

    def close(self) -> None:
        """Send the traces that wait to be sent. Blocks."""
        if self.tracing is not None:
            self.tracing.close()


class Stopwatch:
    """Seconds by stage of one request, and a span for each where there is a trace; threads may time at once."""

    def __init__(self, telemetry: Telemetry, trace: Trace | None = None) -> None:
        self._seconds: dict[str, float] = {}
        self._telemetry = telemetry
        self._trace = trace
        self._lock = Lock()

    def apart(self) -> Stopwatch:
        """Another one, at zero, for a part of the request that has timings of its own."""
        return Stopwatch(self._telemetry, self._trace)

    @property
    def seconds(self) -> dict[str, float]:
        """What was timed so far; threads may go on timing."""
        with self._lock:
            return dict(self._seconds)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block; a stage that comes twice adds up."""
        started = time.perf_counter()
        failed = True
        try:
            yield
            failed = False
        finally:
            self.note(name, time.perf_counter() - started, failed)

    def note(self, name: str, seconds: float, failed: bool = False) -> None:
        """Add a stage that ends now and was timed elsewhere, such as `queue`."""
        with self._lock:
            self._seconds[name] = self._seconds.get(name, 0.0) + seconds
        self._telemetry.stage(name, seconds)
        if self._trace is not None:
            self._trace.stage(name, seconds, failed)

    @property
    def milliseconds(self) -> dict[str, float]:
        """For people: milliseconds by stage, to a hundredth."""
        return {name: round(1000 * seconds, 2) for name, seconds in self.seconds.items()}

    @property
    def server_timing(self) -> str:
        """The value of the Server-Timing header."""
        return ", ".join([f"{name};dur={1000 * spent:.2f}" for name, spent in self.seconds.items()])


class RequestTelemetry:
    """Pure ASGI middleware: request id and trace in and out, Server-Timing, metrics, one log line, errors' last resort.

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
        telemetry = self._telemetry
        method = scope["method"] if scope["method"] in _METHODS else "other"
        given = dict(scope["headers"])
        request_id = _request_id(given.get(b"x-request-id"))
        trace = None
        if telemetry.tracing is not None and scope["path"] not in PROBES:
            trace = telemetry.tracing.begin(method, scope["scheme"], scope["headers"])
        clear_contextvars()  # a server may start a request in the context of the one before
        bind_contextvars(request_id=request_id)
        if trace_id := trace.trace_id if trace else caller_trace_id(given.get(b"traceparent")):
            bind_contextvars(trace_id=trace_id)
        stopwatch = Stopwatch(telemetry, trace)
        scope.setdefault("state", {}).update(request_id=request_id, stopwatch=stopwatch)
        status: int | None = None

        async def labelled_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_labels(request_id, stopwatch, trace)]
            await send(message)

        telemetry.requests_in_flight.inc()
        try:
            await self._app(scope, receive, labelled_send)
        except Exception as error:
            telemetry.refused(errors.INTERNAL, error)
            if status is None:
                await problem_response(errors.INTERNAL, None, request_id, scope["path"])(scope, receive, labelled_send)
        finally:
            telemetry.requests_in_flight.dec()
            if status is not None and status < 400:
                unbind_contextvars("problem")  # was of a part of the answer
            route = route_of(scope)
            seconds = time.perf_counter() - started
            telemetry.answered(method, route, status or errors.INTERNAL.status, seconds, trace)
            if trace is not None:
                trace.end(route, status or errors.INTERNAL.status, get_contextvars().get("problem"))
            clear_contextvars()


def worker_ended(pid: int) -> None:
    """To be called by who started worker `pid`: what it counted stays, its gauges are no part of sums any more."""
    mark_process_dead(pid)  # type: ignore[no-untyped-call]


def route_of(scope: Mapping[str, Any]) -> str:
    """The template of the matched route, so that paths cannot multiply labels."""
    return getattr(scope.get("route"), "path", None) or "unmatched"


def _labels(request_id: str, stopwatch: Stopwatch, trace: Trace | None) -> Iterator[tuple[bytes, bytes]]:
    """The headers of every answer."""
    yield b"x-request-id", request_id.encode()
    yield b"x-content-type-options", b"nosniff"
    if timing := stopwatch.server_timing:
        yield b"server-timing", timing.encode()
    if trace is not None:
        yield b"traceresponse", trace.traceresponse.encode()


def _request_id(given: bytes | None) -> str:
    """The caller's X-Request-ID if it is short and harmless, otherwise a new one."""
    return given.decode() if given and _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
