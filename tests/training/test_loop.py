"""training.engine.loop: the same run, however often it is interrupted and on however many processes it is made."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from tests.training.disk import full
from tests.training.toy import Config, Growing, Other, Toy, Uneven, Watched
from training.data.errors import DataError
from training.engine import checkpoint, loop
from training.engine.errors import CheckpointError, RunError, SickRun, TrainingError
from training.engine.journal import FIGURES
from training.engine.loop import Trainer
from training.engine.phase import Phase
from training.engine.recipe import Row, Stream
from training.engine.run import LATEST, Run

ROOT = Path(__file__).resolve().parents[2]


def trainer(folder: Path, **settings: object) -> Trainer:
    """Of the toy recipe, on this CPU."""
    recipe, run = Toy(Config(**settings)), Run(folder)
    run.begin("toy", recipe)
    return Trainer("toy", recipe, run, Fabric(accelerator="cpu", devices=1))


def trained(folder: Path, **settings: object) -> dict[str, torch.Tensor]:
    """The state of a run that went to its end."""
    whole = trainer(folder, **settings)
    assert whole.train(folder)
    return whole.state()


def batches() -> list[list[float]]:
    """What each step of a run is shown, in all."""
    plan, stream = Config(), Toy(Config()).stream(Path())
    return [[float(stream[seen + row]["x"]) for row in range(plan.batch)] for seen in range(0, plan.images, plan.batch)]


def lines(folder: Path) -> list[dict[str, float]]:
    """Of a journal."""
    return [json.loads(line) for line in (folder / FIGURES).read_text().splitlines()]


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    """Bit by bit."""
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def close(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    """But for the order of sums."""
    return left.keys() == right.keys() and all(torch.allclose(left[name], right[name], atol=1e-6) for name in left)


def test_the_toy_learns(tmp_path: Path) -> None:
    """The average of the weights is near the line that the points are on."""
    state = trained(tmp_path, images=16_000, rate=0.03, half_life=1000)
    assert abs(state["averages/line/weight"].item() - 3) < 0.1 and abs(state["averages/line/bias"].item() + 1) < 0.1


def test_a_resumed_run_is_the_unbroken_one(tmp_path: Path) -> None:
    """Weights, averages and moments, bit by bit, whatever random numbers the losses draw."""
    whole = trained(tmp_path / "whole")
    trained(tmp_path / "broken", images=32)
    resumed = trainer(tmp_path / "broken")
    assert resumed.seen == 32 and resumed.train(tmp_path)
    assert same(whole, resumed.state())


def test_a_batch_in_parts_is_the_batch(tmp_path: Path) -> None:
    """Each of four parts sees a quarter of the rows, and the random numbers that they would have seen together."""
    recipe, run = Watched(Config(parts=4)), Run(tmp_path / "four")
    run.begin("toy", recipe)
    parts = Trainer("toy", recipe, run, Fabric(accelerator="cpu", devices=1))
    assert parts.train(tmp_path) and close(trained(tmp_path / "one"), parts.state())
    assert recipe.shown == [batch[begin : begin + 2] for batch in batches() for begin in range(0, 8, 2)]


def test_two_processes_are_one(tmp_path: Path) -> None:
    """Each is shown half of every batch, both have the state of one that is shown all of it, and one of them tells."""
    two, one = tmp_path / "two", tmp_path / "one"
    two.mkdir()
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = [str(ROOT / "tests" / "training" / "two_processes.py"), str(two)]
    done = subprocess.run([*command, *script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((two / f"{rank}.json").read_text()) for rank in range(2))
    assert first["shown"] == [batch[:4] for batch in batches()]
    assert second["shown"] == [batch[4:] for batch in batches()]
    together, _ = checkpoint.load(two / "0" / LATEST)
    assert first["state"] == second["state"] == {name: value.tolist() for name, value in together.items()}
    recipe, run = Uneven(Config()), Run(one)
    run.begin("toy", recipe)
    alone = Trainer("toy", recipe, run, Fabric(accelerator="cpu", devices=1))
    assert alone.train(one)
    variance = "networks/follower/1.running_var"  # is that of the halves, whatever the mean is
    assert close({**alone.state(), variance: together[variance]}, together)
    assert not (two / "1").exists()
    for told, expected in zip(lines(two / "0"), lines(one), strict=True):
        assert told == pytest.approx(expected | {name: told[name] for name in ("pace", "waited")}, rel=1e-3)


def test_phases_come_when_they_are_due(tmp_path: Path) -> None:
    """A lazy phase has a figure of its own in every fourth step's report."""
    trained(tmp_path, report=8)
    told = lines(tmp_path)
    assert [line["images"] for line in told] == list(range(8, 65, 8))
    assert [number for number, line in enumerate(told) if "small/weight" in line] == [0, 4]


