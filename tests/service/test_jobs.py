"""Jobs: the store keeps its bounds whatever happens, and over HTTP a job draws what single requests would."""

import asyncio
import base64
import gc
import json
import socket
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fastapi.routing
import httpx2
import pytest
from fastapi.testclient import TestClient
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from service.access import Scope, new_key
from service.admission import Memory
from service.drain import install
from service.errors import ClientClosed, Draining, JobConflict, JobNotFound, Overloaded, QuotaExceeded
from service.jobs import EventKind, ItemState, Job, Jobs, JobState
from service.main import create_app
from service.settings import Settings

Eventually = Callable[[Callable[[], bool]], None]
Store = Jobs[str, bytes]

LIMIT, SHARE, BYTES, TTL = 4, 3, 100, 10
CLIENTS = st.sampled_from(["ann", "bob"])


class Clock:
    """A time that tests move."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def store(clock: Clock | None = None, *, limit: int = LIMIT, share: int = SHARE, size: int = BYTES) -> Store:
    """A small store."""
    return Jobs(limit=limit, share=share, memory=Memory(size), ttl=TTL, clock=clock or Clock())


def photos(*sizes: int) -> list[tuple[str, int]]:
    """Photos of these sizes."""
    return [("photo", size) for size in sizes]


def fits(jobs: Store, size: int) -> bool:
    """Whether there is room for so many bytes."""
    try:
        with jobs._memory.held(size):
            return True
    except Overloaded:
        return False


# The store


class Keeping(RuleBasedStateMachine):
    """Clients make, begin, settle, look at and delete jobs in any order, and time goes by."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.jobs = store(self.clock)
        self.made: list[Job[str, bytes]] = []
        self.sizes: dict[tuple[str, int], int] = {}
        self.ended: dict[str, float] = {}
        self.removed: set[str] = set()

    @property
    def kept(self) -> list[Job[str, bytes]]:
        """The jobs that must be there."""

        def lives(job: Job[str, bytes]) -> bool:
            return job.id not in self.removed and self.clock.now < self.ended.get(job.id, self.clock.now) + TTL

        return [job for job in self.made if lives(job)]

    @property
    def held(self) -> int:
        """The bytes that they hold."""
        return sum(self.sizes.get((job.id, number), 0) for job in self.kept for number in range(len(job.items)))

    @rule(client=CLIENTS, sizes=st.lists(st.integers(0, 60), min_size=1, max_size=3))
    def make(self, client: str, sizes: list[int]) -> None:
        own = sum(job.client == client for job in self.kept)
        try:
            job = self.jobs.add(client, photos(*sizes))
        except QuotaExceeded as error:
            assert own == SHARE and 1 <= error.retry_after <= TTL
        except Overloaded as error:
            assert own < SHARE and 1 <= error.retry_after <= TTL
            assert len(self.kept) == LIMIT or self.held + sum(sizes) > BYTES
        else:
            self.made.append(job)
            self.sizes.update({(job.id, number): size for number, size in enumerate(sizes)})

    @precondition(lambda self: self.made)
    @rule(data=st.data(), size=st.integers(0, 60), good=st.booleans())
    def settle(self, data: st.DataObject, size: int, good: bool) -> None:
        job = data.draw(st.sampled_from(self.made))
        open_ = [number for number, item in enumerate(job.items) if item.photo is not None]
        if not open_:
            return
        number = data.draw(st.sampled_from(open_))
        self.jobs.begin(job, number)
        self.sizes[job.id, number] = 0
        fitting = self.held + size <= BYTES
        try:
            if not good:
                raise Overloaded("")
            self.jobs.settle(job, number, bytes(size), size)
            assert fitting
            self.sizes[job.id, number] = size
        except Overloaded:
            assert not (good and fitting)
            self.jobs.fail(job, number, {"status": 503})
        if job.has_ended:
            self.ended[job.id] = self.clock.now

    @precondition(lambda self: self.made)
    @rule(data=st.data(), client=CLIENTS)
    def delete(self, data: st.DataObject, client: str) -> None:
        job = data.draw(st.sampled_from(self.made))
        visible = job in self.kept and job.client == client
        try:
            self.jobs.remove(client, job.id)
            assert visible
            self.removed.add(job.id)
        except JobNotFound:
            assert not visible

    @rule(seconds=st.floats(0, TTL))
    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def a_job_is_seen_by_its_client_as_long_as_it_lives(self) -> None:
        for job in self.made:
            for client in ("ann", "bob"):
                try:
                    assert self.jobs.get(client, job.id) is job
                    assert job in self.kept and client == job.client
                except JobNotFound:
                    assert job not in self.kept or client != job.client

    @invariant()
    def what_is_held_is_counted_and_within_the_bounds(self) -> None:
        self.jobs.sweep()
        assert len(self.kept) <= LIMIT and self.held <= BYTES
        assert fits(self.jobs, BYTES - self.held) and not fits(self.jobs, BYTES - self.held + 1)

    @invariant()
    def what_is_over_holds_nothing(self) -> None:
        for job in self.made:
            if job not in self.kept:
                assert all(item.photo is None and item.result is None for item in job.items)

    @invariant()
    def states_counts_and_events_agree(self) -> None:
        for job in self.kept:
            settled = job.counts[ItemState.DONE] + job.counts[ItemState.FAILED]
            kinds = [event.kind for event in job.events]
            assert sum(job.counts.values()) == len(job.items) and kinds.count(EventKind.ITEM) == settled
            assert (settled == len(job.items)) == (job.state is JobState.DONE) == (EventKind.DONE in kinds)
            assert kinds[:1] == [EventKind.STARTED] * (job.state is not JobState.QUEUED)


