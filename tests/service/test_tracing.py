"""service.tracing: spans where the environment asks for them, nothing private in them, and nothing loaded otherwise."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from service import errors
from service.main import create_app
from service.settings import Settings
from service.telemetry import STAGES, RequestTelemetry, Telemetry
from service.tracing import Tracing, caller_trace_id

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "telemetry.md").read_text()
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
PRIVATE = "somebody"


def traced_client(provider: TracerProvider) -> TestClient:
    """An application with two stages, a problem and a failure behind the middleware."""
    telemetry = Telemetry(Tracing(provider))

    async def draw(request: Request) -> Response:
        stopwatch = request.state.stopwatch
        thread = Thread(target=stopwatch.note, args=("queue", 0.5))
        thread.start()
        thread.join()
        with stopwatch.stage("decode"):
            return PlainTextResponse("drawn")

    async def refuse(request: Request) -> Response:
        with request.state.stopwatch.stage("detect"):
            raise errors.NoFaceFound("no")

    async def fail(request: Request) -> Response:
        raise RuntimeError(PRIVATE)

    async def refused(request: Request, error: Exception) -> Response:
        telemetry.refused(errors.problem_of(error), error)
        return PlainTextResponse("refused", errors.problem_of(error).status)

    routes = [Route("/draw/{name}", draw), Route("/refuse", refuse), Route("/fail", fail), Route("/livez", draw)]
    app = Starlette(routes=routes, exception_handlers={errors.LikenessError: refused})
    app.add_middleware(RequestTelemetry, telemetry=telemetry)
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture(name="exporter")
def exporter_() -> InMemorySpanExporter:
    """Where spans end."""
    return InMemorySpanExporter()


@pytest.fixture(name="provider")
def provider_(exporter: InMemorySpanExporter) -> TracerProvider:
    """Whose spans go to the exporter at once."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


@pytest.fixture(name="traced")
def traced_(provider: TracerProvider) -> TestClient:
    """A client of the application."""
    return traced_client(provider)


def by_name(exporter: InMemorySpanExporter) -> Mapping[str, ReadableSpan]:
    """The finished spans."""
    return {span.name: span for span in exporter.get_finished_spans()}


def test_a_request_continues_its_callers_trace(traced: TestClient, exporter: InMemorySpanExporter) -> None:
    """The server span is the caller's child, stages are its children, and the answer names it."""
    answer = traced.get("/draw/me", headers={"traceparent": TRACEPARENT, "tracestate": "vendor=1"})
    spans = by_name(exporter)
    assert set(spans) == {"GET /draw/{name}", "queue", "decode"}
    server = spans["GET /draw/{name}"]
    assert server.kind is SpanKind.SERVER and server.parent and server.parent.span_id == int(PARENT, 16)
    assert server.context.trace_state.get("vendor") == "1"
    for stage in ("queue", "decode"):
        assert spans[stage].parent == server.context and spans[stage].context.trace_id == int(TRACE, 16)
    assert answer.headers["traceresponse"] == f"00-{TRACE}-{server.context.span_id:016x}-01"


