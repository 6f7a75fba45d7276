"""Traces of requests, as W3C Trace Context and OpenTelemetry have them; off unless the environment asks for them.

A request is a server span, each of its stages a child. Their attributes are method, route, status and problem code:
no photo, address, path or query string. The OpenTelemetry SDK is loaded only when tracing is on.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from threading import Thread
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_LAST_SECONDS = 2.0
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")

RawHeaders = Iterable[tuple[bytes, bytes]]


def caller_trace_id(traceparent: bytes | None) -> str | None:
    """The trace id of a valid `traceparent` header: 32 hexadecimal digits."""
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return match[1].decode() if match else None


class Tracing:
    """Begins the spans of requests."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("likeness")
        self._propagator = TraceContextTextMapPropagator()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self | None:
        """What OpenTelemetry's standard variables ask for, sent as OTLP over HTTP; None where they ask for nothing.

        On with OTEL_TRACES_EXPORTER=otlp or an OTEL_EXPORTER_OTLP_ENDPOINT; off with OTEL_TRACES_EXPORTER=none or
        OTEL_SDK_DISABLED=true. The SDK reads the other variables itself (headers, sampler, resource attributes).
        Raises ValueError for an exporter or protocol of another kind, ImportError where the extra is not installed.
        """
        if not _wanted(environ):
            return None
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise ImportError("the environment asks for traces: pip install likeness[tracing]") from error
        from service import __version__

        resource = Resource.create({"service.version": __version__})
        if "OTEL_SERVICE_NAME" not in environ and "service.name=" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
            resource = resource.merge(Resource({"service.name": "likeness"}))
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    def begin(self, method: str, scheme: str, headers: RawHeaders) -> Trace:
        """A request's server span, a child of the caller's if `headers` name one."""
        return Trace(self, method, scheme, headers)

    def close(self) -> None:
        """Send what is left and stop. Blocks, not for long: a collector that is away must not hold the process up."""
        sender = Thread(target=self._provider.shutdown, name="traces", daemon=True)
        sender.start()
        sender.join(_LAST_SECONDS)


class Trace:
    """One request's spans. Stages may be told from any thread."""

    def __init__(self, tracing: Tracing, method: str, scheme: str, headers: RawHeaders) -> None:
        from opentelemetry.trace import SpanKind, set_span_in_context

        carrier: dict[str, list[str]] = {}
        for name, value in headers:
            if name in (b"traceparent", b"tracestate"):
                carrier.setdefault(name.decode(), []).append(value.decode("latin-1"))
        parent = tracing._propagator.extract(carrier)
        self._tracer = tracing._tracer
        self._span = self._tracer.start_span(
            method,
            context=parent,
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "url.scheme": scheme},
        )
        self._method = method
        self._context = set_span_in_context(self._span, parent)
        identity = self._span.get_span_context()
        self.trace_id = f"{identity.trace_id:032x}"
        self.recorded = identity.trace_flags.sampled
        self.traceresponse = f"00-{self.trace_id}-{identity.span_id:016x}-{identity.trace_flags:02x}"

    def stage(self, name: str, seconds: float, failed: bool) -> None:
        """A stage ended just now and took `seconds`."""
        from opentelemetry.trace import StatusCode

        if not self.recorded:
            return
        ended = time.time_ns()
        span = self._tracer.start_span(name, context=self._context, start_time=ended - int(1e9 * seconds))
        if failed:
            span.set_status(StatusCode.ERROR)
        span.end(ended)

    def end(self, route: str, status: int, problem: str | None) -> None:
        """The request is over; `problem` is the code of what was answered instead of a result."""
        from opentelemetry.trace import StatusCode

        self._span.update_name(f"{self._method} {route}")
        self._span.set_attribute("http.route", route)
        self._span.set_attribute("http.response.status_code", status)
        if problem is not None:
            self._span.set_attribute("error.type", problem)
        if status >= 500:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


def _wanted(environ: Mapping[str, str]) -> bool:
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    endpoint = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or exporter == "none":
        return False
    if not exporter and not endpoint:
        return False
    if exporter not in ("", "otlp"):
        raise ValueError(f"OTEL_TRACES_EXPORTER is {exporter!r}: traces are sent as otlp, or none")
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol not in (None, "", "http/protobuf"):
        raise ValueError(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}: traces are sent as http/protobuf")
    return True