def test_whatever_happens_the_store_keeps_its_bounds() -> None:
    """Never more jobs or bytes than allowed, never a job that is over, never another client's, never a lost byte."""
    run_state_machine_as_test(
        Keeping, settings=hypothesis_settings(max_examples=60, stateful_step_count=30, deadline=None)
    )


def test_retry_after_is_when_there_is_room() -> None:
    """A job that is refused because the store is full is taken after the seconds that the refusal names."""
    clock = Clock()
    for full in (store(clock, limit=1), store(clock, share=1), store(clock, size=5)):
        job = full.add("ann", photos(5))
        clock.now += 1.5
        full.settle(job, 0, bytes(5), 5)
        clock.now += 2.5
        with pytest.raises((Overloaded, QuotaExceeded)) as refusal:
            full.add("ann", photos(5))
        clock.now += refusal.value.retry_after
        full.add("ann", photos(5))


def test_a_photo_is_let_go_when_it_is_drawn_and_the_drawing_with_its_job() -> None:
    """Nothing in the store keeps a photo after its item is done, nor a drawing after its job is over."""

    class Thing:
        """Something of which one can tell whether it is still there."""

    jobs: Jobs[Thing, Thing] = Jobs(limit=1, share=1, memory=Memory(9), ttl=TTL)
    photo, drawing = Thing(), Thing()
    photo_lives, drawing_lives = weakref.ref(photo), weakref.ref(drawing)
    job = jobs.add("ann", [(photo, 1), (Thing(), 1)])
    jobs.settle(job, 0, drawing, 1)
    del photo, drawing
    gc.collect()
    assert photo_lives() is None and drawing_lives() is not None
    jobs.remove("ann", job.id)
    gc.collect()
    assert drawing_lives() is None


def test_a_key_is_one_job_of_one_client() -> None:
    """A key finds the job that its client made with it, by the same content only, and no longer than the job lives."""
    clock = Clock()
    jobs = store(clock)
    digest = jobs.digest([b"photo", b"options"])
    job = jobs.add("ann", photos(1), key="first", digest=digest)
    assert jobs.find("ann", "first", jobs.digest([b"photo", b"options"])) is job
    assert jobs.find("bob", "first", digest) is None and jobs.find("ann", "second", digest) is None
    for other in ([b"photo"], [b"photoo", b"ptions"], [b"options", b"photo"]):
        with pytest.raises(JobConflict):
            jobs.find("ann", "first", jobs.digest(other))
    jobs.fail(job, 0, {})
    clock.now += TTL
    assert jobs.find("ann", "first", jobs.digest([b"other"])) is None


def test_a_digest_means_nothing_elsewhere() -> None:
    """The same content has another digest in another process' store."""
    assert store().digest([b"photo"]) != store().digest([b"photo"])


