"""Jobs: long work on many photos, in memory until it is fetched, deleted or too old. No HTTP here.

For one thread, the event loop's.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

from service.admission import Memory
from service.errors import ClientClosed, Draining, JobConflict, JobNotFound, Overloaded, QuotaExceeded

P = TypeVar("P")
R = TypeVar("R")


class JobState(StrEnum):
    """How it is with a job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


class ItemState(StrEnum):
    """How it is with one photo of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class EventKind(StrEnum):
    """What can be told of a job."""

    STARTED = "started"
    ITEM = "item"
    """An item is done, or has failed."""
    DONE = "done"
    """Nothing comes after it."""


@dataclass(frozen=True)
class Event:
    """Something that happened to a job, and how it was with it then; `item` is the item's number."""

    kind: EventKind
    item: int | None
    state: JobState
    counts: Mapping[ItemState, int]


@dataclass(eq=False)
class Item(Generic[P, R]):
    """One photo: first the photo itself, then what became of it, never both."""

    photo: P | None
    state: ItemState = ItemState.QUEUED
    result: R | None = None
    problem: Mapping[str, Any] | None = None
    held: ExitStack = field(default_factory=ExitStack)
    """Where its bytes are counted."""

    def release(self) -> None:
        """Let the photo and what became of it go."""
        self.photo = self.result = None
        self.held.close()