class Bursts(Toy):
    """The toy whose first network waits as a generator does for its critic: at first, and at every sixth step."""

    def phases(self) -> tuple[Phase, ...]:
        fit, small, follow = super().phases()
        return (replace(fit, every=lambda step: step >= 2 and step % 6 != 0), small, follow)


def test_a_phase_may_choose_its_steps(tmp_path: Path) -> None:
    """By their numbers, which go on where a run was interrupted."""
    for images in (32, 64):
        recipe, run = Bursts(Config(report=8, images=images)), Run(tmp_path)
        run.begin("toy", recipe)
        assert Trainer("toy", recipe, run, Fabric(accelerator="cpu", devices=1)).train(tmp_path)
    assert [number for number, line in enumerate(lines(tmp_path)) if "fit/square" in line] == [2, 3, 4, 5, 7]


def grown(folder: Path, recipe: Growing) -> dict[str, torch.Tensor]:
    """The state of a run that grows after 20 and after 50 images, which its batches of 8, then 4, do not divide."""
    run = Run(folder)
    run.begin("growing", recipe)
    whole = Trainer("growing", recipe, run, Fabric(accelerator="cpu", devices=1))
    assert whole.train(folder)
    return whole.state()


def test_batches_follow_the_clock(tmp_path: Path) -> None:
    """Their size changes with the first step beyond an arrival; no example is left out, and none is shown twice."""
    recipe = Growing(Config())
    grown(tmp_path, recipe)
    stream, places = recipe.stream(tmp_path), [0, 8, 16, *range(24, 52, 4), *range(52, 66, 2)]
    assert recipe.shown == [[float(stream[place]["x"]) for place in range(*step)] for step in pairwise(places)]


@pytest.mark.parametrize(("images", "remembered"), [(16, 2), (24, 0), (28, 1), (48, 6), (52, 0), (54, 1)])
def test_an_optimiser_forgets_once(tmp_path: Path, images: int, remembered: int) -> None:
    """With the step that passes an arrival; a run that goes on from there, or later, does not do so again."""
    found = grown(tmp_path / "broken", Growing(Config(images=images)))
    assert found.get("optimisers/fit/line/weight/step", 0) == remembered
    whole, resumed = (grown(tmp_path / name, Growing(Config())) for name in ("whole", "broken"))
    assert same(whole, resumed)


def test_a_figure_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    """The message names it, and the checkpoint before it can be gone on with."""
    with pytest.raises(SickRun, match="fit/square is nan after 48 images; the checkpoint of 32 images is kept"):
        trainer(tmp_path, poison=40).train(tmp_path)
    assert trainer(tmp_path, poison=40).seen == 32


def test_a_weight_that_is_not_finite_is_never_saved(tmp_path: Path) -> None:
    """Between two reports too."""
    with pytest.raises(SickRun, match=r"fit/square|line/weight"):
        trainer(tmp_path, poison=24, report=1000).train(tmp_path)
    assert not (tmp_path / LATEST).exists()


class Broken(Toy):
    """The toy, of whose data one example is broken, in one way or another."""

    breaks: object

    def stream(self, data: Path) -> Stream:
        whole, breaks = super().stream(data), self.breaks

        class Some:
            def __getitem__(self, place: int) -> Row:
                return breaks(whole[place]) if place == 44 else whole[place]

        return Some()


def raising(row: Row) -> Row:
    """A picture that cannot be read."""
    raise DataError("x.pack: picture 3 is broken")