def test_ids_cannot_be_guessed() -> None:
    """An id has at least 128 random bits: 22 characters of base64, and no two are alike."""
    jobs = store(limit=50, share=50)
    ids = {jobs.add("ann", photos(0)).id for _ in range(50)}
    assert len(ids) == 50 and all(len(id) >= 22 for id in ids)


def test_who_follows_sees_everything_once_and_in_order() -> None:
    """Followers from any event on, early or late, get all that comes after it, and come to an end with the job."""
    jobs = store()
    job = jobs.add("ann", photos(1, 1))
    kinds = [EventKind.STARTED, EventKind.ITEM, EventKind.ITEM, EventKind.DONE]

    async def follow(last: int) -> list[tuple[int, EventKind]]:
        return [(number, event.kind) async for number, event in job.follow(last)]

    async def work() -> None:
        await asyncio.sleep(0)
        for number in (1, 0):
            jobs.begin(job, number)
            await asyncio.sleep(0)
            jobs.settle(job, number, b"", 0)

    async def scene() -> None:
        *early, _ = await asyncio.gather(follow(0), follow(0), follow(2), work())
        told = list(enumerate(kinds, 1))
        assert early == [told, told, told[2:]] or early == [told, told, told]
        for last in range(9):
            assert await follow(last) == told[last:]

    asyncio.run(scene())


def test_a_job_that_is_removed_tells_its_followers_and_takes_nothing_more() -> None:
    """The last event of a removed job is its end; what comes of its items later is nobody's, and holds nothing."""
    jobs = store()
    job = jobs.add("ann", photos(40, 50))
    jobs.begin(job, 0)
    jobs.remove("ann", job.id)
    assert job.state is JobState.CANCELLED and job.events[-1].kind is EventKind.DONE
    jobs.settle(job, 0, bytes(60), 60)
    jobs.fail(job, 1, {})
    with pytest.raises(ClientClosed):
        jobs.begin(job, 1)
    assert fits(jobs, BYTES) and job.items[0].result is None and job.events[-1].kind is EventKind.DONE


def test_a_store_that_is_closed_keeps_nothing_and_takes_nothing() -> None:
    """Closing cancels the jobs, waits until nothing runs for them, lets go what is held, and refuses others."""

    async def scene() -> None:
        jobs = store()
        done, under_way, removed = (jobs.add("ann", photos(1)) for _ in range(3))
        jobs.settle(done, 0, b"x", 1)
        running = 0

        async def work() -> None:
            nonlocal running
            running += 1
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.001)
                running -= 1

        for job in (under_way, removed):
            jobs.start(job, work())
        await asyncio.sleep(0)
        jobs.remove("ann", removed.id)
        await jobs.close()
        assert running == 0 and fits(jobs, BYTES)
        assert (done.state, under_way.state) == (JobState.DONE, JobState.CANCELLED)
        for job in (done, under_way):
            with pytest.raises(JobNotFound):
                jobs.get("ann", job.id)
        with pytest.raises(Draining):
            jobs.add("ann", photos(1))

    asyncio.run(scene())


def test_work_that_breaks_ends_its_job() -> None:
    """A job whose work ends before its items are settled is cancelled, and its photos are let go."""

    async def scene() -> None:
        jobs = store()
        job = jobs.add("ann", photos(7))

        async def nothing() -> None: ...

        jobs.start(job, nothing())
        async for _ in job.follow():
            pass
        assert job.state is JobState.CANCELLED and fits(jobs, BYTES)

    asyncio.run(scene())


def test_what_is_too_old_goes_even_if_nobody_asks() -> None:
    """Results are let go when their time has come, without a request that would find them too old."""

    async def scene() -> None:
        jobs: Store = Jobs(limit=1, share=1, memory=Memory(BYTES), ttl=0.01)
        job = jobs.add("ann", photos(1))

        async def work() -> None:
            jobs.settle(job, 0, bytes(9), 9)

        jobs.start(job, work())
        while job.items[0].result is None:
            await asyncio.sleep(0)
        while job.items[0].result is not None:
            await asyncio.sleep(0.001)
        assert fits(jobs, BYTES)

    asyncio.run(scene())


# Over HTTP


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
