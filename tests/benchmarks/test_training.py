"""benchmarks.training: both sides do the same work, and are held at the end of each turn."""

import multiprocessing
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch.utils.data import default_collate

from benchmarks.plain_loops import LOOPS
from benchmarks.training import SIDES, WIDTHS, Over, Paced, pictures, side
from export.alignment import SQUARE_256
from training.data.pack import Example, write
from training.engine.figures import Figures
from training.engine.loop import Trainer
from training.engine.randomness import Random, Rows
from training.engine.recipe import configured, find
from training.engine.run import Run

TOY = {
    "ugatit": {"images": 100, "batch": 2, "size": 128, "width": 4, "discriminator_width": 2, "blocks": 1},
    "stylegan2": {"images": 100, "batch": 4, "size": 16, "base": 128, "most": 16, "path_every": 2, "penalty_every": 2},
    # A norm so small that Adam sees it, beside its epsilon.
    "sphereface": {"images": 100, "batch": 8, "depth": 4, "width": 4, "warm_up": 4, "clip": 1e-5, "decay": 5.0},
}
STEPS = 3


@pytest.fixture(name="pack")
def pack_(tmp_path: Path) -> Path:
    """Grey pictures of two domains and four people, the points of a face in them; every fourth has no name."""
    path = tmp_path / "pictures.pack"
    random = np.random.default_rng(0)
    points = np.float32(SQUARE_256.points) / 8
    examples = [
        Example(
            np.full((32, 32, 3), 20 * number, np.uint8),
            {"domain": ("photo", "drawing")[number % 2], "person": f"p{number % 4}" if number % 4 else ""},
            {"points": points, "descriptor": random.standard_normal(8).astype(np.float32)},
        )
        for number in range(12)
    ]
    write(path, examples)
    return path


@pytest.mark.parametrize("name", TOY)
def test_the_plain_loop_trains_as_the_engine_does(name: str, pack: Path, tmp_path: Path) -> None:
    """With the same random numbers both lose the same after each of some steps."""
    recipe = configured(find(name), TOY[name]).fitted(pack, {})
    stream, size, seed = recipe.stream(pack), recipe.config.batch, recipe.config.seed
    batches = [
        default_collate([stream[place] for place in range(size * number, size * (number + 1))])
        for number in range(STEPS)
    ]
    trainer = Trainer(name, recipe, Run(tmp_path / "run"), Fabric(accelerator="cpu", devices=1))
    told = []
    for batch in batches:
        figures = Figures()
        trainer.step(batch, figures)
        told.append(figures.read())
    device = torch.device("cpu")
    loop = LOOPS[name](recipe, batches, device, lambda seen: Random(seed, seen, Rows(0, size, size)))
    found = [{who: loss.item() for who, loss in losses.items()} for losses in loop]
    assert {phase.name for phase in recipe.phases() if not phase.shares} == found[0].keys()
    expected = [{who: total(each, who) for who in found[0]} for each in told]
    assert len(found) == STEPS
    for losses, wanted in zip(found, expected, strict=True):
        assert losses == pytest.approx(wanted, rel=1e-4, abs=1e-6)


def total(figures: Mapping[str, float], who: str) -> float:
    """What a phase has lost, of all figures of a step."""
    return sum(value for name, value in figures.items() if name.startswith(f"{who}/") and name != f"{who}/gradient")


@pytest.mark.parametrize("name", WIDTHS)
def test_there_are_pictures_for_every_recipe(name: str, tmp_path: Path) -> None:
    """Which its stream can read, at the width of the benchmark."""
    write(tmp_path / "x.pack", pictures(name))
    recipe = configured(find(name), WIDTHS[name]).fitted(tmp_path / "x.pack", {})
    first = default_collate([recipe.stream(tmp_path / "x.pack")[place] for place in range(recipe.config.batch)])
    assert all(len(value) == recipe.config.batch for value in first.values())


def test_a_turn_is_held_at_its_end() -> None:
    """Nothing is read before a turn is given; each tells its seconds and the processor's, and the last one ends all."""
    ours, theirs = multiprocessing.Pipe()
    paced = Paced([{"x": place} for place in range(9)], 2, theirs)
    for given in (True, True, False):
        ours.send(given)
    assert [paced[place]["x"] for place in range(4)] == [0, 1, 2, 3]
    with pytest.raises(Over):
        paced[4]
    assert min(ours.recv()) >= 0 and min(ours.recv()) >= 0 and not ours.poll()


@pytest.mark.parametrize("name", ["stylegan2", "sphereface"])
@pytest.mark.parametrize("which", SIDES)
def test_a_side_takes_turns_and_tells_its_memory(which: str, name: str, pack: Path, tmp_path: Path) -> None:
    """Two turns of two steps, then the most bytes it had."""
    turn = {"report": 2 * TOY[name]["batch"], "checkpoint": 0, "sheet": 0, "measure": 0, "images": 1 << 40}
    settings = {**TOY[name], **turn}
    (tmp_path / which).mkdir()
    ours, theirs = multiprocessing.Pipe()
    worker = threading.Thread(target=side, args=(which, name, settings, tmp_path, "cpu", theirs), daemon=True)
    worker.start()
    for given in (True, True, False):
        ours.send(given)
    answers = [ours.recv() for _ in range(3)]
    worker.join(60)
    assert all(min(clocks) > 0 for clocks in answers[:2]) and answers[2] > 1e7