def test_a_photo_leaves_a_span_for_every_stage(
    settings: Settings, photo: bytes, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """Through the real pipeline, whose stages run in other threads than the request began in."""
    app = create_app(settings)
    app.state.telemetry.tracing = Tracing(provider)
    with TestClient(app) as client:
        client.post("/translate", files={"image": photo}, data={"output": "photo"})
    spans, stages = by_name(exporter), set(STAGES) - {"style", "generate"}
    assert set(spans) == {"POST /translate", *stages}
    assert all(spans[stage].parent == spans["POST /translate"].context for stage in stages)


def test_a_stage_lasts_as_long_as_it_was_timed(traced: TestClient, exporter: InMemorySpanExporter) -> None:
    """Also where it was timed elsewhere and only told."""
    traced.get("/draw/me")
    queue = by_name(exporter)["queue"]
    assert queue.start_time is not None and queue.end_time is not None
    assert queue.end_time - queue.start_time == 500_000_000


def test_without_a_caller_a_trace_begins(traced: TestClient, exporter: InMemorySpanExporter) -> None:
    """A missing or broken header starts a new one."""
    traced.get("/draw/me", headers={"traceparent": "00-nonsense"})
    server = by_name(exporter)["GET /draw/{name}"]
    assert server.parent is None and server.context.trace_id != int(TRACE, 16)


def test_the_callers_decision_about_sampling_is_kept(traced: TestClient, exporter: InMemorySpanExporter) -> None:
    """What the caller does not record is not recorded here."""
    answer = traced.get("/draw/me", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    assert not exporter.get_finished_spans() and answer.headers["traceresponse"].endswith("-00")


def test_probes_have_no_spans(traced: TestClient, exporter: InMemorySpanExporter) -> None:
    """Their number would hide everything else."""
    assert "traceresponse" not in traced.get("/livez").headers and not exporter.get_finished_spans()


def test_problems_and_failures_are_told_apart(traced: TestClient, exporter: InMemorySpanExporter) -> None:
    """A client's problem is no error of the server's span; its stage and a 500 are errors."""
    traced.get("/refuse")
    traced.get("/fail")
    spans = by_name(exporter)
    refused, failed, stage = spans["GET /refuse"], spans["GET /fail"], spans["detect"]
    assert refused.attributes and refused.attributes["error.type"] == "no-face-found"
    assert refused.status.status_code is StatusCode.UNSET and stage.status.status_code is StatusCode.ERROR
    assert failed.attributes and failed.attributes["error.type"] == "internal"
    assert failed.attributes["http.response.status_code"] == 500 and failed.status.status_code is StatusCode.ERROR


def test_attributes_are_the_documented_ones_and_hold_nothing_private(
    traced: TestClient, exporter: InMemorySpanExporter
) -> None:
    """Neither path, query string, address, nor an error's text is in any span."""
    traced.get(f"/draw/{PRIVATE}?name={PRIVATE}", headers={"User-Agent": PRIVATE, "X-Forwarded-For": PRIVATE})
    traced.get("/refuse")
    traced.get("/fail")
    table = re.search(r"^\| span .*\n.*\n(.*)\n(.*)$", DOCUMENT, re.MULTILINE)
    assert table
    documented = [set(re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", row)) for row in table.groups()]
    seen: list[set[str]] = [set(), set()]
    for span in exporter.get_finished_spans():
        seen[span.kind is not SpanKind.SERVER] |= set(span.attributes or ())
        assert PRIVATE not in span.to_json() and "testclient" not in span.to_json()
        assert span.kind is SpanKind.SERVER or span.name in STAGES
    assert seen == documented


def test_a_recorded_trace_is_an_exemplar(traced: TestClient) -> None:
    """OpenMetrics leads from a bucket of the latency to a trace; a trace that is not recorded would lead nowhere."""
    traced.get("/draw/me", headers={"traceparent": TRACEPARENT})
    telemetry: Telemetry = traced.app.user_middleware[0].kwargs["telemetry"]  # type: ignore[attr-defined]
    content, _ = telemetry.exposition("application/openmetrics-text; version=1.0.0")
    assert f'# {{trace_id="{TRACE}"}}'.encode() in content
    assert TRACE.encode() not in telemetry.exposition(None)[0]


@pytest.mark.parametrize(
    "header, expected",
    [
        (TRACEPARENT, TRACE),
        (f"01-{TRACE}-{PARENT}-01-more", TRACE),
        (None, None),
        ("", None),
        (f"00-{'0' * 32}-{PARENT}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{PARENT}-01", None),
        (f"00-{TRACE}-{PARENT}", None),
    ],
)
def test_the_callers_trace_id_is_taken_from_a_valid_header_only(header: str | None, expected: str | None) -> None:
    """What is not W3C Trace Context does not get into the log."""
    assert caller_trace_id(header.encode() if header is not None else None) == expected


OTLP = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_SERVICE_NAME": "a"},
        {"OTEL_TRACES_EXPORTER": "none"},
        {**OTLP, "OTEL_TRACES_EXPORTER": "none"},
        {**OTLP, "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
    ],
)
def test_tracing_is_off_unless_it_is_asked_for(environ: Mapping[str, str]) -> None:
    """And whatever says no wins."""
    assert Tracing.from_environment(environ) is None


@pytest.mark.parametrize(
    "environ, named",
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "zipkin"),
        ({**OTLP, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "grpc"),
    ],
)
def test_what_cannot_be_done_is_refused_at_the_start(environ: Mapping[str, str], named: str) -> None:
    """Traces that silently go nowhere would be found missing when they are needed."""
    with pytest.raises(ValueError, match=named):
        Tracing.from_environment(environ)


class Collector(HTTPServer):
    """What receives OTLP over HTTP, and keeps it."""

    def __init__(self) -> None:
        self.received: list[ExportTraceServiceRequest] = []
        super().__init__(("127.0.0.1", 0), CollectorHandler)


class CollectorHandler(BaseHTTPRequestHandler):
    """POST /v1/traces."""

    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/traces" and self.headers["Content-Type"] == "application/x-protobuf"
        self.server.received.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(name="collector")
def collector_() -> Iterator[Collector]:
    """A collector that listens."""
    with Collector() as collector:
        thread = Thread(target=collector.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield collector
        collector.shutdown()
        thread.join()


def process(script: str, **environ: str) -> str:
    """What a fresh process of the service's packages prints."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    run = [sys.executable, "-c", script]
    return subprocess.run(
        run, cwd=ROOT, env={**inherited, **environ}, capture_output=True, text=True, check=True
    ).stdout


def test_spans_reach_a_collector(collector: Collector) -> None:
    """Configured by environment alone, a request and its stages arrive as OTLP before the process ends."""
    process(
        "import os; from service.tracing import Tracing\n"
        "tracing = Tracing.from_environment(os.environ)\n"
        "trace = tracing.begin('POST', 'http', [])\n"
        "trace.stage('decode', 0.25, False)\n"
        "trace.end('/translate', 200, None)\n"
        "tracing.close()",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.server_port}",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
    )
    (resource,) = (each for request in collector.received for each in request.resource_spans)
    names = {span.name: span for scope in resource.scope_spans for span in scope.spans}
    assert set(names) == {"POST /translate", "decode"}
    assert names["decode"].parent_span_id == names["POST /translate"].span_id
    attributes = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert attributes["service.name"] == "likeness" and attributes["deployment.environment.name"] == "test"


def test_without_tracing_nothing_of_it_is_loaded() -> None:
    """An application without a collector pays for no SDK, and its requests have no spans."""
    loaded = json.loads(
        process(
            "import json, sys\n"
            "from service.main import create_app\n"
            "assert create_app().state.telemetry.tracing is None\n"
            "print(json.dumps(sorted(sys.modules)))"
        )
    )
    assert not [name for name in loaded if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))]


def test_the_framework_traces_nothing_on_its_own() -> None:
    """FastAPI would put query strings and rejected input into spans and logs, so its own telemetry is off."""
    printed = process(
        "from fastapi.testclient import TestClient\n"
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import SimpleSpanProcessor\n"
        "from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter\n"
        "from service.main import create_app\n"
        "exporter = InMemorySpanExporter()\n"
        "provider = TracerProvider()\n"
        "provider.add_span_processor(SimpleSpanProcessor(exporter))\n"
        "trace.set_tracer_provider(provider)\n"
        "TestClient(create_app()).get('/livez?somebody=1')\n"
        "print([span.to_json() for span in exporter.get_finished_spans()])",
        FASTAPI_OTEL_AUTO_CONFIGURE="true",
    )
    assert printed.splitlines()[-1] == "[]"
