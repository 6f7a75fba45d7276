"""Ctrl-C, as a terminal sends it: to the process that trains and to all of its workers at once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.processes import ROOT, until
from tests.training.recipes import test_dcgan
from training.data.pack import Example, write
from training.engine.run import Run

ENDLESS = {**test_dcgan.TestDcgan.settings, "images": "1000000000", "report": "8", "checkpoint": "0", "sheet": "0"}
SIDE = 3000
"""Pixels: pictures so large that the process that trains waits for its worker nearly all of the time."""


@pytest.mark.parametrize("workers", [0, 1])
def test_ctrl_c_saves(tmp_path: Path, workers: int) -> None:
    """The run ends with 130, has saved all that it saw, and says nothing of workers that left it."""
    pack, run = tmp_path / "grey.pack", tmp_path / "run"
    write(pack, [Example(np.full((SIDE, SIDE, 3), grey, np.uint8)) for grey in (50, 200)])
    command = ["train", "dcgan", "--data", str(pack), "--into", str(run), "--device", "cpu", "--workers", str(workers)]
    settings = [word for key, value in ENDLESS.items() for word in ("--set", f"{key}={value}")]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", *command, *settings], cwd=ROOT, stderr=log, start_new_session=True
        )
    try:
        until((run / "figures.jsonl").exists)
        os.killpg(process.pid, signal.SIGINT)
        status = process.wait(60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    told = (tmp_path / "log").read_text()
    assert status == 130 and "Traceback" not in told and "worker" not in told, told
    state = Run(run).state("dcgan")
    assert state is not None and state[1]["images"] == 8 * state[1]["steps"] > 0
