"""Curves of a run: what the figures say, and nothing that was done again."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from training.curves import draw, read
from training.engine.errors import RunError


def run(folder: Path, lines: Sequence[object]) -> Path:
    folder.mkdir()
    (folder / "figures.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_what_was_done_again_counts_once(tmp_path: Path) -> None:
    """A run that was killed at 300 and went on from 100 has one value for each number of images."""
    lines = [{"images": seen, "loss": value} for seen, value in ((100, 3), (200, 9), (300, 9), (200, 2), (300, 1))]
    found = read(run(tmp_path / "run", [*lines, {"images": 300, "fid": 7}]))
    assert found["loss"].tolist() == [[100, 200, 300], [3, 2, 1]]
    assert found["fid"].tolist() == [[300], [7]]


def test_a_line_that_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    """By a full disk, whether or not the run went on later on the same line, or by power that failed."""
    folder = run(tmp_path / "run", [{"images": 100, "loss": 3}])
    with (folder / "figures.jsonl").open("ab") as file:
        file.write(b'{"images": 200, "lo{"images": 200, "loss": 2}\n\0\0\xff\n')
        file.write(b'{"images": 300, "loss": 1}\n{"images": 400, "')
    assert read(folder)["loss"].tolist() == [[100, 300], [3, 1]]


def test_complaints_are_no_curves(tmp_path: Path) -> None:
    """What a run said in words between its figures."""
    lines = [{"images": 100, "loss": 3}, {"images": 100, "complaint": "It is sick."}, {"images": 200, "loss": 2}]
    found = read(run(tmp_path / "run", lines))
    assert found.keys() == {"loss"} and found["loss"].tolist() == [[100, 200], [3, 2]]


@pytest.mark.parametrize("lines", [[], [["images", 3]], [{"loss": 1}], [3]])
def test_what_holds_no_figures_is_named(tmp_path: Path, lines: Sequence[object]) -> None:
    """Empty, a list, a line without its images, a number: the message says which file."""
    with pytest.raises(RunError, match=r"figures\.jsonl"):
        read(run(tmp_path / "run", lines))


def test_a_folder_without_figures_is_named(tmp_path: Path) -> None:
    """It may be a run that has not reported yet, or no run."""
    with pytest.raises(RunError, match=str(tmp_path)):
        read(tmp_path)


def test_runs_share_the_panels_of_their_figures(tmp_path: Path) -> None:
    """Two runs with four figures, one of them not finite for a while: two rows of three panels."""
    seen = np.arange(1.0, 50.0)
    broken = np.where(seen < 9, np.nan, seen)
    first = {name: np.stack([1000 * seen, seen]) for name in ("a", "b", "c")}
    second = {"a": np.stack([1000 * seen, broken]), "d": np.stack([1000 * seen, broken])}
    draw({"first": first, "second": second}, tmp_path / "curves.png")
    with Pillow.open(tmp_path / "curves.png") as picture:
        assert picture.height > picture.width / 3
        assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 10


def test_a_format_that_is_none_is_refused(tmp_path: Path) -> None:
    """The suffix says what is written."""
    with pytest.raises(RunError, match=r"curves\.doc"):
        draw({"run": {"loss": np.zeros((2, 3))}}, tmp_path / "curves.doc")
