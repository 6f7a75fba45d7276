"""service.telemetry: what is documented is what is emitted, labels are bounded, logs hold nothing private."""

import ast
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service import errors
from service.batching import LaneObserver
from service.logs import configure_logging
from service.telemetry import STAGES, RequestTelemetry, Stopwatch, Telemetry

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "telemetry.md").read_text()


def documented(heading: str, number: int = 0) -> list[list[str]]:
    """The rows of the `number`th table below a heading, as cells."""
    section = DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    tables = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in tables[number].splitlines()[2:]]


def names(cell: str) -> set[str]:
    """What stands in backquotes."""
    return set(re.findall(r"`([^`]+)`", cell))


def metrics(telemetry: Telemetry) -> dict[str, MetricWrapperBase]:
    """The service's own metrics by the name that they are exposed under."""
    found = [metric for metric in vars(telemetry).values() if isinstance(metric, MetricWrapperBase)]
    return {metric._name + ("_total" if metric._type == "counter" else ""): metric for metric in found}


def test_every_metric_is_documented_with_its_type_and_labels_and_every_documented_one_exists() -> None:
    """The table of metrics and the registry say the same."""
    told = {}
    for name, kind, labels, _ in documented("Metrics"):
        told[name.strip("`")] = (kind, names(labels))
    real = {}
    for name, metric in metrics(Telemetry()).items():
        merged = getattr(metric, "_multiprocess_mode", "").removeprefix("live")
        real[name] = (", ".join(filter(None, (metric._type, merged))), set(metric._labelnames))
    assert real == told


def test_every_metric_is_in_the_registry() -> None:
    """What is documented is what a scrape gets."""
    families = [family for family in Telemetry().registry.collect() if family.name.startswith("likeness_")]
    assert {family.name for family in families} == {name.removesuffix("_total") for name in metrics(Telemetry())}


def calls(path: Path, owner: str | None, method: str | None = None) -> Iterator[ast.Call]:
    """The calls of `owner`'s methods in a file, or of the function `method`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            value = getattr(node.func, "value", None)
            if (owner is None or (isinstance(value, ast.Name) and value.id == owner)) and method in (None, called):
                yield node


def test_every_log_event_is_documented_with_its_fields_and_every_documented_one_exists() -> None:
    """The tables of events and fields are what all log calls of the service name."""
    events: dict[str, set[str]] = {}
    fields: set[str] = set()
    for path in (ROOT / "service").rglob("*.py"):
        for call in calls(path, "log"):
            (event,) = (each.value for each in call.args if isinstance(each, ast.Constant))
            given = {str(keyword.arg).replace("exc_info", "exception") for keyword in call.keywords}
            events.setdefault(event, set()).update(given)
        for call in calls(path, None, "bind_contextvars"):
            fields |= {str(keyword.arg) for keyword in call.keywords}
    assert events == {row[0].strip("`"): names(row[2]) for row in documented("Log events", 1)}
    assert fields == {row[0].strip("`") for row in documented("Log events")}


def test_every_stage_is_documented(client: TestClient, photo: bytes) -> None:
    """The stages that requests report are those of the document, and each is in the header too."""
    answer = client.post("/translate", files={"image": photo}, data={"output": "photo"})
    client.post("/verify", files={"image1": photo, "image2": photo})
    seen = set(re.findall(r'likeness_stage_duration_seconds_count\{stage="([a-z]+)"\}', client.get("/metrics").text))
    assert {*seen, "style", "generate"} == set(STAGES) == {row[0].strip("`") for row in documented("Stages")}
    assert set(re.findall(r"(\w+);dur=", answer.headers["Server-Timing"])) == seen


def test_requests_stages_and_queues_are_measured(client: TestClient, photo: bytes) -> None:
    """A request leaves its traces in the histograms, its problem in the counters."""
    client.post("/translate", files={"image": photo})
    client.post("/translate", files={"image": b"no"})
    text = client.get("/metrics").text
    for line in (
        r'likeness_http_request_duration_seconds_count\{method="POST",route="/translate",status="200"\} [1-9]',
        r'likeness_problems_total\{code="unsupported-image-type"\} [1-9]',
        r'likeness_images_rejected_total\{reason="unsupported-image-type"\} [1-9]',
        r'likeness_queue_wait_seconds_count\{lane="\w+",priority="interactive"\} [1-9]',
        r"likeness_work_seconds_total [\d.]*[1-9]",
        r'likeness_model_info\{digest="[0-9a-f]{64}",name="caricature",provider="\w+",role="translator".* 1',
        r"likeness_ready 1",
    ):
        assert re.search(line, text), line


def test_labels_do_not_multiply(client: TestClient) -> None:
    """Strange paths and methods share one label."""
    for number in range(5):
        client.get(f"/strange/{number}")
        client.request(f"STRANGE{number}", "/livez")
    text = client.get("/metrics").text
    assert "strange" not in text.lower() and 'route="unmatched"' in text and 'method="other"' in text


def test_request_ids_are_taken_over_or_made(client: TestClient) -> None:
    """A harmless X-Request-ID comes back, anything else is replaced."""
    assert client.get("/livez", headers={"x-request-id": "abc-1.2_3~"}).headers["x-request-id"] == "abc-1.2_3~"
    for bad in ("a b", "x" * 129, "<script>", ""):
        made = client.get("/livez", headers={"x-request-id": bad}).headers["x-request-id"]
        assert made != bad and len(made) == 32


def values(telemetry: Telemetry, accept: str | None = None) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample of a scrape, by name and labels."""
    content, _ = telemetry.exposition(accept)
    return {
        (sample.name.removeprefix("likeness_"), frozenset(sample.labels.items())): sample.value
        for family in parse_text(content.decode())
        for sample in family.samples
    }


