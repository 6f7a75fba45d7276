"""What a process that trains on a CPU does with memory between two steps."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_ALL = 2**31 - 1


def keep() -> None:
    """Have glibc keep what a step frees, for the next one.

    Left alone it gives large blocks and the end of the heap back to the system, which clears every page anew when the
    next step asks for it: a seventh of the time of a small network. The user's own MALLOC_* variables count more.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return
    with suppress(AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, _ALL)
