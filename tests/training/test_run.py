"""training.engine.run: what a folder is a run of."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.disk import full
from tests.training.toy import Config, Other, Toy
from training.data.pack import Example, write
from training.engine.errors import RunError
from training.engine.recipe import Recipe
from training.engine.run import FACTS, Run

NO_DATA = '{"recipe": "toy", "settings": {}, "data": {"name": "x.pack"}}'


def begun(folder: Path, **settings: object) -> Run:
    """A run of the toy that has seen nothing."""
    run = Run(folder)
    run.begin("toy", Toy(Config(**settings)))
    return run


def saved(folder: Path, **settings: object) -> Run:
    """The same with a checkpoint."""
    run = begun(folder, **settings)
    run.save("toy", {"networks/line/weight": torch.zeros(1)}, images=8, steps=1, keep=False)
    return run


def test_what_a_run_is_can_be_mended_until_its_first_checkpoint(tmp_path: Path) -> None:
    """Whoever misspelt a setting begins once more; what was learnt is only gone on with as it began."""
    begun(tmp_path, rate=0.5)
    Run(tmp_path).begin("other", Other(Config(rate=0.1)))
    assert saved(tmp_path, rate=0.2).facts()["settings"]["rate"] == 0.2
    with pytest.raises(RunError, match=r"rate=0\.2; it cannot go on with rate=0\.5"):
        begun(tmp_path, rate=0.5)


def test_a_setting_that_came_later_had_its_default(tmp_path: Path) -> None:
    """A run of before goes on as it was, and not with another value."""
    run = saved(tmp_path)
    facts = run.facts()
    del facts["settings"]["noise"]
    (tmp_path / FACTS).write_text(json.dumps(facts))
    with pytest.raises(RunError, match=r"noise=0\.1; it cannot go on with noise=0\.3"):
        begun(tmp_path, noise=0.3)
    assert begun(tmp_path).facts()["settings"]["noise"] == 0.1


@pytest.mark.parametrize(
    "text", ["", '{"recipe": "toy", "sett', "[]", '{"recipe": "toy"}', '{"settings": {}}', NO_DATA, "\xff"]
)
def test_a_file_that_tells_no_run_is_named(tmp_path: Path, text: str) -> None:
    """Empty, cut off, of another form; without a checkpoint it is begun anew."""
    run = saved(tmp_path)
    (tmp_path / FACTS).write_bytes(text.encode("latin-1"))
    for ask in (run.facts, lambda: begun(tmp_path)):
        with pytest.raises(RunError, match=r"run\.json does not tell recipe and settings"):
            ask()
    run.latest.unlink()
    assert begun(tmp_path).facts()["recipe"] == "toy"


def test_what_is_told_already_is_not_written_again(tmp_path: Path) -> None:
    """A full disk does not keep a run from going on, and leaves what was told where it is another."""
    saved(tmp_path)
    with full(0):
        begun(tmp_path)
        with pytest.raises(RunError, match=r"run\.json could not be written"):
            begun(tmp_path, images=128)
    assert Run(tmp_path).facts()["settings"]["images"] == 64 and not list(tmp_path.glob("*.draft"))


class Packed(Toy):
    """The toy, as if it learnt from a pack."""

    fingerprint = Recipe.fingerprint


def pack(path: Path, pictures: int) -> Path:
    """Of that many."""
    write(path, [Example(np.full((8, 8, 3), number, np.uint8)) for number in range(pictures)])
    return path


def test_a_run_goes_on_with_its_data(tmp_path: Path) -> None:
    """Wherever they are; others are refused, and both are named."""
    run, recipe = Run(tmp_path / "run"), Packed(Config())
    small, large = pack(tmp_path / "small.pack", 2), pack(tmp_path / "large.pack", 3)
    run.begin("toy", recipe, large)
    run.begin("toy", recipe, small)  # nothing is learnt yet
    run.save("toy", {}, images=8, steps=1, keep=False)
    run.begin("toy", recipe, small.rename(tmp_path / "moved.pack"))
    for ask in (run.begin, run.check):
        with pytest.raises(
            RunError, match=r"began with moved\.pack \(\w+\); it cannot go on with .*large\.pack \(\w+\)"
        ):
            ask("toy", recipe, large)


def test_a_run_from_before_its_data_were_kept_goes_on(tmp_path: Path) -> None:
    """And keeps them from then on."""
    run, recipe = saved(tmp_path / "run"), Packed(Config())
    run.begin("toy", recipe, pack(tmp_path / "first.pack", 2))
    with pytest.raises(RunError, match=r"began with first\.pack"):
        run.begin("toy", recipe, pack(tmp_path / "other.pack", 3))
