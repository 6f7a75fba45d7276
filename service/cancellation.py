"""One request's wish to be let go, seen from every thread that works for it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from service.errors import ClientClosed, DeadlineExceeded


class Cancellation:
    """Set once, by whoever learns that nobody waits for the result any more; a deadline sets itself."""

    def __init__(self, deadline: float = math.inf) -> None:
        """`deadline` is a time of time.monotonic()."""
        self.deadline = deadline
        self.stage = "queue"
        """What the request is at: its queue, or the stage that it entered last."""
        self._lock = Lock()
        self._cancelled_at = math.inf
        self._hooks: list[Callable[[], None]] = []

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled_at < math.inf

    def cancel(self) -> None:
        """Let the work go; hooks of what runs now are called in this thread, once."""
        with self._lock:
            hooks = [] if self.cancelled else list(self._hooks)
            self._cancelled_at = min(self._cancelled_at, time.monotonic())
        for hook in hooks:
            hook()

    def check(self) -> None:
        """Between two stages: ClientClosed or DeadlineExceeded if the next one is not worth its time."""
        if self.cancelled:
            raise ClientClosed("the client went away")
        if time.monotonic() > self.deadline:
            raise DeadlineExceeded(f"the deadline passed in: {self.stage}")

    def wasted(self, since: float) -> float:
        """Seconds from `since` to now in which nobody waited any more."""
        return max(0.0, time.monotonic() - max(since, self._cancelled_at))

    @contextmanager
    def hooked(self, hook: Callable[[], None]) -> Iterator[None]:
        """Within the block, `cancel` calls `hook`; at once if it came before."""
        with self._lock:
            self._hooks.append(hook)
            late = self.cancelled
        try:
            if late:
                hook()
            yield
        finally:
            with self._lock:
                self._hooks.remove(hook)
