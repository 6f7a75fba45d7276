"""training.cli: what whoever types a command is told, in a sentence."""

import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.training.toy import Toy
from training.cli import app
from training.engine import loop, session


@pytest.fixture(autouse=True)
def recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """All recipes are the toy."""
    monkeypatch.setattr(session, "find", lambda name: Toy)


def failed(status: int, *words: object) -> str:
    """The one line that a command says which ends so."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == status and isinstance(result.exception, SystemExit), result.output
    return result.stderr.rstrip("\n")


def train(folder: Path, *more: object) -> list[object]:
    """The words of a training of the toy, whose data are made up."""
    return ["train", "toy", "--data", folder, "--into", folder / "run", "--device", "cpu", *more]


def test_ctrl_c_twice_tells_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the checkpoint of 32 images, with the status of what Ctrl-C ended."""

    def twice(_: object, seen: int) -> None:
        if seen == 40:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(loop.Journal, "advance", twice)
    last = failed(130, *train(tmp_path)).splitlines()[-1]
    assert last == "ended at once; the checkpoint of 32 images is kept"
