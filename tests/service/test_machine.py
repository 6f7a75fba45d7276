"""service.machine: how much of its machine a process may use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service import machine
from service.machine import cores


@pytest.fixture(name="eight", autouse=True)
def eight_(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may run on eight cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))


@pytest.mark.parametrize(
    "files, expected",
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "1600000 100000\n"}, 8),
        ({"cpu.max": "nonsense\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
    ],
)
def test_a_quota_of_a_container_counts(files: dict[str, str], expected: int, tmp_path: Path) -> None:
    """Threads beyond the quota would only be throttled; a quota above the cores, or none, changes nothing."""
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert cores(tmp_path) == expected


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell what a process holds")
def test_what_is_held_follows_what_is_taken() -> None:
    """Memory that is taken shows, and shows no more when it is freed."""
    before = machine.held()
    taken = bytearray(os.urandom(2**20)) * 64
    assert 60 * 2**20 < machine.held() - before < 80 * 2**20
    del taken
    assert machine.held() - before < 8 * 2**20


LEFT_BEHIND = """
import sys
from pathlib import Path
from service.machine import keep_memory_flat
if sys.argv[1] == "flat":
    keep_memory_flat()
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
bytes(30_000_000)  # glibc takes this as the new limit for blocks of their own
photos, pins, before = [], [], resident()
for _ in range(40):
    photos.append(bytearray(b"x") * 3_000_000)
    pins.append(bytearray(b"x") * 60_000)
photos.clear()
print(resident() - before)
"""


def test_freed_photos_leave_the_process() -> None:
    """Small blocks that stay between large ones that go do not hold their memory."""
    root = Path(__file__).resolve().parents[2]
    left = int(subprocess.run([sys.executable, "-c", LEFT_BEHIND, "flat"], cwd=root, capture_output=True).stdout)
    assert left < 20_000_000
