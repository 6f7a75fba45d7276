"""training.engine.journal: what TensorBoard's own reader finds in the folder of a run."""

import io
import json
import time
from pathlib import Path

import numpy as np
import pytest
from lightning_fabric import Fabric
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.training.disk import full
from tests.training.toy import Config, Toy
from training.engine.errors import RunError
from training.engine.journal import EVENTS, FIGURES, Journal, tiled
from training.engine.loop import Trainer
from training.engine.recipe import Measured
from training.engine.run import Run


def shown(folder: Path) -> EventAccumulator:
    """All that TensorBoard would show."""
    return EventAccumulator(str(folder / EVENTS)).Reload()


def test_figures_and_sheets_are_shown(tmp_path: Path) -> None:
    """Each figure at its images, and a sheet pixel by pixel."""
    sheet = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 6, 3), np.uint8)
    with Journal(tmp_path, "toy", 64, 0) as journal:
        journal.report(16, {"fit/square": 0.5}, 10.0)
        journal.report(32, {"fit/square": 0.25}, 10.0)
        journal.measured(32, Measured({"kid@dlib": 0.125}))
        journal.complain(32, "It is sick.")
        journal.sheet(32, sheet)
    found = shown(tmp_path)
    assert [(each.step, each.value) for each in found.Scalars("fit/square")] == [(16, 0.5), (32, 0.25)]
    assert [(each.step, each.value) for each in found.Scalars("kid@dlib")] == [(32, 0.125)]
    (complaint,) = found.Tensors("complaint/text_summary")
    assert complaint.step == 32 and complaint.tensor_proto.string_val == [b"It is sick."]
    told = (tmp_path / FIGURES).read_text().splitlines()
    assert json.loads(told[-1]) == {"images": 32, "complaint": "It is sick."}
    (picture,) = found.Images("sheet")
    with Image.open(io.BytesIO(picture.encoded_image_string)) as opened:
        assert picture.step == 32 and np.array_equal(np.asarray(opened), tiled(sheet))


@pytest.mark.parametrize("pace, told", [(0.204, "0.20/s"), (1234.5, "1234/s")])
def test_the_bar_tells_a_pace_slow_or_fast(
    pace: float, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Less than one image a second is not none."""
    with Journal(tmp_path, "toy", 64, 0) as journal:
        journal.report(16, {}, pace)
    assert told in capsys.readouterr().err


def test_a_run_is_shown_as_its_journal_tells(tmp_path: Path) -> None:
    """Every figure of every line, and every sheet."""
    recipe, run = Toy(Config(sheet=32)), Run(tmp_path)
    run.begin("toy", recipe)
    assert Trainer("toy", recipe, run, Fabric(accelerator="cpu", devices=1)).train(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / FIGURES).read_text().splitlines()]
    found = shown(tmp_path)
    names = {name for line in lines for name in line} - {"images"}
    assert set(found.Tags()["scalars"]) == names >= {"fit/square", "slope", "pace"}
    for name in names:
        told = [(line["images"], line[name]) for line in lines if name in line]
        assert [(each.step, pytest.approx(each.value, rel=1e-4)) for each in found.Scalars(name)] == told
    assert [each.step for each in found.Images("sheet")] == [32, 64]


def test_what_was_lost_is_not_shown(tmp_path: Path) -> None:
    """A run that goes on from its checkpoint of 32 images keeps what it told until then, and tells the rest anew."""
    with Journal(tmp_path, "toy", 64, 0) as journal:
        for seen in (16, 32, 48):
            journal.report(seen, {"loss": 1.0}, 10.0)
    time.sleep(1)  # TensorBoard reads files in the order of the seconds in their names
    with Journal(tmp_path, "toy", 64, 32) as journal:
        for seen in (48, 64):
            journal.report(seen, {"loss": 2.0}, 10.0)
    told = [(each.step, each.value) for each in shown(tmp_path).Scalars("loss")]
    assert told == [(16, 1.0), (32, 1.0), (48, 2.0), (64, 2.0)]


def test_a_refusal_is_said_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """However often a run measures itself."""
    with Journal(tmp_path, "toy", 64, 0) as journal:
        for seen in (32, 64):
            journal.measured(seen, Measured({"kid@dlib": 0.125}, ["No fid: too few."]))
    assert capfd.readouterr().err.count("No fid: too few.") == 1


def test_events_that_cannot_be_written_are_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """At once and without a traceback of another thread; what was told before is still shown."""
    with Journal(tmp_path, "toy", 64, 0) as journal:
        journal.report(16, {"loss": 1.0}, 10.0)
        (events,) = (tmp_path / EVENTS).iterdir()
        with full(events.stat().st_size + 10), pytest.raises(RunError, match=r"events could not be written: .*large"):
            journal.report(32, {"loss": 2.0}, 10.0)
    with full(0), pytest.raises(RunError, match="events could not be written"):
        Journal(tmp_path, "toy", 64, 32)
    assert "Traceback" not in capfd.readouterr().err
    assert [each.step for each in shown(tmp_path).Scalars("loss")] == [16]
