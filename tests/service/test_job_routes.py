"""/jobs: over HTTP a job draws what single requests would, tells how far it is, and ends when it shall."""

import base64
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fastapi.routing
import httpx2
import pytest
from fastapi.testclient import TestClient

from service.access import Scope, new_key
from service.drain import install
from service.main import create_app
from service.settings import Settings

Eventually = Callable[[Callable[[], bool]], None]


def forms(*photos: bytes) -> list[tuple[str, bytes]]:
    """A form's parts."""
    return [("image", photo) for photo in photos]


def ended(client: Any, path: str) -> dict[str, Any]:
    """The job once it has ended."""
    while (job := client.get(path).json())["state"] not in ("done", "cancelled"):
        pass
    return job


def events(text: str) -> list[dict[str, Any]]:
    """The server-sent events of a stream."""
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    fields = [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]
    return [{**each, "data": json.loads(each["data"])} for each in fields]


def code(answer: httpx2.Response) -> tuple[int, str]:
    """Status and problem."""
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


@contextmanager
def service(**settings: Any) -> Iterator[TestClient]:
    """An application of its own."""
    with TestClient(create_app(Settings(log_level="error", **settings))) as client:
        yield client


def test_a_job_draws_what_single_requests_would(client: TestClient, photo: bytes, smiling: bytes) -> None:
    """A job is accepted with its address, ends, and gives each photo's drawing in the same bytes as /translate."""
    options = {"seed": "4", "strength": "0.5", "format": "png"}
    answer = client.post("/jobs", files=forms(photo, smiling), data=options)
    path, job = answer.headers["location"], answer.json()
    assert answer.status_code == 202 and path == f"/jobs/{job['id']}" and job["state"] in ("queued", "running")
    assert answer.headers["cache-control"] == "no-store" and "expires_in" not in job
    job = ended(client, path)
    assert job["state"] == "done" and 0 < job["expires_in"] <= 600
    assert job["counts"] == {"queued": 0, "running": 0, "done": 2, "failed": 0}
    for item, each in zip(job["items"], (photo, smiling), strict=True):
        alone = client.post("/translate", files={"image": each}, data=options)
        drawn = client.get(item["url"])
        assert drawn.content == alone.content and drawn.headers["content-type"] == "image/png"
        for header in ("x-likeness-box", "x-likeness-similarity", "x-likeness-model", "cache-control", "vary"):
            assert drawn.headers[header] == alone.headers[header]


def test_accept_chooses_between_drawing_and_json(client: TestClient, photo: bytes) -> None:
    """An item is the picture or, if that is what is accepted, JSON; crops of all faces are JSON alone."""
    path = client.post("/jobs", files=forms(photo)).headers["location"]
    url = ended(client, path)["items"][0]["url"]
    told = client.get(url, headers={"accept": "application/json"}).json()
    assert base64.b64decode(told["faces"][0]["image"]) == client.get(url).content
    assert told["model"] == "caricature/1" and told["timings"]["translate"] > 0


def test_a_bad_photo_is_the_problem_of_its_item(client: TestClient, photo: bytes) -> None:
    """The job's document and the item itself tell the problem that the photo would be alone; the others are drawn."""
    answer = client.post("/jobs", files=forms(photo, b"no", photo))
    path = answer.headers["location"]
    job = ended(client, path)
    assert job["counts"] == {"queued": 0, "running": 0, "done": 2, "failed": 1}
    assert [item["state"] for item in job["items"]] == ["done", "failed", "done"] and "url" not in job["items"][1]
    alone = client.post("/translate", files={"image": b"no"})
    item = client.get(f"{path}/items/1")
    assert code(item) == code(alone) == (415, "unsupported-image-type")
    assert item.json() == job["items"][1]["problem"]
    assert item.json()["detail"] == alone.json()["detail"]
    assert item.json()["instance"].endswith(answer.headers["x-request-id"])


