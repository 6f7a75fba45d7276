"""docs/training.md: a stranger who types its commands gets a model that draws."""

import re
import shlex
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from typer.testing import CliRunner

from service.cli import app
from tests.processes import serving
from tests.training.recipes import test_ugatit

TOY = {each.name: each.settings for each in (test_ugatit.TestUgatit,)}
ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "tests" / "assets"
PAGE = (ROOT / "docs" / "training.md").read_text()
COMMANDS = [line for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.M | re.S) for line in block.splitlines()]
LOCAL = "localhost:8000"


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
    if words[0] == "train":
        toy = [word for key, value in TOY[words[1]].items() for word in ("--set", f"{key}={value}")]
        words = [*words, *toy, "--device", "cpu"]
    return words


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


def test_the_page_shows_no_picture_that_is_not_there() -> None:
    """Nor links to a page that is not."""
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        assert target.startswith("https:") or (ROOT / "docs" / target).exists(), target