def test_lanes_are_observed() -> None:
    """Each call of the observer is one event of the metrics that it stands for."""
    observer: LaneObserver
    observer = telemetry = Telemetry()
    observer.queued("gpu", 3, 0.25)
    observer.waited("gpu", "bulk", 0.1)
    observer.ran("gpu", 3, 4, 0.05)
    observer.shed("memory")
    observer.cancelled("decode")
    observer.expired("queue")
    observer.worked(2.0, False)
    observer.worked(0.5, True)
    found = values(telemetry)
    lane = ("lane", "gpu")
    assert found["queue_depth", frozenset({lane})] == 3 and found["predicted_wait_seconds", frozenset({lane})] == 0.25
    assert found["queue_wait_seconds_sum", frozenset({lane, ("priority", "bulk")})] == 0.1
    assert found["batch_size_sum", frozenset({lane})] == 3 and found["batch_padding_rows_total", frozenset({lane})] == 1
    assert found["batch_duration_seconds_sum", frozenset({lane, ("bucket", "4")})] == 0.05
    assert found["requests_shed_total", frozenset({("reason", "memory")})] == 1
    assert found["requests_cancelled_total", frozenset({("stage", "decode")})] == 1
    assert found["deadline_exceeded_total", frozenset({("stage", "queue")})] == 1
    assert found["work_seconds_total", frozenset()] == 2.5 and found["wasted_seconds_total", frozenset()] == 0.5


def test_what_may_happen_is_there_at_zero_before_it_does() -> None:
    """An increase from nothing to one would be invisible to rate()."""
    found = values(Telemetry())
    for name, label, value in (
        ("requests_shed_total", "reason", "queue-full"),
        ("requests_cancelled_total", "stage", "detect"),
        ("deadline_exceeded_total", "stage", "queue"),
        ("images_rejected_total", "reason", "no-face-found"),
    ):
        assert found[name, frozenset({(label, value)})] == 0


def test_a_retired_model_is_not_served_any_more() -> None:
    """The series of the old version falls to 0 when a new one takes its place."""
    telemetry = Telemetry()
    telemetry.served("caricature", 1, "translator", "ab", "cpu", 1.5)
    telemetry.served("caricature", 2, "translator", "cd", "cpu", 0.5)
    telemetry.retired("caricature", 1, "translator", "ab", "cpu")
    info = {
        dict(labels)["version"]: value for (name, labels), value in values(telemetry).items() if name == "model_info"
    }
    assert info == {"1": 0, "2": 1}
    assert values(telemetry)["model_load_seconds_sum", frozenset({("model", "caricature")})] == 2


