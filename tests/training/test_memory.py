"""training.engine.memory."""

import subprocess
import sys

import pytest

STEPS = """
import resource
import numpy as np
from training.engine.memory import keep

def step():
    for megabytes in (1, 8, 40):
        np.ones(megabytes << 20, np.uint8)

keep()
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**variables: str) -> int:
    """Pages that five steps had to ask the system for."""
    done = subprocess.run(
        [sys.executable, "-c", STEPS], capture_output=True, text=True, check=True, env={"PATH": "", **variables}
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_what_a_step_frees_the_next_one_has() -> None:
    """No page of it is cleared anew, whatever the size of a block; unless the user has settings of malloc's own."""
    assert faults() < 100
    assert faults(MALLOC_MMAP_THRESHOLD_="100000") > 1_000
