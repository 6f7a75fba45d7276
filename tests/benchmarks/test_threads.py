"""benchmarks.threads: whose processor time it was."""

import os
import threading

from benchmarks.machine import Tree
from benchmarks.threads import between, spent


def test_time_is_counted_by_name():
    """A thread that came in between counts whole, one that has gone not at all, and those of one name together."""
    before = {(1, "python: main"): 2.0, (2, "python: pool"): 5.0}
    after = {(1, "python: main"): 2.5, (3, "python: pool"): 1.0, (4, "python: pool"): 0.25}
    assert between(before, after) == {"python: main": 0.5, "python: pool": 1.25}


def test_threads_of_a_process_are_found():
    """The first one is its main, all are there with their time."""
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    found = spent(Tree(os.getpid()))
    done.set()
    other.join()
    assert {number for number, _ in found} >= {os.getpid(), other.native_id}
    assert [name.endswith(": main") for number, name in found if number == os.getpid()] == [True]
