"""training.engine.processes: what several processes train, torchrun having started them, is one run."""

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest
import torch

from tests.processes import ROOT, until
from tests.training.recipes.test_sphereface import TOY, examples, figures
from training.data.pack import Example, write
from training.engine.run import Run
from training.engine.session import Session

PAGE = (ROOT / "docs" / "training.md").read_text()
# Plain descent: where a gradient is nearly nothing, Adam makes a step of whatever is left of it by rounding.
SETTINGS = {**TOY, "optimiser": "sgd", "rate": "0.003", "report": "16", "sheet": "48", "images": "48"}


@pytest.fixture(name="pack")
def pack_(tmp_path: Path) -> Path:
    """Faces of six people."""
    path = tmp_path / "faces.pack"
    write(path, [Example(each.image, {"person": f"person {row // 4}"}) for row, each in enumerate(examples(range(6)))])
    return path


def started(pack: Path, folder: Path, settings: Mapping[str, str]) -> list[str]:
    """The page's command for two processes on one machine, for a toy."""
    (line,) = re.findall(r"^    torchrun --standalone (.*) --no-python likeness train", PAGE, re.M)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", *shlex.split(line)]
    train = ["-m", "service.cli", "train", "sphereface", "--data", str(pack), "--into", str(folder), "--device", "cpu"]
    return [*torchrun, *train, *(word for key, value in settings.items() for word in ("--set", f"{key}={value}"))]


def test_two_processes_train_and_tell_what_one_does(pack: Path, tmp_path: Path) -> None:
    """The same weights, and one journal of the same figures, one set of events, one line of each report.

    How alike the embeddings of a batch are, is of the rows of a process alone.
    """
    one, two = tmp_path / "one", tmp_path / "two"
    assert Session("sphereface", SETTINGS, one, device="cpu").train(pack)
    done = subprocess.run(started(pack, two, SETTINGS), cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (alone, facts), (together, same) = (Run(folder).state("sphereface") for folder in (one, two))
    assert facts == same and alone.keys() == together.keys()
    for name, value in alone.items():
        assert torch.allclose(value, together[name], rtol=1e-4, atol=1e-5), name
    for told, expected in zip(figures(two), figures(one), strict=True):
        assert told == pytest.approx(expected | {name: told[name] for name in ("pace", "waited", "alike")}, rel=1e-3)
    for folder, count in (("events", 1), ("sheets", 1)):
        assert len(list((two / folder).iterdir())) == count
    assert [done.stderr.count(f"{seen:>10,}  faces/identity") for seen in (16, 32, 48)] == [1, 1, 1]


def test_ctrl_c_ends_all_processes_with_a_checkpoint(pack: Path, tmp_path: Path) -> None:
    """At their next report."""
    folder = tmp_path / "run"
    endless = {**SETTINGS, "images": "1000000000", "checkpoint": "0", "sheet": "0"}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(started(pack, folder, endless), cwd=ROOT, stderr=log)
    try:
        until((folder / "figures.jsonl").exists)
        process.send_signal(signal.SIGINT)
        process.wait(60)
    finally:
        if process.poll() is None:
            for each in (*psutil.Process(process.pid).children(recursive=True), process):
                each.kill()
            process.wait()
    state = Run(folder).state("sphereface")
    assert state is not None and state[1]["images"] == figures(folder)[-1]["images"], (tmp_path / "log").read_text()
