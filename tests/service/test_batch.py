"""POST /translate/batch: every photo is answered as if it were alone, and none costs another one anything."""

import base64
import io
import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from service.access import Scope, new_key
from service.main import create_app
from service.settings import Settings

Eventually = Callable[[Callable[[], bool]], None]
JSON = {"accept": "application/json"}


def forms(*photos: bytes) -> list[tuple[str, bytes]]:
    """A form's parts."""
    return [("image", photo) for photo in photos]


def text(photo: bytes) -> str:
    """A photo in JSON."""
    return base64.b64encode(photo).decode()


def blank() -> bytes:
    """A picture without a face."""
    buffer = io.BytesIO()
    Image.new("L", (64, 64)).save(buffer, "PNG")
    return buffer.getvalue()


def told(translation: dict[str, Any]) -> dict[str, Any]:
    """What does not differ from one request to the other."""
    return {name: value for name, value in translation.items() if name not in ("id", "instance", "timings")}


# Answers


def test_each_photo_is_answered_as_if_it_were_alone(
    client: TestClient, photo: bytes, smiling: bytes, stranger: bytes
) -> None:
    """The items are what /translate answers for each photo with the same options, in the order of the photos."""
    photos, options = (photo, smiling, stranger, photo), {"strength": "0.5", "format": "png", "seed": "3"}
    answer = client.post("/translate/batch", files=forms(*photos), data=options)
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    items = answer.json()["items"]
    alone = [client.post("/translate", files={"image": each}, data=options, headers=JSON).json() for each in photos]
    assert [told(item) for item in items] == [told(each) for each in alone]
    assert answer.json()["id"] == answer.headers["x-request-id"] == items[0]["id"]
    assert all({"queue", "decode", "translate", "encode"} <= set(item["timings"]) for item in items)


def test_form_and_json_are_one_batch(client: TestClient, photo: bytes, smiling: bytes) -> None:
    """Parts of a form and base64 in JSON, with options in form, query or JSON, give the same items; JPEG if unasked."""
    answers = [
        client.post("/translate/batch", files=forms(photo, smiling), data={"strength": "0.5"}),
        client.post("/translate/batch", files=forms(photo, smiling), params={"strength": "0.5"}),
        client.post("/translate/batch", json={"images": [text(photo), text(smiling)], "strength": 0.5}),
        client.post(
            "/translate/batch",
            json={"images": [text(photo), f"data:image/jpeg;base64,{text(smiling)}"]} | {"strength": 0.5},
        ),
    ]
    assert {answer.status_code for answer in answers} == {200}
    assert len({json.dumps([told(item) for item in answer.json()["items"]]) for answer in answers}) == 1
    assert answers[0].json()["items"][0]["media_type"] == "image/jpeg"


BAD_PHOTOS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "not an image": (lambda p: b"hello" * 99, "unsupported-image-type"),
    "truncated": (lambda p: p[:6000], "malformed-image"),
    "no bytes": (lambda p: b"", "empty-body"),
    "no face": (lambda p: blank(), "no-face-found"),
    "too large a file": (lambda p: p + bytes(20_000_000), "body-too-large"),
}


@pytest.mark.parametrize("name", BAD_PHOTOS)
def test_a_bad_photo_is_its_own_problem(client: TestClient, photo: bytes, name: str) -> None:
    """In the place of a bad photo stands the problem that it would be alone, and the others are drawn."""
    spoil, code = BAD_PHOTOS[name]
    bad = spoil(photo)
    answer = client.post("/translate/batch", files=forms(photo, bad, photo))
    first, problem, last = answer.json()["items"]
    assert answer.status_code == 200 and first["faces"] and told(first) == told(last)
    alone = client.post("/translate", files={"image": bad}).json()
    assert problem["code"] == alone["code"] == code
    for member in ("type", "title", "status"):
        assert problem[member] == alone[member]
    assert problem["instance"].endswith(answer.headers["x-request-id"]) and "retry_after" not in problem


def test_a_bad_string_is_its_own_problem(client: TestClient, photo: bytes) -> None:
    """In JSON, what is no base64 or no string is a problem of its place, which the pointer names."""
    items = client.post("/translate/batch", json={"images": ["%%%", text(photo), 7, None]}).json()["items"]
    assert [item.get("code") for item in items] == ["malformed-body", None, "malformed-body", "malformed-body"]
    assert [item["errors"] for item in items if "code" in item] == [[{"pointer": f"#/images/{n}"}] for n in (0, 2, 3)]


