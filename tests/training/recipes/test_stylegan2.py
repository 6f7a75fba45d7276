"""training.recipes.stylegan2."""

from pathlib import Path
from typing import ClassVar

import pytest
import torch
from lightning_fabric import Fabric
from torch.utils.data import default_collate

from tests.training.recipes.conformance import Generating
from training.engine.figures import Figures
from training.engine.loop import Trainer
from training.engine.recipe import configured
from training.engine.run import Run
from training.networks.stylegan2 import MEMORY
from training.recipes.stylegan2 import Recipe


class TestStyleGan2(Generating):
    name = "stylegan2"
    settings: ClassVar = {"images": "16", "batch": "4", "size": "16", "base": "128", "most": "16", "penalty_every": "2"}


def test_running_means_move_once_a_step(pack: Path, tmp_path: Path) -> None:
    """The average face and the mean path length, in however many parts the batch comes: from 0 by their share."""
    found = []
    for parts in ("1", "2"):
        recipe, fabric = (
            configured(Recipe, {**TestStyleGan2.settings, "parts": parts}),
            Fabric(accelerator="cpu", devices=1),
        )
        trainer, stream, figures = Trainer("stylegan2", recipe, Run(tmp_path), fabric), recipe.stream(pack), Figures()
        networks = trainer.networks
        networks["discriminator"].group = 1  # else it compares the rows of a part with each other
        for name, parameter in networks["synthesis"].named_parameters():
            if name.endswith("strength"):
                parameter.data.fill_(1.0)
        trainer.step(default_collate([stream[place] for place in range(4)]), figures)
        assert networks["path"].mean.item() == pytest.approx(0.01 * figures.read()["path_length"])
        found.append([networks["mapping"].mean.clone(), networks["path"].mean.clone()])
    for whole, halves in zip(*found, strict=True):
        assert torch.allclose(whole, halves, rtol=1e-3) and whole.abs().max() > 0
    assert found[0][0].abs().max() < 4 * (1 - MEMORY)
