"""Which models are served under which name; they come, go and change their version while requests are under way.

A request is given a `Served` once and keeps it to its end, whatever happens here later. Nothing counts requests: a
version that was replaced is freed when the last one that was given it lets go, and its lane is closed then.

All that changes is done by one thread, the loader. Two loads are never side by side: each would take the cores that the
other one measures its costs on, and both would be admitted to memory that is there for one.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Generic, TypeVar

from export import repository
from export.contract import ContractError
from export.repository import GRAPH, Entry, Repository, RepositoryError
from service.engine import RowLane, Served
from service.errors import Draining, LikenessError, ModelKept, ModelNotFound, ModelTooLarge, ModelUnsound
from service.logs import log
from service.telemetry import Telemetry

T = TypeVar("T")

RETRY_AFTER = 30.0  # seconds in which a model that could not be loaded is not tried again by whoever names it


class State(StrEnum):
    """How it is with a model."""

    READY = "ready"
    ON_DEMAND = "on-demand"
    """The next request that names it loads it."""
    UNLOADED = "unloaded"
    """Nobody gets it before it is loaded by an administrator."""
    FAILED = "failed"
    """It could not be loaded when it was named last."""


@dataclass(frozen=True)
class Standing:
    """A model of the repository, served or not."""

    name: str
    versions: tuple[int, ...]
    """That may be loaded, lowest first."""
    state: State
    served: Served | None
    reason: str
    """What is wrong with it, or nothing."""


@dataclass
class _Place:
    """What is known of a name. Written by the loader, except for `used` and, under the lock, `coming`."""

    version: int | None = None
    """To be loaded on demand; None: the highest."""
    served: Served | None = None
    withdrawn: bool = False
    refusal: LikenessError | None = None
    """Why it could not be loaded at `refused`."""
    refused: float = 0.0
    used: float = 0.0
    coming: Future[Served] | None = None


@dataclass(frozen=True)
class _Task(Generic[T]):
    """Something for the loader to do."""

    function: Callable[[], T]
    future: Future[T] = field(default_factory=Future)

    def run(self, refusal: Exception | None) -> None:
        try:
            if refusal is not None:
                raise refusal
            self.future.set_result(self.function())
        except Exception as error:
            self.future.set_exception(error)


class Registry:
    """The models of one application. All methods may be called from any thread."""

    def __init__(
        self,
        repository: Repository,
        load: Callable[[Entry], Served],
        telemetry: Telemetry,
        *,
        kept: Collection[str] = (),
        idle_ttl: float | None = None,
        max_memory: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`load` gives a model that is warm and measured; those of `kept` are never unloaded.

        Others are unloaded when no request has named them for `idle_ttl` seconds, or when another model needs their
        part of `max_memory` bytes; the next request that names them loads them again.
        """
        self._repository = repository
        self._open = load
        self._telemetry = telemetry
        self._kept = kept
        self._idle_ttl = idle_ttl
        self._max_memory = max_memory
        self._clock = clock
        self._places: dict[str, _Place] = {}
        self._sizes: dict[str, int] = {}  # digest -> bytes, of every model that was loaded once
        self._lanes: weakref.WeakSet[RowLane] = weakref.WeakSet()
        self._closing = False
        self._lock = Lock()
        # A finalizer may run in any thread, in the middle of anything: SimpleQueue.put is safe even then.
        self._tasks: SimpleQueue[_Task[Any] | RowLane | None] = SimpleQueue()
        self._loader = Thread(target=self._work, name="loader", daemon=True)
        self._loader.start()

    # For requests

    def get(self, name: str) -> Served | None:
        """The model of that name, if it is in memory."""
        place = self._places.get(name)
        if place is None:
            return None
        place.used = self._clock()
        return place.served

    def demand(self, name: str) -> Future[Served]:
        """The model of that name, loaded first if need be; all who wait for it wait for one load.

        Raises ModelNotFound; the future may get ModelUnsound, ModelTooLarge and Draining.
        """
        place = self._places.get(name)
        if place is None or place.withdrawn:
            raise ModelNotFound(f"there is no model {name!r}", fields=["model"])
        with self._lock:
            if place.coming is None:
                place.coming = self._submit(partial(self._arrive, name, place))
            return place.coming

    @property
    def served(self) -> Mapping[str, Served]:
        """Name -> model, of all that are in memory at this moment."""
        found = ((name, place.served) for name, place in sorted(self._places.items()))
        return {name: served for name, served in found if served is not None}

    def standings(self) -> list[Standing]:
        """Every model of the repository, and those that are served without being there any more. Reads the disk."""
        names = {*self._graphs(), *self.served}
        return [self.standing(name) for name in sorted(names)]

    def standing(self, name: str) -> Standing:
        """How it is with one model. Reads the disk."""
        place = self._places.get(name, _Place(withdrawn=True))
        served = place.served
        if served is not None:
            state = State.READY
        elif place.refusal is not None:
            state = State.FAILED
        else:
            state = State.UNLOADED if place.withdrawn else State.ON_DEMAND
        versions = tuple(self._repository.versions(name))
        return Standing(name, versions, state, served, place.refusal.detail if place.refusal else "")

    # For administrators

    def start(self, preload: Iterable[str] | None = None) -> None:
        """Load those of `preload` and those that are kept, or all if it is None; the others come on demand. Blocks.

        Raises RepositoryError, ContractError and what the runtime raises: a service does not start with less than it
        was asked for.
        """
        names = self._graphs()
        self._places = {name: _Place(used=self._clock()) for name in names}
        for name in names if preload is None else [*(name for name in names if name in self._kept), *preload]:
            self._submit(partial(self._load, name, None)).result()

    def load(self, name: str, version: int | None = None) -> Future[Served]:
        """The version, or the highest, is served from then on, in place of the one that was; if not, that one stays.

        The future may get ModelNotFound, ModelUnsound, ModelTooLarge and Draining.
        """
        return self._submit(partial(self._attempt, name, version))

    def unload(self, name: str) -> Future[None]:
        """Nobody gets the model any more until it is loaded again.

        The future may get ModelNotFound, ModelKept and Draining.
        """
        return self._submit(partial(self._withdraw, name))

    def unload_idle(self) -> Future[None]:
        """Unload what no request has named for `idle_ttl` seconds; happens by itself too."""
        return self._submit(self._sweep)

    def close(self) -> None:
        """Finish what waits in the models' lanes, and the load that is under way. Blocks."""
        self._closing = True
        self._tasks.put(None)
        self._loader.join()
        for lane in list(self._lanes):
            lane.close()

    # In the loader's thread

    def _work(self) -> None:
        patience = None if self._idle_ttl is None else self._idle_ttl / 2
        while True:
            try:
                task = self._tasks.get(timeout=patience)
            except Empty:
                self._sweep()
                continue
            if task is None:
                return
            if isinstance(task, _Task):
                task.run(Draining("the service is shutting down") if self._closing else None)
            else:
                task.close()  # nobody has its model any more, so that nothing is in it
            del task  # it would hold the model that came last

    def _submit(self, function: Callable[[], T]) -> Future[T]:
        task = _Task(function)
        self._tasks.put(task)
        return task.future

    def _arrive(self, name: str, place: _Place) -> Served:
        """The model that requests wait for."""
        try:
            if place.served is not None:
                return place.served
            if place.refusal is not None and self._clock() - place.refused < RETRY_AFTER:
                raise copy(place.refusal)
            return self._attempt(name, place.version)
        except LikenessError as error:
            place.refusal, place.refused = copy(error), self._clock()  # the copy has no traceback, which holds frames
            raise
        finally:
            with self._lock:
                place.coming = None

    def _attempt(self, name: str, version: int | None) -> Served:
        """As `_load`, with errors that a client may read."""
        refusal: LikenessError
        try:
            return self._load(name, version)
        except repository.ModelNotFound as error:
            refusal = ModelNotFound(f"there is {error}", fields=["model"])
        except LikenessError as error:
            refusal = error.with_traceback(None)
        except Exception as error:
            log.error("load failed", model=name, version=version, exc_info=error)
            refusal = ModelUnsound(self._reason(error), retry_after=round(RETRY_AFTER))
        raise refusal  # not where its cause is at hand, whose traceback would keep half a model in memory

    def _load(self, name: str, version: int | None) -> Served:
        """Verify, make room, open, put in place: a step that fails leaves the name with what it has."""
        started = time.perf_counter()
        entry = self._repository.resolve(name, version)
        file = entry.path(GRAPH)
        place = self._places.get(name) or _Place()
        old = place.served
        if old is not None and (old.model.version, old.model.digest) == (entry.version, entry.files[GRAPH]):
            return old
        self._make_room(name, self._sizes.get(entry.files[GRAPH], file.stat().st_size))
        served = self._open(entry)
        self._note_lane(served)
        model = served.model
        self._sizes[model.digest] = model.memory
        self._make_room(name, model.memory)
        place.version, place.served, place.withdrawn, place.refusal = model.version, served, False, None
        place.used = self._clock()
        self._places[name] = place
        seconds = time.perf_counter() - started
        self._telemetry.served(model.name, model.version, model.contract.role, model.digest, model.provider, seconds)
        log.info("loaded", model=served.label, seconds=round(seconds, 3))
        if old is not None:
            self._note_end(old, "replaced")
        return served

    def _make_room(self, name: str, size: int) -> None:
        """Unload what was not used for longest until `size` bytes for `name` fit; ModelTooLarge, and nothing unloaded.

        A version that is replaced counts: both are in memory while one takes over from the other.
        """
        if self._max_memory is None:
            return
        sizes = {each: served.model.memory for each, served in self.served.items()}
        others = [each for each in sizes if each not in self._kept and each != name]
        least = size + sum(sizes.values()) - sum(sizes[each] for each in others)
        if least > self._max_memory:
            raise ModelTooLarge(f"{name} and what must stay beside it take {least} of {self._max_memory} bytes")
        excess = size + sum(sizes.values()) - self._max_memory
        for each in sorted(others, key=lambda other: self._places[other].used):
            if excess <= 0:
                return
            excess -= sizes[each]
            self._retire(each, "memory")

    def _sweep(self) -> None:
        if self._idle_ttl is None:
            return
        for name in self.served:
            if name not in self._kept and self._clock() - self._places[name].used > self._idle_ttl:
                self._retire(name, "idle")

    def _withdraw(self, name: str) -> None:
        if name not in self._places:
            raise ModelNotFound(f"there is no model {name!r}", fields=["model"])
        if name in self._kept:
            raise ModelKept(f"{name} is the default translator or the encoder; another version may take its place")
        self._places[name].withdrawn = True
        self._retire(name, "asked")

    def _retire(self, name: str, reason: str) -> None:
        place = self._places[name]
        old, place.served = place.served, None
        if old is not None:
            self._note_end(old, reason)

    def _note_end(self, served: Served, reason: str) -> None:
        model = served.model
        self._telemetry.retired(model.name, model.version, model.contract.role, model.digest, model.provider)
        log.info("unloaded", model=served.label, reason=reason)

    def _note_lane(self, served: Served) -> None:
        """A lane is closed once nobody can put a row into it any more."""
        if served.lane is not None:
            self._lanes.add(served.lane)
            weakref.finalize(served, self._tasks.put, served.lane).atexit = False

    def _graphs(self) -> list[str]:
        """The names in the repository whose highest version is a network."""
        names = self._repository.names()
        highest = {name: str(self._repository.versions(name)[-1]) for name in names}
        return [name for name in names if (self._repository.root / name / highest[name] / GRAPH).is_file()]

    def _reason(self, error: Exception) -> str:
        """What is wrong with a model, without the place where it lies."""
        if isinstance(error, RepositoryError | ContractError):
            return str(error).replace(f"{self._repository.root}/", "")
        return f"the runtime cannot load it ({type(error).__name__})"
