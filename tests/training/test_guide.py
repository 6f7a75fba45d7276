"""docs/training.md: a stranger who types its commands gets a model that draws.

All of them run, but for two: `torchrun` on one machine, which `tests/training/test_processes.py` takes from the same
page and compares with one process, and `git show`, which needs a history that a clone need not have.
"""

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from typer.testing import CliRunner

from demo.run import free_port
from service.cli import app
from tests.processes import serving
from tests.training.recipes import test_ugatit
from training.data.pack import Example, write
from training.engine.run import Run

TOY = {each.name: each.settings for each in (test_ugatit.TestUgatit,)}
ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "tests" / "assets"
PAGE = (ROOT / "docs" / "training.md").read_text()
COMMANDS = [line for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.M | re.S) for line in block.splitlines()]
(TWO_MACHINES,) = re.findall(r"^    (torchrun --nnodes .*)", PAGE.replace("\\\n", ""), re.M)
MEASURED = re.findall(r"`python -m (benchmarks\.\w+)`", PAGE)
LOCAL = "localhost:8000"
# What is installed beside the interpreter, of these sources.
INSTALLED = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "PYTHONPATH": str(ROOT),
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture(name="clone")
def clone_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: Path) -> Path:
    """What the page begins with: two folders, a photo, and models that are served already."""
    for folder in ("drawings", "photos", "models"):
        (tmp_path / folder).mkdir()
    for path in models.iterdir():
        (tmp_path / "models" / path.name).symlink_to(path)
    for path in ASSETS.glob("person*.jpg"):
        with Pillow.open(path) as opened:
            image = np.asarray(opened)
        for number, lit in enumerate((image, image[:, ::-1], image // 2)):
            Pillow.fromarray(lit).save(tmp_path / "photos" / f"{path.stem}-{number}.png")
            drawn = cv2.edgePreservingFilter(np.ascontiguousarray(lit)) // 32 * 32
            Pillow.fromarray(drawn).save(tmp_path / "drawings" / f"{path.stem}-{number}.png")
    (tmp_path / "photo.jpg").write_bytes((ASSETS / "person2-neutral.jpg").read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIKENESS_MODELS", raising=False)
    return tmp_path


def typed(command: str) -> list[str]:
    """The words of a command of `likeness`; training is of a toy."""
    _, *words = shlex.split(command)
    return [*words, *toy(words[1])] if words[0] == "train" else words


def toy(recipe: str) -> list[str]:
    """What makes a training of it small; later settings win."""
    return [*(word for key, value in TOY[recipe].items() for word in ("--set", f"{key}={value}")), "--device", "cpu"]


def work(commands: list[str]) -> None:
    """All of them, one after the other."""
    for command in commands:
        assert command.startswith("likeness "), command
        result = CliRunner().invoke(app, typed(command))
        assert result.exit_code == 0, f"{command}\n{result.output}"


def test_every_command_of_the_page_works(clone: Path) -> None:
    """In their order, up to a drawing that the service made with the model."""
    *before, serve, curl = COMMANDS
    assert serve.startswith("likeness serve") and curl.startswith("curl ") and LOCAL in curl
    work(before)
    assert "mean" in (clone / "runs" / "report.html").read_text()
    assert list((clone / "runs" / "ugatit" / "sheets").glob("*.jpg"))
    with serving(clone / "models", clone, *typed(serve)[1:]) as process:
        asked = curl.replace(LOCAL, f"127.0.0.1:{process.port}")
        subprocess.run(["curl", "--fail", "--silent", *shlex.split(asked)[1:]], cwd=clone, check=True)
    with Pillow.open(clone / "drawing.jpg") as drawing:
        assert drawing.size == (128, 128)


@pytest.fixture(name="packed")
def packed_(tmp_path: Path) -> Path:
    """A folder with a pack of two photos and two drawings where the page has one."""
    (tmp_path / "runs").mkdir()
    colours = np.random.default_rng(0).integers(0, 256, (4, 128, 128, 3), np.uint8)
    examples = [Example(each, {"domain": ("photo", "drawing")[row % 2]}) for row, each in enumerate(colours)]
    write(tmp_path / "runs" / "cartoons.pack", examples)
    return tmp_path


def test_torchrun_trains_on_two_machines(packed: Path) -> None:
    """Two that are this one, with a process each instead of four, and share the disk: one run, to its end."""
    words = shlex.split(TWO_MACHINES)
    recipe = words[words.index("train") + 1]
    here = {"--master-addr": "127.0.0.1", "--master-port": str(free_port()), "--nproc-per-node": "1"}
    ranks = [with_options(words, {**here, "--node-rank": str(rank)}) for rank in range(2)]
    processes = [
        subprocess.Popen([*rank, *toy(recipe)], cwd=packed, env=INSTALLED, stderr=subprocess.PIPE, text=True)
        for rank in ranks
    ]
    try:
        told = [process.communicate(timeout=300)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], told
    state = Run(packed / "runs" / recipe).state(recipe)
    assert state is not None and state[1]["images"] == int(TOY[recipe]["images"])


def with_options(words: list[str], values: Mapping[str, str]) -> list[str]:
    """A command with other values of the options that it has of these."""
    return [values.get(before, word) for before, word in zip(["", *words], words, strict=False)]


@pytest.mark.parametrize("module", MEASURED)
def test_the_measurement_that_the_page_names_is_one(module: str, tmp_path: Path) -> None:
    """It tells pictures a second for each number of workers; here of small ones, for a moment."""
    importlib.import_module(module).main(side=32, seconds=0.01, into=tmp_path / "x.json")
    pictures = json.loads((tmp_path / "x.json").read_text())["pictures"]
    assert len(pictures) > 1 and min(pictures.values()) > 0


def test_the_page_shows_no_picture_that_is_not_there() -> None:
    """Nor links to a page that is not."""
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        assert target.startswith("https:") or (ROOT / "docs" / target).exists(), target
