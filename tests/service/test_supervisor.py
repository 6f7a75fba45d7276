"""service.supervisor: workers that die or hang are replaced, and none is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.logs import configure_logging
from service.settings import Settings
from service.supervisor import Supervisor, Worker, share

ROOT = Path(__file__).resolve().parents[2]


def good(beat: Callable[[], None]) -> int:
    """A worker that tells its process id, works, and ends on SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    beat()
    print("good", os.getpid(), flush=True)
    while True:
        beat()
        time.sleep(0.05)


def deaf(beat: Callable[[], None]) -> int:
    """A worker that does not end when it is asked to."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    beat()
    print("deaf", os.getpid(), flush=True)
    while True:
        beat()
        time.sleep(0.05)


def broken(beat: Callable[[], None]) -> int:
    """A worker that cannot start."""
    return 3


def supervise(target: str, count: int) -> None:
    """What the processes of these tests run."""
    configure_logging("error")
    worker = {"good": good, "deaf": deaf, "broken": broken}[target]

    def ended(pid: int) -> None:
        print("ended", pid, flush=True)

    patience = 0.5 if worker is deaf else 10.0  # long enough for a busy machine, where it is not what is tested
    sys.exit(Supervisor(lambda place: Worker(worker), count, patience=patience, hung=2.0, ended=ended).run())


@contextmanager
def supervisor(target: str, count: int) -> Iterator[subprocess.Popen[str]]:
    """A process with a supervisor and `count` workers, whose words come over one pipe."""
    script = f"from tests.service.test_supervisor import supervise; supervise({target!r}, {count})"
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def told(process: subprocess.Popen[str]) -> tuple[str, int]:
    """What is said next, and the process id that it is about."""
    assert process.stdout is not None
    word, pid = process.stdout.readline().split()
    return word, int(pid)


def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its part of them, at least one, unless it is told how many; and no jobs, which another cannot find."""
    monkeypatch.setattr("service.supervisor.cores", lambda: 8)
    assert [share(Settings(), count).threads for count in (1, 2, 3, 16)] == [8, 4, 2, 1]
    assert share(Settings(threads=5), 4).threads == 5
    assert not share(Settings(), 2).jobs and not share(Settings(allow_model_control=True), 2).allow_model_control


def test_a_worker_that_dies_or_hangs_is_replaced() -> None:
    """After kill -9, and after a stop that lasts, there are two again; SIGTERM ends all of them with status 0."""
    with supervisor("good", 2) as process:
        (_, first), (_, second) = told(process), told(process)
        os.kill(first, signal.SIGKILL)
        assert told(process) == ("ended", first)
        _, third = told(process)
        os.kill(second, signal.SIGSTOP)
        assert told(process) == ("ended", second)
        _, fourth = told(process)
        process.send_signal(signal.SIGTERM)
        assert {told(process), told(process)} == {("ended", third), ("ended", fourth)}
        assert process.wait(timeout=10) == 0 and process.stdout is not None and process.stdout.read() == ""


def test_a_worker_that_never_served_is_not_tried_again() -> None:
    """What cannot start would not start the next time: all end, with its status."""
    with supervisor("broken", 2) as process:
        process.communicate(timeout=20)
        assert process.returncode == 3


def test_workers_end_with_their_supervisor() -> None:
    """A supervisor that is killed leaves no orphans that hold the port."""
    with supervisor("good", 1) as process:
        told(process)
        process.kill()
        process.communicate(timeout=10)  # the pipe ends with the last one that holds it


@pytest.mark.parametrize("signals, status", [(1, 1), (2, 128 + signal.SIGTERM)])
def test_a_worker_that_does_not_end_is_ended(signals: int, status: int) -> None:
    """When the time is up, or at once after a second signal; the status says that it was no clean end."""
    with supervisor("deaf", 1) as process:
        told(process)
        for _ in range(signals):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
        process.communicate(timeout=10)
        assert process.returncode == status
