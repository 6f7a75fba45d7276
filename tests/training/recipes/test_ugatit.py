"""training.recipes.ugatit."""

from collections.abc import Callable
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from tests.training.recipes.conformance import Conformance
from training.engine.phase import Step
from training.engine.randomness import Random, Rows
from training.recipes.ugatit import DOMAINS, Config, Recipe


class TestUgatit(Conformance):
    name = "ugatit"
    settings: ClassVar = {
        "images": "8",
        "batch": "2",
        "size": "128",
        "width": "4",
        "discriminator_width": "2",
        "blocks": "1",
    }


@pytest.mark.parametrize("sick", DOMAINS)
def test_each_discriminator_is_watched(sick: str) -> None:
    """The one that knows its pictures by heart is told, whatever the other does."""

    def judge(level: float) -> Callable[[Tensor], dict[str, Tensor]]:
        return lambda pictures: {"global_patch": torch.full((len(pictures), 1, 2, 2), level)}

    judges = {f"{domain}_discriminator": judge(1.0 if domain == sick else 0.0) for domain in DOMAINS}
    copies = {name: lambda pictures: (pictures, None) for name in ("photo_to_drawing", "drawing_to_photo")}
    batch = {f"{domain}_image": torch.zeros(2, 8, 8, 3, dtype=torch.uint8) for domain in DOMAINS}
    step = Step({**judges, **copies}, batch, 0, Random(0, 0, Rows(0, 2, 2)))
    Recipe(Config(batch=2)).discriminator_loss(step)
    figures = {name: value.item() for name, value in step.notes.items()}
    (told,) = [symptom for symptom in Recipe.symptoms if symptom.shows(figures)]
    assert sick in told.says


def test_a_generator_that_draws_one_picture_is_told() -> None:
    """With a batch of one too, whatever photos come; one that draws what it sees is not."""
    judge = lambda pictures: {"global_patch": torch.full((1, 1, 2, 2), 0.5)}  # noqa: E731
    networks = {f"{domain}_discriminator": judge for domain in DOMAINS}
    networks |= {
        "photo_to_drawing": lambda pictures: (torch.zeros_like(pictures), None),
        "drawing_to_photo": lambda pictures: (pictures, None),
    }
    recipe, generator = Recipe(Config()), torch.Generator().manual_seed(0)
    for number in range(3):
        batch = {
            f"{domain}_image": torch.randint(0, 256, (1, 8, 8, 3), generator=generator, dtype=torch.uint8)
            for domain in DOMAINS
        }
        step = Step(networks, batch, number, Random(0, number, Rows(0, 1, 1)))
        recipe.discriminator_loss(step)
    figures = {name: value.item() for name, value in step.notes.items()}
    (told,) = [symptom for symptom in Recipe.symptoms if symptom.shows(figures)]
    assert told.figure == "spread_drawing" and figures["spread_photo"] > 0.5
