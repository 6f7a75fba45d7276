"""benchmarks.training: both sides do the same work, and are held at the end of each turn."""

import multiprocessing
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch.utils.data import default_collate

from benchmarks.plain_loops import LOOPS
from benchmarks.training import SIDES, Over, Paced, side
from training.data.pack import Example, write
from training.engine.figures import Figures
from training.engine.loop import Trainer
from training.engine.randomness import Random, Rows
from training.engine.recipe import configured, find
from training.engine.run import Run

TOY = {
    "ugatit": {"images": 100, "batch": 2, "size": 128, "width": 4, "discriminator_width": 2, "blocks": 1},
    "stylegan2": {"images": 100, "batch": 4, "size": 16, "base": 128, "most": 16, "path_every": 2, "penalty_every": 2},
}
STEPS = 3


@pytest.fixture(name="pack")
def pack_(tmp_path: Path) -> Path:
    """Grey pictures of two domains."""
    path = tmp_path / "pictures.pack"
    grey = [np.full((32, 32, 3), 20 * number, np.uint8) for number in range(12)]
    write(path, [Example(image, {"domain": ("photo", "drawing")[number % 2]}) for number, image in enumerate(grey)])
    return path


@pytest.mark.parametrize("name", TOY)
def test_the_plain_loop_trains_as_the_engine_does(name: str, pack: Path, tmp_path: Path) -> None:
    """With the same random numbers both lose the same after each of some steps."""
    recipe = configured(find(name), TOY[name])
    stream, size, seed = recipe.stream(pack), recipe.config.batch, recipe.config.seed
    batches = [
        default_collate([stream[place] for place in range(size * number, size * (number + 1))])
        for number in range(STEPS)
    ]
    trainer = Trainer(name, recipe, Run(tmp_path / "run"), Fabric(accelerator="cpu", devices=1))
    expected = []
    for batch in batches:
        figures = Figures()
        trainer.step(batch, figures)
        found = figures.read()
        expected.append(
            [sum(v for k, v in found.items() if k.startswith(f"{who}/")) for who in ("discriminator", "generator")]
        )
    device = torch.device("cpu")
    loop = LOOPS[name](recipe, batches, device, lambda seen: Random(seed, seen, Rows(0, size, size)))
    found = [[losses[who].item() for who in ("discriminator", "generator")] for losses in loop]
    assert np.allclose(found, expected, rtol=2e-3, atol=1e-4)


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


@pytest.mark.parametrize("which", SIDES)
def test_a_side_takes_turns_and_tells_its_memory(which: str, pack: Path, tmp_path: Path) -> None:
    """Two turns of two steps, then the most bytes it had."""
    settings = {**TOY["stylegan2"], "report": 8, "checkpoint": 0, "sheet": 0, "images": 1 << 40}
    (tmp_path / which).mkdir()
    ours, theirs = multiprocessing.Pipe()
    worker = threading.Thread(target=side, args=(which, "stylegan2", settings, tmp_path, "cpu", theirs), daemon=True)
    worker.start()
    for given in (True, True, False):
        ours.send(given)
    answers = [ours.recv() for _ in range(3)]
    worker.join(60)
    assert all(min(clocks) > 0 for clocks in answers[:2]) and answers[2] > 1e7
