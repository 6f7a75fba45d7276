"""How many requests are inside, and how much memory their bodies and decoded pictures may take together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from types import TracebackType
from typing import Self

from service.batching import LaneObserver, Unobserved
from service.errors import Overloaded


class Admission:
    """At most `limit` requests at a time."""

    def __init__(self, limit: int, observer: LaneObserver | None = None) -> None:
        self._limit = limit
        self._inside = 0
        self._observer = observer or Unobserved()

    def __enter__(self) -> Self:
        if self._inside >= self._limit:
            self._observer.shed("queue-full")
            raise Overloaded(f"{self._inside} requests are in flight")
        self._inside += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside -= 1


class Memory:
    """Bytes that requests hold together; threads may share it."""

    def __init__(self, limit: int, observer: LaneObserver | None = None) -> None:
        self._limit = limit
        self._held = 0
        self._lock = Lock()
        self._observer = observer or Unobserved()

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Within the block `size` bytes are taken; Overloaded if there are not so many left."""
        with self._lock:
            fits = self._held + size <= self._limit
            self._held += size if fits else 0
        if not fits:
            self._observer.shed("memory")
            raise Overloaded("the pictures in work fill the memory that they may take")
        try:
            yield
        finally:
            with self._lock:
                self._held -= size