class Job(Generic[P, R]):
    """Many photos of one client."""

    def __init__(self, client: str, items: Sequence[Item[P, R]]) -> None:
        self.id = secrets.token_urlsafe(24)
        self.client = client
        self.items = items
        self.state = JobState.QUEUED
        self.expires = math.inf
        """When it is forgotten: a time of the store's clock, known once the job has ended."""
        self.events: list[Event] = []
        self.task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in (JobState.DONE, JobState.CANCELLED)

    @property
    def counts(self) -> Mapping[ItemState, int]:
        """How many items there are in each state."""
        counts = Counter(item.state for item in self.items)
        return {state: counts[state] for state in ItemState}

    async def follow(self, last: int = 0) -> AsyncIterator[tuple[int, Event]]:
        """The events after the `last`, those to come included, each with its number; the first has number 1."""
        last = min(last, len(self.events))
        while True:
            changed = self._changed
            for event in self.events[last:]:
                last += 1
                yield last, event
            if last == len(self.events):
                if self.has_ended:
                    return
                await changed.wait()

    def note(self, kind: EventKind, item: int | None = None) -> None:
        """Tell all who follow."""
        self.events.append(Event(kind, item, self.state, self.counts))
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class Jobs(Generic[P, R]):
    """All jobs of an application: so many, of so many bytes, for so long.

    A job counts the bytes of its photos that are not done and of its results. Its results are kept for `ttl` seconds
    after it has ended. A client sees its own jobs only.
    """

    def __init__(
        self,
        *,
        limit: int,
        share: int,
        memory: Memory,
        ttl: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """At most `limit` jobs are kept, `share` of them one client's."""
        self._limit = limit
        self._share = share
        self._memory = memory
        self._ttl = ttl
        self._clock = clock
        self._jobs: dict[str, Job[P, R]] = {}
        self._keys: dict[tuple[str, str], tuple[str, bytes]] = {}  # client and key -> id of the job, digest
        self._secret = secrets.token_bytes(32)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    def digest(self, contents: Iterable[bytes]) -> bytes:
        """Of what a client sends. Keyed, so that it says nothing to anyone who does not have this process' memory."""
        digest = hashlib.blake2b(key=self._secret)
        for content in contents:
            digest.update(len(content).to_bytes(8))
            digest.update(content)
        return digest.digest()

    def find(self, client: str, key: str, digest: bytes) -> Job[P, R] | None:
        """The job that this client made with this key; JobConflict if it was of another content."""
        self.sweep()
        id, known = self._keys.get((client, key), ("", b""))
        if not id:
            return None
        if not secrets.compare_digest(known, digest):
            raise JobConflict("the Idempotency-Key made a job of other photos or options")
        return self._jobs[id]

    def add(
        self, client: str, photos: Sequence[tuple[P, int]], *, key: str | None = None, digest: bytes = b""
    ) -> Job[P, R]:
        """A new job of photos, each with its size in bytes; a `key` must not have a job yet.

        Raises Draining, QuotaExceeded if the client has its share of jobs, and Overloaded if there is no room.
        """
        self.sweep()
        if self._closing:
            raise Draining("the service is shutting down")
        own = [job for job in self._jobs.values() if job.client == client]
        if len(own) >= self._share:
            raise QuotaExceeded(f"{len(own)} jobs of this client are kept", retry_after=self._patience(own))
        if len(self._jobs) >= self._limit:
            raise Overloaded(f"{len(self._jobs)} jobs are kept", retry_after=self._patience(self._jobs.values()))
        with ExitStack() as undone:
            items = []
            for photo, size in photos:
                item = Item[P, R](photo)
                undone.push(item.held)
                self._hold(item, size)
                items.append(item)
            undone.pop_all()
        job = Job(client, items)
        self._jobs[job.id] = job
        if key is not None:
            self._keys[client, key] = job.id, digest
        return job

    def get(self, client: str, id: str) -> Job[P, R]:
        """The client's job of that id; JobNotFound, which says no more if it is somebody else's."""
        self.sweep()
        job = self._jobs.get(id)
        if job is None or job.client != client:
            raise JobNotFound("there never was such a job, or it is over")
        return job

    def lifetime(self, job: Job[P, R]) -> int | None:
        """Whole seconds until the job is forgotten, None as long as it has not ended."""
        return max(0, math.floor(job.expires - self._clock())) if job.has_ended else None

    def start(self, job: Job[P, R], work: Coroutine[Any, Any, None]) -> None:
        """Do the job's work in the background; it ends when its items are settled, or with the work."""

        def worked(_: asyncio.Task[None]) -> None:
            self._end(job, JobState.CANCELLED)
            asyncio.get_running_loop().call_later(self._ttl, self.sweep)  # even if nobody asks any more

        job.task = asyncio.create_task(work)
        job.task.add_done_callback(worked)
        self._tasks.add(job.task)
        job.task.add_done_callback(self._tasks.discard)

    def begin(self, job: Job[P, R], number: int) -> P:
        """The photo of an item whose turn has come; ClientClosed if the job was removed meanwhile."""
        item = job.items[number]
        if item.photo is None:
            raise ClientClosed("the job is over")
        item.state = ItemState.RUNNING
        if job.state is JobState.QUEUED:
            job.state = JobState.RUNNING
            job.note(EventKind.STARTED)
        return item.photo

    def settle(self, job: Job[P, R], number: int, result: R, size: int) -> None:
        """What became of an item, of `size` bytes; Overloaded if there is no room for it, and it must `fail` then."""
        if job.has_ended:
            return
        item = job.items[number]
        item.release()
        self._hold(item, size)
        item.result = result
        self._settled(job, number, ItemState.DONE)

    def fail(self, job: Job[P, R], number: int, problem: Mapping[str, Any]) -> None:
        """An item to which nothing can become; `problem` says why."""
        if job.has_ended:
            return
        item = job.items[number]
        item.release()
        item.problem = problem
        self._settled(job, number, ItemState.FAILED)

    def remove(self, client: str, id: str) -> None:
        """Cancel what of the client's job is not done and forget the rest; JobNotFound."""
        self._forget(self.get(client, id))

    def sweep(self) -> None:
        """Forget the jobs whose time has come."""
        now = self._clock()
        for job in [job for job in self._jobs.values() if job.expires <= now]:
            self._forget(job)

    def stop(self) -> None:
        """Refuse new jobs, cancel and forget those that are there."""
        self._closing = True
        for job in list(self._jobs.values()):
            self._forget(job)

    async def close(self) -> None:
        """As `stop`; after it nothing runs for a job any more."""
        self.stop()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _hold(self, item: Item[P, R], size: int) -> None:
        try:
            item.held.enter_context(self._memory.held(size))
        except Overloaded:
            patience = self._patience(self._jobs.values())
            raise Overloaded("the jobs fill the memory that they may take", retry_after=patience) from None

    def _patience(self, jobs: Iterable[Job[P, R]]) -> int:
        """Whole seconds until the first of the jobs is forgotten, if none is deleted before."""
        first = min((job.expires for job in jobs), default=0.0)
        return max(1, math.ceil(min(first - self._clock(), self._ttl)))

    def _settled(self, job: Job[P, R], number: int, state: ItemState) -> None:
        job.items[number].state = state
        job.note(EventKind.ITEM, number)
        if all(each.state in (ItemState.DONE, ItemState.FAILED) for each in job.items):
            self._end(job, JobState.DONE)

    def _end(self, job: Job[P, R], state: JobState) -> None:
        """Once; what comes later is not the job's any more, and no photo is needed."""
        if job.has_ended:
            return
        job.state, job.expires = state, self._clock() + self._ttl
        for item in job.items:
            if item.photo is not None:
                item.release()
        job.note(EventKind.DONE)

    def _forget(self, job: Job[P, R]) -> None:
        self._end(job, JobState.CANCELLED)
        if job.task is not None:
            job.task.cancel()
        for item in job.items:
            item.release()
        del self._jobs[job.id]
        self._keys = {key: made for key, made in self._keys.items() if made[0] != job.id}