def test_events_tell_what_happens_and_resume(client: TestClient, photo: bytes) -> None:
    """The stream begins with `started`, has every item, ends with `done`, and resumes after Last-Event-ID."""
    path = client.post("/jobs", files=forms(photo, b"no", photo)).headers["location"]
    answer = client.get(f"{path}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = events(answer.text)
    assert [each["event"] for each in told] == ["started", "item", "item", "item", "done"]
    assert [each["id"] for each in told] == ["1", "2", "3", "4", "5"]
    items = {each["data"]["number"]: each["data"] for each in told[1:4]}
    assert [items[number] for number in range(3)] == client.get(path).json()["items"]
    assert told[-1]["data"]["state"] == "done" and told[-1]["data"]["counts"]["failed"] == 1
    for last in ("0", "2", "5", "999999999"):
        rest = client.get(f"{path}/events", headers={"last-event-id": last})
        assert events(rest.text) == told[int(last) :]


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 5000])
def test_a_last_event_that_is_none_is_refused(client: TestClient, last: str) -> None:
    """Last-Event-ID takes the id of an event."""
    path = client.post("/jobs", files=forms(b"no")).headers["location"]
    assert code(client.get(f"{path}/events", headers={"last-event-id": last})) == (400, "bad-parameter")


def test_a_listener_hears_what_happens_while_it_listens(
    live: Any, photo: bytes, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events come as they happen, comments keep the connection alive meanwhile, and a listener may leave."""
    monkeypatch.setattr(fastapi.routing, "_PING_INTERVAL", 0.02)
    with live.gate.closed(), httpx2.Client(base_url=live.address, timeout=20) as client:
        path = client.post("/jobs", files=forms(photo)).headers["location"]
        with client.stream("GET", f"{path}/events") as left:
            assert next(left.iter_lines()) == "event: started"
        with client.stream("GET", f"{path}/events") as stream:
            lines = stream.iter_lines()
            while next(lines) != ": ping":
                pass
            live.gate.open()
            rest = [line for line in lines if line.startswith("event")]
        assert rest == ["event: item", "event: done"]
        assert client.get(path).json()["counts"]["done"] == 1
    eventually(lambda: live.metric("likeness_http_requests_in_flight") == 1)  # the one that asks


def test_an_item_that_is_not_drawn_yet_is_told(live: Any, photo: bytes) -> None:
    """Until a photo is drawn its item is a conflict that says when to come back; there are no others."""
    with live.gate.closed(), httpx2.Client(base_url=live.address, timeout=20) as client:
        path = client.post("/jobs", files=forms(photo)).headers["location"]
        pending = client.get(f"{path}/items/0")
        assert code(pending) == (409, "item-pending") and int(pending.headers["retry-after"]) >= 1
        for number in ("1", "-1", "00", "x", "9" * 5000):
            assert code(client.get(f"{path}/items/{number}")) == (404, "job-not-found")


def test_a_deleted_job_stops_and_is_gone(live: Any, photo: bytes, eventually: Eventually) -> None:
    """DELETE stops what runs, begins nothing more and ends the stream; then there is no such job."""
    with live.gate.closed(), httpx2.Client(base_url=live.address, timeout=20) as client:
        path = client.post("/jobs", files=forms(*[photo] * 8)).headers["location"]
        eventually(lambda: len(live.gate.reached) == 2)
        with client.stream("GET", f"{path}/events") as stream:
            lines = stream.iter_lines()
            next(lines)
            assert client.delete(path).status_code == 204
            told = events("\n".join(["event: started", *lines]))
        assert told[-1]["event"] == "done" and told[-1]["data"]["state"] == "cancelled"
        for answer in (client.get(path), client.get(f"{path}/items/0"), client.get(f"{path}/events")):
            assert code(answer) == (404, "job-not-found")
        assert code(client.delete(path)) == (404, "job-not-found")
    assert len(live.gate.reached) == 2


def test_a_key_makes_one_job(client: TestClient, photo: bytes) -> None:
    """The same Idempotency-Key gives the same job, another content is a conflict, another key makes a new job."""
    key = {"idempotency-key": "once"}
    first = client.post("/jobs", files=forms(photo), data={"seed": "1"}, headers=key)
    again = client.post("/jobs", files=forms(photo), data={"seed": "1"}, headers=key)
    assert again.status_code == 202 and again.headers["location"] == first.headers["location"]
    for files, seed in ((forms(photo), "2"), (forms(photo, photo), "1"), (forms(photo + b"x"), "1")):
        assert code(client.post("/jobs", files=files, data={"seed": seed}, headers=key)) == (409, "job-conflict")
    others = [
        client.post("/jobs", files=forms(photo), data={"seed": "1"}),
        client.post("/jobs", files=forms(photo), data={"seed": "1"}, headers={"idempotency-key": "twice"}),
    ]
    assert len({answer.headers["location"] for answer in (first, *others)}) == 3
    client.delete(first.headers["location"])
    assert client.post("/jobs", files=forms(photo, photo), headers=key).status_code == 202


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "k\u00e9y".encode()])
def test_a_key_of_other_characters_is_refused(client: TestClient, photo: bytes, key: Any) -> None:
    """Idempotency-Key takes 1 to 255 visible characters of ASCII."""
    answer = client.post("/jobs", files=forms(photo), headers={"idempotency-key": key})
    assert code(answer) == (400, "bad-parameter") and answer.json()["errors"] == [{"pointer": "#/Idempotency-Key"}]


def test_a_job_is_seen_by_the_key_that_made_it(models: Path, photo: bytes, tmp_path: Path) -> None:
    """For another client there is no such job, nor such an Idempotency-Key; looking is free, drawing is charged."""
    (ann, first), (bob, second) = new_key("ann", [Scope.TRANSLATE]), new_key("bob", [Scope.TRANSLATE])
    (tmp_path / "keys.toml").write_text(f"{first}requests_per_second = 0.001\nburst = 10\n{second}")
    with service(models=models, api_keys=tmp_path / "keys.toml", max_client_jobs=1) as client:
        anns, bobs = {"x-api-key": ann, "idempotency-key": "1"}, {"x-api-key": bob, "idempotency-key": "1"}
        answer = client.post("/jobs", files=forms(photo, b"no"), headers=anns)
        path = answer.headers["location"]
        assert "r=8" in answer.headers["ratelimit"]
        for _ in range(9):
            assert "r=8" in client.get(path, headers=anns).headers["ratelimit"]
        for place in (path, f"{path}/items/0", f"{path}/events"):
            assert code(client.get(place, headers=bobs)) == (404, "job-not-found")
            assert code(client.get(place)) == (401, "unauthenticated")
        assert code(client.delete(path, headers=bobs)) == (404, "job-not-found")
        assert client.post("/jobs", files=forms(photo), headers=bobs).headers["location"] != path
        full = client.post("/jobs", files=forms(photo), headers={"x-api-key": ann})
        assert code(full) == (429, "quota-exceeded") and int(full.headers["retry-after"]) >= 1
        assert client.post("/jobs", files=forms(photo, b"no"), headers=anns).headers["location"] == path


def test_the_store_is_bounded_and_forgets(models: Path, photo: bytes) -> None:
    """A full store refuses with Retry-After, a drawing without room fails alone, and a job is gone after its time."""
    memory = len(photo) + 1000
    with service(models=models, max_jobs=1, max_job_memory=memory, job_ttl=1) as client:
        refused = client.post("/jobs", files=forms(photo, photo))
        assert code(refused) == (503, "overloaded") and int(refused.headers["retry-after"]) >= 1
        large = {"format": "png", "output": "photo", "strength": "0"}
        path = client.post("/jobs", files=forms(photo), data=large).headers["location"]
        (item,) = ended(client, path)["items"]
        assert (item["state"], item["problem"]["code"]) == ("failed", "overloaded")
        assert int(client.get(f"{path}/items/0").headers["retry-after"]) == item["problem"]["retry_after"]
        assert code(client.post("/jobs", files=forms(photo))) == (503, "overloaded")
        while client.get(path).is_success:
            pass
        assert code(client.get(path)) == (404, "job-not-found")
        assert client.post("/jobs", files=forms(photo)).status_code == 202


def test_jobs_may_be_off(models: Path, photo: bytes) -> None:
    """Where a job could not be found again none is taken, which every route says."""
    with service(models=models, jobs=False) as client:
        for answer in (client.post("/jobs", files=forms(photo)), client.get("/jobs/x"), client.delete("/jobs/x")):
            assert code(answer) == (404, "jobs-off")
        assert client.post("/translate/batch", files=forms(photo)).is_success


def test_jobs_end_when_the_service_begins_to(models: Path, photo: bytes) -> None:
    """A drain cancels jobs at once, and tells those who listen: nobody could ask for their drawings any more."""
    app = create_app(Settings(models=models, log_level="error"))
    drain = install(app)
    with TestClient(app) as client:
        path = client.post("/jobs", files=forms(*[photo] * 32)).headers["location"]
        with ThreadPoolExecutor() as pool:
            listener = pool.submit(client.get, f"{path}/events")
            while "likeness_http_requests_in_flight 2" not in client.get("/metrics").text:  # it, and the one that asks
                pass
            client.portal.call(drain.begin)
            told = events(listener.result().text)
        assert told[-1]["event"] == "done" and told[-1]["data"]["state"] == "cancelled"
        assert code(client.get(path)) == (503, "draining")


def test_who_makes_a_job_may_leave(live: Any, photo: bytes, eventually: Eventually) -> None:
    """A job goes on when the connection that made it is closed."""
    boundary = b"--x\r\nContent-Disposition: form-data; name=image; filename=a\r\n\r\n"
    body = boundary + photo + b"\r\n--x--\r\n"
    head = (
        "POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with live.gate.closed():
        with socket.create_connection(("127.0.0.1", live.port)) as connection:
            connection.sendall(head.encode() + body)
            answer = connection.recv(65536).decode()
        path = next(line.split(": ")[1] for line in answer.split("\r\n") if line.lower().startswith("location"))
    eventually(lambda: httpx2.get(live.address + path).json()["state"] == "done")


@pytest.mark.parametrize(
    ("method", "path", "codes"),
    [
        ("post", "/translate/batch", {"too-many-items", "overloaded", "deadline-exceeded", "unauthenticated"}),
        ("post", "/jobs", {"too-many-items", "job-conflict", "jobs-off", "overloaded", "draining", "quota-exceeded"}),
        ("get", "/jobs/{id}", {"job-not-found", "jobs-off", "unauthenticated", "forbidden"}),
        ("get", "/jobs/{id}/items/{number}", {"job-not-found", "item-pending", "not-acceptable", "no-face-found"}),
        ("get", "/jobs/{id}/events", {"job-not-found", "jobs-off", "bad-parameter"}),
        ("delete", "/jobs/{id}", {"job-not-found", "jobs-off"}),
    ],
)
def test_openapi_documents_the_routes(client: TestClient, method: str, path: str, codes: set[str]) -> None:
    """Bodies, parameters and problems are in the document, and nothing that the service never answers."""
    document = client.get("/openapi.json").json()
    operation = document["paths"][path][method]
    responses = json.dumps(operation["responses"])
    assert all(f"`{code}`" in responses for code in codes) and "HTTPValidationError" not in responses
    assert operation["description"]
    if method == "post":
        content = operation["requestBody"]["content"]
        assert set(content) == {"multipart/form-data", "application/json"}
        assert content["multipart/form-data"]["schema"]["properties"]["image"]["type"] == "array"
        assert content["application/json"]["schema"]["required"] == ["images"]
    parameters = {each["name"].lower() for each in operation.get("parameters", ())}
    assert parameters >= {"/jobs": {"idempotency-key"}, "/jobs/{id}/events": {"id", "last-event-id"}}.get(path, set())
