"""service.problems: whatever is wrong with a request, or with the service, is a problem of its own."""

import io
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import httpx2
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from service.errors import INTERNAL
from service.main import create_app
from service.settings import Settings

JPEG = {"content-type": "image/jpeg"}

Gated = Callable[[Settings], tuple[TestClient, Event]]


def png(picture: Image.Image) -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


# Bad input


def blank(width: int, height: int) -> bytes:
    """A picture without a face."""
    return png(Image.new("L", (width, height)))


def shrunk(photo: bytes, side: int) -> bytes:
    """The portrait at a smaller size."""
    return png(Image.open(io.BytesIO(photo)).resize((side, side), Image.Resampling.LANCZOS))


BAD_INPUT: dict[str, tuple[int, str, Callable[[bytes], dict[str, object]]]] = {
    "not an image": (415, "unsupported-image-type", lambda p: {"content": b"hello" * 99, "headers": JPEG}),
    "a format off the list": (415, "unsupported-image-type", lambda p: {"files": {"image": b"%PDF-1.7" + p}}),
    "wrong magic": (415, "image-type-mismatch", lambda p: {"content": p, "headers": {"content-type": "image/png"}}),
    "wrong magic in a form": (415, "image-type-mismatch", lambda p: {"files": {"image": ("a", p, "image/webp")}}),
    "truncated": (400, "malformed-image", lambda p: {"files": {"image": p[:6000]}}),
    "only a header": (400, "malformed-image", lambda p: {"files": {"image": p[:200]}}),
    "no bytes": (400, "empty-body", lambda p: {"content": b"", "headers": JPEG}),
    "no bytes in a form": (400, "empty-body", lambda p: {"files": {"image": b""}}),
    "no picture in a form": (400, "empty-body", lambda p: {"files": {"seed": (None, "1")}}),
    "no picture in JSON": (400, "empty-body", lambda p: {"json": {"seed": 1}}),
    "body too large": (413, "body-too-large", lambda p: {"content": p + bytes(20_000_000), "headers": JPEG}),
    "body too large, of unknown length": (
        413,
        "body-too-large",
        lambda p: {"content": iter([p] + [bytes(1_000_000)] * 20), "headers": JPEG},
    ),
    "more than 40 megapixels": (422, "too-many-pixels", lambda p: {"files": {"image": blank(8000, 5001)}}),
    "no face": (422, "no-face-found", lambda p: {"files": {"image": blank(300, 300)}}),
    "no faces": (422, "no-face-found", lambda p: {"files": {"image": blank(300, 300)}, "data": {"faces": "all"}}),
    "face too small": (422, "face-too-small", lambda p: {"files": {"image": shrunk(p, 56)}}),
    "two pictures": (400, "ambiguous-body", lambda p: {"files": [("image", p), ("image", p)]}),
    "two pictures in JSON": (
        400,
        "ambiguous-body",
        lambda p: {"content": b'{"image": "eHg=", "image": "eHg="}', "headers": {"content-type": "application/json"}},
    ),
    "a second file": (400, "ambiguous-body", lambda p: {"files": {"image": p, "other": p}}),
    "unknown model": (404, "model-not-found", lambda p: {"files": {"image": p}, "data": {"model": "nobody"}}),
    "an encoder as translator": (
        404,
        "model-not-found",
        lambda p: {"files": {"image": p}, "data": {"model": "sphereface"}},
    ),
    "strength too high": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"strength": "3.1"}}),
    "strength below 0": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"strength": "-1"}}),
    "strength NaN": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"strength": "nan"}}),
    "strength infinite": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"strength": "inf"}}),
    "strength a word": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"strength": "much"}}),
    "strength nothing": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"strength": ""}}),
    "unknown option": (400, "bad-parameter", lambda p: {"files": {"image": p}, "params": {"colour": "red"}}),
    "unknown style": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"style": "cubist"}}),
    "negative seed": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"seed": "-1"}}),
    "unknown faces": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"faces": "some"}}),
    "unknown format": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"format": "gif"}}),
    "quality 0": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"quality": "0"}}),
    "an option twice": (
        400,
        "bad-parameter",
        lambda p: {"files": {"image": p}, "data": {"seed": "1"}, "params": {"seed": "2"}},
    ),
    "unacceptable Accept": (
        406,
        "not-acceptable",
        lambda p: {"files": {"image": p}, "headers": {"accept": "text/html"}},
    ),
    "all crops as one picture": (
        406,
        "not-acceptable",
        lambda p: {"files": {"image": p}, "data": {"faces": "all"}, "headers": {"accept": "image/png"}},
    ),
    "unknown body": (415, "unsupported-body-type", lambda p: {"content": p, "headers": {"content-type": "text/plain"}}),
    "no Content-Type": (415, "unsupported-body-type", lambda p: {"content": p}),
    "compressed body": (
        415,
        "unsupported-body-type",
        lambda p: {"content": p, "headers": {**JPEG, "content-encoding": "gzip"}},
    ),
    "broken JSON": (
        400,
        "malformed-body",
        lambda p: {"content": b"{", "headers": {"content-type": "application/json"}},
    ),
    "JSON that is no object": (400, "malformed-body", lambda p: {"json": [1, 2]}),
    "broken base64": (400, "malformed-body", lambda p: {"json": {"image": "%%%"}}),
    "a number as picture": (400, "malformed-body", lambda p: {"json": {"image": 7}}),
    "a word as picture": (400, "malformed-body", lambda p: {"files": {"image": (None, "me")}}),
    "a form without boundary": (
        400,
        "malformed-body",
        lambda p: {"content": p, "headers": {"content-type": "multipart/form-data"}},
    ),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_every_bad_input_is_a_problem_of_its_own(client: TestClient, photo: bytes, name: str) -> None:
    """Status, code and type are the table's, the body is RFC 9457, and the next good request is served."""
    status, code, request = BAD_INPUT[name]
    answer = client.post("/translate", **request(photo))
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code), problem
    assert problem["type"] == f"urn:likeness:problem:{code}" and problem["title"] and problem["detail"]
    assert problem["instance"].endswith(answer.headers["x-request-id"])
    assert client.post("/translate", files={"image": photo}).status_code == 200


