"""The machine: what it is, and what a server and its descendants take of it."""

import os
import platform
import subprocess
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("numpy", "onnxruntime", "opencv-python-headless", "dlib-bin", "pillow", "fastapi", "uvicorn", "uvloop")


def machine() -> dict[str, object]:
    """What the figures depend on; nothing that names a host or a person."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def commit() -> str:
    """The commit that is measured, or nothing outside a clone."""
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


class Tree:
    """A process and its descendants."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)

    def cpu(self) -> float:
        """Seconds of a core that they took so far, those that ended included."""
        return self._sum(lambda each: sum(each.cpu_times()[:4]))

    def resident(self) -> int:
        """Bytes in memory; pages that several processes share count for each of them."""
        return int(self._sum(lambda each: each.memory_info().rss))

    def proportional(self) -> int:
        """Bytes in memory; shared pages count once."""
        return int(self._sum(lambda each: each.memory_full_info().pss))

    def open_files(self) -> int:
        """File descriptors."""
        return int(self._sum(lambda each: each.num_fds()))

    def processes(self) -> list[psutil.Process]:
        """All of them, the root first."""
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _sum(self, figure: Callable[[psutil.Process], float]) -> float:
        total = 0.0
        for process in self.processes():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += figure(process)
        return total


def busy() -> float:
    """Seconds of a core that the whole machine worked so far, time that its host took away included."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def _cpu_model() -> str:
    """As the system calls it, or the architecture."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
