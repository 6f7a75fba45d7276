"""How fast a run is, by the clock on the wall: what whoever waits for it has."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Pace:
    """The time since the last reading, less what is done beside training."""

    def __init__(self, seen: int) -> None:
        """Begin to count at `seen` images."""
        self._begin(seen)

    def awaited(self, batches: Iterable[T]) -> Iterator[T]:
        """They; the time until each one comes is time of waiting."""
        begun = time.perf_counter()
        for batch in batches:
            self._waited += time.perf_counter() - begun
            yield batch
            begun = time.perf_counter()

    @contextmanager
    def beside(self) -> Iterator[None]:
        """What the block takes does not count: a sheet, a measure, a checkpoint."""
        begun = time.perf_counter()
        yield
        self._beside += time.perf_counter() - begun

    def read(self, seen: int) -> tuple[float, float]:
        """Images a second, and the share of the time that was waiting, 0..1; then begin anew."""
        seconds = time.perf_counter() - self._begun - self._beside
        found = (seen - self._seen) / seconds, self._waited / seconds
        self._begin(seen)
        return found

    def _begin(self, seen: int) -> None:
        self._begun, self._seen = time.perf_counter(), seen
        self._waited = self._beside = 0.0