def test_only_problems_of_pictures_reject_pictures() -> None:
    """A wrong option is no rejected picture; a picture without a face is."""
    telemetry = Telemetry()
    for error in (errors.NoFaceFound(""), errors.BadParameter("")):
        telemetry.refused(errors.problem_of(error), error)
    rejected = {labels: value for (name, labels), value in values(telemetry).items() if name == "images_rejected_total"}
    assert {labels for labels, value in rejected.items() if value} == {frozenset({("reason", "no-face-found")})}
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize(
    "accept, kind",
    [
        (None, "text/plain"),
        ("*/*", "text/plain"),
        ("application/openmetrics-text;version=1.0.0", "application/openmetrics-text"),
    ],
)
def test_the_exposition_is_what_was_asked_for(accept: str | None, kind: str) -> None:
    """Both formats hold the same metrics, in a form that their parsers read; no series nobody asked for."""
    telemetry = Telemetry()
    telemetry.served("a", 1, "translator", "ab", "cpu", 1.0)
    telemetry.ran("a", 1, 1, 0.1)
    content, content_type = telemetry.exposition(accept)
    parse = parse_openmetrics if kind.startswith("application") else parse_text
    families = {family.name for family in parse(content.decode())}
    own = {name.removesuffix("_total") for name in metrics(telemetry)}
    assert content_type.startswith(kind) and families >= own and b"_created" not in content


WORKER = """
import sys
from service.telemetry import Telemetry
telemetry = Telemetry()
depth, wait, ready = (float(each) for each in sys.argv[1:])
telemetry.queued("cpu", depth, wait)
telemetry.ran("cpu", 1, 1, 0.1)
telemetry.shed("draining")
telemetry.served("caricature", 1, "translator", "ab", "cpu", 1.0)
telemetry.ready.set(ready)
print("written", flush=True)
while (line := sys.stdin.readline()):
    print(telemetry.exposition(None)[0].decode(), "end", sep="", flush=True)
"""


def test_several_workers_answer_as_one(tmp_path: Path) -> None:
    """A scrape of any worker adds up what all count; a worker that is gone leaves its counters and not its gauges."""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for arguments in (("3", "1.5", "1"), ("4", "0.5", "0"))
    ]

    def scrape(worker: subprocess.Popen[str]) -> dict[str, float]:
        assert worker.stdin and worker.stdout
        worker.stdin.write("scrape\n")
        worker.stdin.flush()
        text = "".join(iter(worker.stdout.readline, "end\n"))
        return {
            sample.name: sample.value
            for family in parse_text(text)
            for sample in family.samples
            if sample.labels.get("reason", "draining") == "draining"
        }

    with workers[0], workers[1]:
        assert all(worker.stdout and worker.stdout.readline() == "written\n" for worker in workers)
        first, second = map(scrape, workers)
        assert first == second and not any(name.startswith("process_") for name in first)
        assert first["likeness_queue_depth"] == 7 and first["likeness_predicted_wait_seconds"] == 1.5
        assert first["likeness_ready"] == 0 and first["likeness_model_info"] == 1
        assert first["likeness_batch_size_count"] == 2 and first["likeness_requests_shed_total"] == 2
        workers[1].communicate()
        script = f"from service.telemetry import worker_ended; worker_ended({workers[1].pid})"
        subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, check=True)
        left = scrape(workers[0])
        assert left["likeness_queue_depth"] == 3 and left["likeness_ready"] == 1
        assert left["likeness_requests_shed_total"] == 2
        workers[0].communicate()


def test_a_stopwatch_adds_up_and_prints() -> None:
    """A stage that comes twice adds up; the header names every stage in milliseconds."""
    stopwatch = Stopwatch(Telemetry())
    with stopwatch.stage("decode"):
        pass
    first = stopwatch.seconds["decode"]
    with stopwatch.stage("decode"), stopwatch.stage("detect"):
        pass
    stopwatch.note("queue", 0.0125)
    assert stopwatch.seconds["decode"] > first and list(stopwatch.milliseconds) == ["decode", "detect", "queue"]
    assert stopwatch.server_timing.startswith("decode;dur=") and ", detect;dur=" in stopwatch.server_timing
    assert stopwatch.server_timing.endswith("queue;dur=12.50") and stopwatch.milliseconds["queue"] == 12.5


