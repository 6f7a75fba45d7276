"""Ctrl-C: the first one ends a run after its step, with a checkpoint; the second one at once, with the one before."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

SAVING = "saving; again to end without"
_STDERR = 2


class Interruption:
    """Hears SIGINT and SIGTERM within its block."""

    def __init__(self, kept: Callable[[], str], *, aloud: bool = True) -> None:
        """`kept` tells, in words, what there is to go on with for who does not wait; `aloud`: this process answers."""
        self.asked = False
        """Whether somebody wants the run to end."""
        self._kept = kept
        self._aloud = aloud
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._former = {each: signal.signal(each, self._hear) for each in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each, handler in self._former.items():
            signal.signal(each, handler)

    def _hear(self, sig: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt(f"ended at once; {self._kept()}")
        self.asked = True
        if self._aloud:
            with suppress(OSError):  # not by print: the signal may have come in the middle of one
                os.write(_STDERR, f"\n{SAVING}\n".encode())
