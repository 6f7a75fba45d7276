"""service.jobs: the store keeps its bounds whatever happens, and what is over is gone."""

import asyncio
import gc
import weakref

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from service.admission import Memory
from service.errors import ClientClosed, Draining, JobConflict, JobNotFound, Overloaded, QuotaExceeded
from service.jobs import EventKind, ItemState, Job, Jobs, JobState

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
