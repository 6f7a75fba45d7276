"""training.engine.run: what a folder is a run of."""

import json
from pathlib import Path

import pytest
import torch

from tests.training.disk import full
from tests.training.toy import Config, Other, Toy
from training.engine.errors import RunError
from training.engine.run import FACTS, Run


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


@pytest.mark.parametrize("text", ["", '{"recipe": "toy", "sett', "[]", '{"recipe": "toy"}', '{"settings": {}}', "\xff"])
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