def test_a_bug_in_one_item_tells_nothing(live: Any, photo: bytes) -> None:
    """An unexpected error is the problem `internal` of one item, without its text; the others are drawn."""
    pipeline = live.app.state.parts.pipeline
    working = pipeline.translate

    def broken(commission: Any, watch: Any) -> Any:
        if commission.picture.content.endswith(b"!"):
            raise RuntimeError("secret")
        return (yield from working(commission, watch))

    pipeline.translate = broken
    try:
        answer = httpx2.post(f"{live.address}/translate/batch", files=forms(photo, photo + b"!"), timeout=30)
    finally:
        pipeline.translate = working
    assert answer.json()["items"][0]["faces"] and answer.json()["items"][1]["code"] == "internal"
    assert "secret" not in answer.text


# Refusals of the whole

BAD_BATCHES: dict[str, tuple[int, str, Callable[[bytes], dict[str, Any]]]] = {
    "no photo in a form": (400, "empty-body", lambda p: {"files": {"seed": (None, "1")}}),
    "no photo in JSON": (400, "empty-body", lambda p: {"json": {"images": []}}),
    "no list": (400, "malformed-body", lambda p: {"json": {"images": text(p)}}),
    "broken JSON": (
        400,
        "malformed-body",
        lambda p: {"content": b"[", "headers": {"content-type": "application/json"}},
    ),
    "too many in a form": (422, "too-many-items", lambda p: {"files": forms(*[b"x"] * 33)}),
    "far too many in a form": (422, "too-many-items", lambda p: {"files": forms(*[b"x"] * 300)}),
    "too many in JSON": (422, "too-many-items", lambda p: {"json": {"images": [""] * 33}}),
    "far too many in JSON": (400, "malformed-body", lambda p: {"json": {"images": [""] * 30_000}}),
    "a bare picture": (
        415,
        "unsupported-body-type",
        lambda p: {"content": p, "headers": {"content-type": "image/jpeg"}},
    ),
    "a file of another name": (400, "ambiguous-body", lambda p: {"files": [*forms(p), ("other", p)]}),
    "too large a body": (413, "body-too-large", lambda p: {"files": forms(*[p + bytes(16_000_000)] * 4)}),
    "unknown option": (400, "bad-parameter", lambda p: {"files": forms(p), "params": {"colour": "red"}}),
    "an option twice": (
        400,
        "bad-parameter",
        lambda p: {"files": forms(p), "data": {"seed": "1"}, "params": {"seed": "1"}},
    ),
    "strength too high": (400, "bad-parameter", lambda p: {"files": forms(p), "data": {"strength": "9"}}),
    "unknown model": (404, "model-not-found", lambda p: {"files": forms(p), "data": {"model": "nobody"}}),
    "no time": (400, "bad-parameter", lambda p: {"files": forms(p), "headers": {"x-request-timeout": "0"}}),
}


@pytest.mark.parametrize("name", BAD_BATCHES)
def test_what_is_wrong_with_all_is_one_problem(client: TestClient, photo: bytes, name: str) -> None:
    """A body or options that no photo can be drawn with are a problem of the request, and the next one is served."""
    status, code, request = BAD_BATCHES[name]
    answer = client.post("/translate/batch", **request(photo))
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.json()
    assert client.post("/translate/batch", files=forms(photo)).json()["items"][0]["faces"]


def test_as_many_as_are_allowed(client: TestClient) -> None:
    """The limit is allowed."""
    answer = client.post("/translate/batch", files=forms(*[b"x"] * 32))
    assert [item["code"] for item in answer.json()["items"]] == ["unsupported-image-type"] * 32


def test_a_time_that_is_too_short_is_told_of_each(client: TestClient, photo: bytes) -> None:
    """What is not drawn in X-Request-Timeout is a problem of its item."""
    answer = client.post("/translate/batch", files=forms(photo, photo), headers={"x-request-timeout": "0.001"})
    assert (answer.status_code, {item["code"] for item in answer.json()["items"]}) == (200, {"deadline-exceeded"})


# What a batch costs others