def test_a_stage_that_raises_is_timed_too() -> None:
    """The work was done, whatever came of it."""
    stopwatch = Stopwatch(Telemetry())
    with pytest.raises(ValueError), stopwatch.stage("decode"):
        raise ValueError
    assert "decode" in stopwatch.seconds


@pytest.fixture(name="lines")
def lines_(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[dict[str, object]]]]:
    """Reads the lines since configure_logging(); gives the test runner its logging back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_logs_are_json_with_the_request_id_and_without_locals(lines) -> None:
    """Every line is a JSON object; a traceback names the error but prints no local variable."""
    configure_logging("info")
    telemetry = Telemetry()
    with structlog.contextvars.bound_contextvars(request_id="abc"):
        telemetry.answered("GET", "/models", 200, 0.01)
        try:
            photo = b"private" + b"pixels"
            raise ValueError(len(photo))
        except ValueError as error:
            telemetry.refused(errors.INTERNAL, error)
    logging.getLogger("uvicorn").warning("from a library")
    request, failure, library = lines()
    assert [request["event"], failure["event"], library["event"]] == ["request", "failure", "from a library"]
    assert request["request_id"] == failure["request_id"] == "abc" and request["status"] == 200
    assert "ValueError: 13" in failure["exception"] and "privatepixels" not in json.dumps(failure)
    assert [each["logger"] for each in (request, failure, library)] == ["likeness", "likeness", "uvicorn"]
    assert [each["level"] for each in (request, failure, library)] == ["info", "error", "warning"]


def test_libraries_never_log_at_debug(lines) -> None:
    """There they print what they read, photos' EXIF and hosts' names among it; the service's own lines are there."""
    configure_logging("debug")
    for library in ("PIL.TiffImagePlugin", "httpcore2.connection", "uvicorn"):
        logging.getLogger(library).debug("private")
        logging.getLogger(library).info("public")
    Telemetry().answered("GET", "/livez", 200, 0.01)
    assert [line["event"] for line in lines()] == ["public"] * 3 + ["request"]
    configure_logging("error")
    logging.getLogger("uvicorn").warning("less")
    assert lines() == []


def test_a_request_has_one_line_that_says_all(client: TestClient, lines) -> None:
    """Id, caller's trace, route and problem are in it, the query string is not; probes are silent."""
    configure_logging("info")
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"X-Request-ID": "mine-1", "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    client.post("/translate?seed=1234567", content=b"no", headers={**headers, "Content-Type": "image/jpeg"})
    client.get("/livez")
    client.get("/metrics")
    client.get("/models", headers={"X-Request-ID": "not harmless"})
    first, second = (line for line in lines() if line["logger"] == "likeness")
    assert first["request_id"] == "mine-1" and first["trace_id"] == trace and first["status"] == 415
    assert first["problem"] == "unsupported-image-type" and first["route"] == "/translate"
    assert re.fullmatch("[0-9a-f]{32}", second["request_id"]) and not {"problem", "trace_id"} & set(second)
    assert "1234567" not in json.dumps([first, second])


def test_a_problem_of_a_part_is_not_the_requests(lines) -> None:
    """A batch that was answered is no problem in the log, whatever one of its pictures was."""
    configure_logging("info")
    telemetry = Telemetry()

    async def batch(request: Request) -> Response:
        telemetry.refused(errors.problem_of(error := errors.NoFaceFound("")), error)
        return Response()

    app = Starlette(routes=[Route("/batch", batch)])
    app.add_middleware(RequestTelemetry, telemetry=telemetry)
    TestClient(app).get("/batch")
    (line,) = (line for line in lines() if line["logger"] == "likeness")
    assert line["status"] == 200 and "problem" not in line
    assert values(telemetry)["problems_total", frozenset({("code", "no-face-found")})] == 1


def test_a_registry_is_of_one_application() -> None:
    """Two applications in one process do not share their metrics."""
    first, second = Telemetry(), Telemetry()
    first.shed("memory")
    assert isinstance(first.registry, CollectorRegistry) and first.registry is not second.registry
    assert values(second)["requests_shed_total", frozenset({("reason", "memory")})] == 0