def test_unknown_paths_and_methods_are_problems_too(client: TestClient) -> None:
    """404 and 405 of the router have the same form."""
    for answer, code in ((client.get("/nowhere"), "not-found"), (client.get("/translate"), "method-not-allowed")):
        assert answer.headers["content-type"] == "application/problem+json" and answer.json()["code"] == code


def test_memory_does_not_grow_with_rejected_input(client: TestClient, photo: bytes) -> None:
    """Two hundred refused bodies and bombs leave no more than a few megabytes behind."""

    def resident() -> int:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    bomb, large = blank(16_000, 16_000), photo + bytes(5_000_000)

    def round_() -> None:
        for content in (bomb, large[: len(photo) // 2], b"no", blank(64, 64)):
            client.post("/translate", files={"image": content})
        client.post("/translate", content=large, headers={"content-type": "image/png"})

    for _ in range(10):
        round_()
    before = resident()
    for _ in range(40):
        round_()
    assert resident() - before < 30_000_000


# Overload


@pytest.fixture(name="gated")
def gated_(models: Path, photo: bytes) -> Iterator[Gated]:
    """A way to make an application whose translator waits for an event."""
    gates: list[tuple[TestClient, Event]] = []

    def make(settings: Settings) -> tuple[TestClient, Event]:
        client, gate = TestClient(create_app(settings)), Event()
        client.__enter__()
        gates.append((client, gate))
        model = client.app.state.parts.registry.served["caricature"].model
        run = model.run

        def gated_run(*arguments: object, **options: object) -> object:
            gate.wait(20)
            return run(*arguments, **options)

        model.run = gated_run
        return client, gate

    yield make
    for client, gate in gates:
        gate.set()
        client.__exit__(None, None, None)


@pytest.mark.parametrize("limit", [{"queue_capacity": 2}, {"max_requests": 3}])
def test_overload_is_told_with_retry_after(gated: Gated, models: Path, photo: bytes, limit: dict[str, int]) -> None:
    """With every place taken a request is refused at once as 503 with Retry-After, and those inside are answered."""
    client, gate = gated(Settings(models=models, **limit))

    def post(_: int) -> httpx2.Response:
        answer = client.post("/translate", files={"image": photo})
        if answer.status_code == 503:
            gate.set()
        return answer

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(8)))
    refused = [answer for answer in answers if answer.status_code == 503]
    assert refused and all(answer.status_code in (200, 503) for answer in answers)
    assert sum(answer.status_code == 200 for answer in answers) >= 2
    for answer in refused:
        assert int(answer.headers["retry-after"]) >= 1 and answer.json()["code"] == "overloaded"
        assert answer.json()["retry_after"] == int(answer.headers["retry-after"])


def test_an_unexpected_error_tells_nothing(gated: Gated, models: Path, photo: bytes) -> None:
    """A bug is a problem of status 500 without the exception's text, and the service goes on."""
    client, _ = gated(Settings(models=models))

    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError("secret")

    pipeline = client.app.state.parts.pipeline
    working, pipeline.translate = pipeline.translate, broken
    answer = client.post("/translate", files={"image": photo})
    pipeline.translate = working
    assert (answer.status_code, answer.json()["code"]) == (INTERNAL.status, INTERNAL.code)
    assert "secret" not in answer.text and answer.headers["x-request-id"]
    assert client.get("/readyz").status_code == 200