@pytest.mark.parametrize(
    ("breaks", "complaint"),
    [
        (raising, "picture 3 is broken"),
        (lambda row: {**row, "x": row["x"] * np.float32("nan")}, "x, of the data, is not"),
    ],
)
def test_broken_data_do_not_cost_what_was_learnt(tmp_path: Path, breaks: object, complaint: str) -> None:
    """The run ends with what is wrong, by its name, and goes on from the step before."""
    recipe, run = Broken(Config()), Run(tmp_path)
    recipe.breaks = breaks
    run.begin("toy", recipe)
    with pytest.raises(TrainingError, match=complaint):
        Trainer("toy", recipe, run, Fabric(accelerator="cpu", devices=1)).train(tmp_path)
    assert trainer(tmp_path).seen == 40


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the file; nothing half-written stays."""
    trained(tmp_path, images=32)
    save = Run.save

    def cramped(*state: object, **facts: object) -> None:
        with full((tmp_path / LATEST).stat().st_size - 100):
            save(*state, **facts)

    monkeypatch.setattr(Run, "save", cramped)
    with pytest.raises(CheckpointError, match=r"latest\.safetensors could not be written"):
        trainer(tmp_path).train(tmp_path)
    assert trainer(tmp_path).seen == 32 and not list(tmp_path.glob("*.draft"))


def test_figures_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    """The run ends, and goes on from its checkpoint where there is room again."""
    trained(tmp_path, images=32)
    (tmp_path / "figures.jsonl").unlink()
    (tmp_path / "figures.jsonl").symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"figures\.jsonl could not be written.*No space"):
        trainer(tmp_path).train(tmp_path)
    assert trainer(tmp_path).seen == 32


def test_the_first_interruption_saves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The run ends after its step and goes on later as if nothing had been; both are told at once."""
    whole = trained(tmp_path / "whole")
    interrupted = trainer(tmp_path / "cut")
    monkeypatch.setattr(loop.Journal, "advance", lambda _, seen: seen == 24 and signal.raise_signal(signal.SIGINT))
    assert not interrupted.train(tmp_path)
    told = capfd.readouterr().err
    assert told.index("saving; again to end without") < told.index("the checkpoint of 24 images is kept")
    monkeypatch.undo()
    resumed = trainer(tmp_path / "cut")
    assert resumed.seen == 24 and resumed.train(tmp_path) and same(whole, resumed.state())


def test_a_report_that_fails_does_not_cost_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was made before."""
    (tmp_path / FIGURES).symlink_to("/dev/full")
    monkeypatch.setattr(loop.Journal, "advance", lambda _, seen: seen == 8 and signal.raise_signal(signal.SIGINT))
    with pytest.raises(RunError, match=r"figures\.jsonl could not be written"):
        trainer(tmp_path).train(tmp_path)
    assert trainer(tmp_path).seen == 8


class Two:
    """A fabric of which there are two, as far as an ending is concerned."""

    world_size = 2


@pytest.mark.parametrize(("report", "ends"), [(16, [16, 32, 48]), (0, [24, 48])])
def test_two_processes_end_with_and_without_reports(
    report: int, ends: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They ask each other at reports, or as seldom without."""
    one = trainer(tmp_path, report=report)
    monkeypatch.setattr(loop, "ASKED", 24)
    monkeypatch.setattr(loop.processes, "gathered", lambda fabric, asked: [False, asked])
    one._fabric = Two()
    for asked, expected in ((True, ends), (False, [])):
        found = []
        for before in range(0, 48, 8):
            one.seen = before + 8
            if one._all_end(asked, before):
                found.append(one.seen)
        assert found == expected


def test_the_second_interruption_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a new checkpoint, and the one before is whole, of which it tells."""
    trained(tmp_path, images=32)

    def twice(_: object, seen: int) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(loop.Journal, "advance", twice)
    with pytest.raises(KeyboardInterrupt, match="ended at once; the checkpoint of 32 images is kept"):
        trainer(tmp_path).train(tmp_path)
    assert trainer(tmp_path).seen == 32


def test_a_run_goes_on_with_its_settings(tmp_path: Path) -> None:
    """Another rate would make it another run; more images do not."""
    trained(tmp_path)
    with pytest.raises(RunError, match=r"rate=0\.01; it cannot go on with rate=0\.5"):
        trainer(tmp_path, rate=0.5)
    assert trainer(tmp_path, images=128).seen == 64


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    """By its name, and by the first key that does not fit where the name does."""
    trained(tmp_path)
    with pytest.raises(RunError, match="'toy', not of 'other'"):
        Run(tmp_path).begin("other", Other(Config()))
    with pytest.raises(RunError, match="recipe 'toy', not of 'other'"):
        Run(tmp_path).state("other")
    with pytest.raises(CheckpointError, match=r"lacks third/bias, which the recipe has"):
        Trainer("toy", Other(Config()), Run(tmp_path), Fabric(accelerator="cpu", devices=1))


def test_a_run_begins_from_another(tmp_path: Path) -> None:
    """It takes the averages of the networks that both have, and nothing of how far the other one was."""
    first = trained(tmp_path / "first")
    run = Run(tmp_path / "second")
    run.begin("other", Other(Config()))
    second = Trainer("other", Other(Config()), run, Fabric(accelerator="cpu", devices=1))
    second.begin_from(Run(tmp_path / "first"))
    state = second.state()
    assert torch.equal(state["networks/line/weight"], first["averages/line/weight"])
    assert torch.equal(state["networks/follower/0.weight"], first["networks/follower/0.weight"])
    assert second.seen == 0
