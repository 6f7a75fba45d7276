"""service.telemetry: what is documented is what is emitted, labels are bounded, logs hold nothing private."""

import ast
import json
import logging
import re
from pathlib import Path

import pytest
import structlog
from fastapi.testclient import TestClient

from service.telemetry import Stopwatch, Telemetry, configure_logging

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "telemetry.md").read_text()


def documented(heading: str) -> set[str]:
    """The names in the first column of the first table below a heading."""
    table = DOCUMENT.partition(f"## {heading}")[2].partition("\n\n|")[2].partition("\n\n")[0]
    return set(re.findall(r"^\|? ?`([a-z_]+)`", table, re.MULTILINE))


def test_every_metric_is_documented_and_every_documented_one_exists() -> None:
    """The table of metrics and the registry are the same set."""
    families = [family for family in Telemetry().registry.collect() if family.name.startswith("likeness_")]
    names = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    assert names == documented("Metrics")


def test_every_log_event_is_documented_and_every_documented_one_exists() -> None:
    """The table of events is the set of first arguments of all log calls of the service."""
    events = set()
    for path in (ROOT / "service").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = node.func.value
                if isinstance(owner, ast.Name) and owner.id == "log":
                    events |= {each.value for each in node.args if isinstance(each, ast.Constant)}
    assert events == documented("Log events")


def test_every_stage_is_documented(client: TestClient, photo: bytes) -> None:
    """The stages that requests report are those of the document."""
    client.post("/translate", files={"image": photo}, data={"output": "photo"})
    client.post("/verify", files={"image1": photo, "image2": photo})
    seen = set(re.findall(r'likeness_stage_duration_seconds_count\{stage="([a-z]+)"\}', client.get("/metrics").text))
    client.post("/translate", files={"image": photo})
    assert seen == {"decode", "detect", "cut", "translate", "identity", "paste", "encode"}
    assert all(f"| `{stage}` |" in DOCUMENT for stage in seen)


def test_requests_stages_and_queues_are_measured(client: TestClient, photo: bytes) -> None:
    """A request leaves its traces in the histograms, its problem in the counter."""
    client.post("/translate", files={"image": photo})
    client.post("/translate", files={"image": b"no"})
    text = client.get("/metrics").text
    for line in (
        r'likeness_http_request_duration_seconds_count\{method="POST",route="/translate",status="200"\} [1-9]',
        r'likeness_problems_total\{code="unsupported-image-type"\} [1-9]',
        r'likeness_queue_wait_seconds_count\{lane="caricature"\} [1-9]',
        r'likeness_batch_size_count\{lane="sphereface"\} [1-9]',
        r'likeness_model_info\{digest="[0-9a-f]{64}",name="caricature",role="translator",version="1"\} 1',
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


def test_a_stopwatch_adds_up_and_prints() -> None:
    """A stage that comes twice adds up; the header names every stage in milliseconds."""
    stopwatch = Stopwatch(Telemetry())
    with stopwatch.stage("decode"):
        pass
    first = stopwatch.seconds["decode"]
    with stopwatch.stage("decode"), stopwatch.stage("detect"):
        pass
    assert stopwatch.seconds["decode"] > first and list(stopwatch.milliseconds) == ["decode", "detect"]
    assert stopwatch.server_timing.startswith("decode;dur=") and ", detect;dur=" in stopwatch.server_timing


@pytest.fixture(name="logging_restored")
def logging_restored_() -> object:
    """Give the test runner its logging back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield None
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_logs_are_json_with_the_request_id_and_without_locals(
    capsys: pytest.CaptureFixture[str], logging_restored: object
) -> None:
    """Every line is a JSON object; a traceback names the error but prints no local variable."""
    configure_logging("info")
    telemetry = Telemetry()
    from service.errors import INTERNAL

    with structlog.contextvars.bound_contextvars(request_id="abc"):
        telemetry.answered("GET", "/livez", 200, 0.01)
        try:
            photo = b"private" + b"pixels"
            raise ValueError(len(photo))
        except ValueError as error:
            telemetry.refused(INTERNAL, error)
    logging.getLogger("uvicorn").warning("from a library")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["request", "failure", "from a library"]
    assert lines[0]["request_id"] == lines[1]["request_id"] == "abc" and lines[0]["status"] == 200
    assert "ValueError: 13" in lines[1]["exception"] and "privatepixels" not in json.dumps(lines)
