"""What this process may use of its machine, and what it holds of it."""

from __future__ import annotations

import ctypes
import math
import os
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")

# Of glibc's malloc.h. Files, and photos decoded as far as faces are searched for, are smaller than _LARGE; photos
# decoded whole are larger. _TOP, several of the former, may stay free at the end of the heap.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE, _TOP = 2_500_000, 24_000_000


def cores(cgroups: Path = CGROUPS) -> int:
    """Cores that this process may keep busy: those it may run on, or fewer if a container's quota is less."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(mine, _quota(cgroups))))


def held() -> int:
    """Bytes of memory of this process, without what it freed; 0 where the system does not tell."""
    trim()
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def keep_memory_flat() -> None:
    """Have glibc give large blocks back when they are freed, and all threads share one heap.

    Left alone it raises its limit for blocks of their own to the size of the largest photo that was freed, and every
    thread gets a heap: decoded photos then leave holes that nobody else fits into. In one heap they are filled again,
    and so it may hold all but the largest: a block of its own is taken from the system page by page, every time. With
    its limits fixed glibc would do the same to the end of the heap after each request. docs/performance.md has the
    figures. An operator's own MALLOC_* variables count more.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return
    with suppress(AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        libc.mallopt(_M_TRIM_THRESHOLD, _TOP)
        libc.mallopt(_M_ARENA_MAX, 1)


def trim() -> None:
    """Give freed memory back to the system, where that is glibc's to do: it would keep up to 64 MB."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _quota(cgroups: Path) -> float:
    """Seconds of processor time in a second that the control group allows; infinite without a limit."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):  # version 2, version 1
        with suppress(OSError, ValueError):
            quota, period = " ".join((cgroups / file).read_text().strip() for file in files).split()
            return int(quota) / int(period) if quota not in ("max", "-1") else math.inf
    return math.inf