def test_a_batch_waits_behind_single_requests(live: Any, photo: bytes, eventually: Eventually) -> None:
    """While a batch is at work few of its photos are with the engine, and a single request goes before the others."""
    with ThreadPoolExecutor() as pool, live.gate.closed():
        batch = pool.submit(httpx2.post, f"{live.address}/translate/batch", files=forms(*[photo] * 16), timeout=60)
        eventually(lambda: len(live.gate.reached) == 2)
        eventually(lambda: live.metric('likeness_queue_depth{lane="cpu"}') == 2)
        url = f"{live.address}/translate?quality=77"
        single = pool.submit(httpx2.post, url, files={"image": photo}, timeout=60)
        eventually(lambda: live.metric('likeness_queue_depth{lane="cpu"}') == 3)
        live.gate.open()
        assert single.result().is_success and all(item["faces"] for item in batch.result().json()["items"])
    turns = [commission.look.quality for commission in live.gate.reached]
    assert turns.count(77) == 1 and turns.index(77) <= 3 and len(turns) == 17
    assert live.metric('likeness_queue_wait_seconds_count{lane="cpu",priority="bulk"}') >= 16


def test_a_client_that_leaves_lets_all_of_it_go(live: Any, photo: bytes, eventually: Eventually) -> None:
    """When the connection closes, photos that were not begun never are, and what the batch held is given back."""
    boundary = b"--x\r\nContent-Disposition: form-data; name=image; filename=a\r\n\r\n"
    body = b"".join(boundary + photo + b"\r\n" for _ in range(8)) + b"--x--\r\n"
    head = (
        "POST /translate/batch HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    gone = live.metric('likeness_problems_total{code="client-closed"}')
    unseen = live.metric('likeness_requests_cancelled_total{stage="queue"}')
    with live.gate.closed():
        with socket.create_connection(("127.0.0.1", live.port)) as connection:
            connection.sendall(head.encode() + body)
            eventually(lambda: len(live.gate.reached) == 2)
        eventually(lambda: live.metric('likeness_problems_total{code="client-closed"}') == gone + 1)
        eventually(lambda: live.metric('likeness_requests_cancelled_total{stage="queue"}') >= unseen + 4)
        assert len(live.gate.reached) == 2
    bulk = live.app.state.parts.bulk
    with bulk.memory.held(live.app.state.settings.max_batch_memory):
        pass
    assert httpx2.post(f"{live.address}/translate/batch", files=forms(photo), timeout=30).json()["items"][0]["faces"]


@pytest.fixture(scope="module", name="small")
def small_(models: Path, photo: bytes) -> Settings:
    """Settings with room for little more than a photo."""
    limit = 2 * len(photo)
    return Settings(models=models, log_level="error", max_batch_bytes=limit, max_batch_memory=limit, max_requests=4)


def test_batches_are_bounded_in_number_and_memory(small: Settings, photo: bytes) -> None:
    """With no room for another batch it is refused as overloaded; drawings for which there is none fail alone."""
    with TestClient(create_app(small)) as client:
        parts = client.app.state.parts
        with parts.bulk.admission:
            refused = client.post("/translate/batch", files=forms(photo))
            assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
            assert client.post("/translate", files={"image": photo}).is_success
        with parts.bulk.memory.held(small.max_batch_memory):
            refused = client.post("/translate/batch", files=forms(photo))
            assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
            assert int(refused.headers["retry-after"]) >= 1
        large = {"format": "png", "output": "photo", "strength": "0"}
        (item,) = client.post("/translate/batch", files=forms(photo), data=large).json()["items"]
        assert (item["status"], item["code"]) == (503, "overloaded")
        (item,) = client.post("/translate/batch", files=forms(photo)).json()["items"]
        assert item["faces"]


def test_a_batch_is_charged_by_the_photo(models: Path, photo: bytes, tmp_path: Path) -> None:
    """Every photo of a batch is one request of the client's quota, and a key needs the scope translate."""
    (mine, entry), (other, narrow) = new_key("mine", [Scope.TRANSLATE]), new_key("other", [Scope.VERIFY])
    (tmp_path / "keys.toml").write_text(f"{entry}requests_per_second = 0.001\nburst = 10\n{narrow}")
    with TestClient(create_app(Settings(models=models, log_level="error", api_keys=tmp_path / "keys.toml"))) as client:
        answer = client.post("/translate/batch", files=forms(photo, b"no", b"no"), headers={"x-api-key": mine})
        assert answer.status_code == 200 and "r=7" in answer.headers["ratelimit"]
        answer = client.post("/translate/batch", files=forms(photo), headers={"x-api-key": other})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert client.post("/translate/batch", files=forms(photo)).status_code == 401
