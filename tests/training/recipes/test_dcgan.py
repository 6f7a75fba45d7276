"""training.recipes.dcgan."""

import math
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from lightning_fabric import Fabric
from torch.utils.data import default_collate

from tests.training.recipes.conformance import Generating
from training.engine.average import Average
from training.engine.figures import Figures
from training.engine.loop import Trainer
from training.engine.recipe import configured
from training.engine.run import Run
from training.networks.size import parameter_count
from training.recipes.dcgan import Discriminator, Generator, Recipe


class TestDcgan(Generating):
    name = "dcgan"
    settings: ClassVar = {"images": "32", "batch": "8", "size": "16", "width": "8", "z": "10"}


@pytest.mark.parametrize(
    ("size", "generator", "discriminator"),
    [(32, 1_068_928, 663_296), (64, 3_576_704, 2_765_568), (128, 12_786_560, 11_164_416)],
)
def test_the_networks_have_the_published_sizes(size: int, generator: int, discriminator: int) -> None:
    """The lesson's layout at 32 pixels, the well-known one at 64, and what follows from it at 128."""
    with torch.device("meta"):
        assert parameter_count(Generator(size, 64, 100)) == generator
        assert parameter_count(Discriminator(size, 64)) == discriminator


def test_sizes_follow_from_the_settings() -> None:
    """A picture of that side, in -1..1, and one logit of it."""
    for size in (8, 32):
        pictures = Generator(size, 4, 10)(torch.randn(3, 10))
        assert pictures.shape == (3, 3, size, size) and pictures.abs().max() <= 1
        assert Discriminator(size, 4)(pictures).shape == (3,)


def test_the_average_draws_by_the_statistics_of_training() -> None:
    """In training a picture depends on its neighbours in the batch; what is looked at and exported knows none."""
    generator, z = Generator(16, 4, 10), torch.randn(6, 10)
    average = Average({"generator": generator}, half_life=100)
    with torch.no_grad():
        assert not torch.allclose(generator(z)[:2], generator(z[:2]), atol=1e-3)
        average.follow(6, seen=6)
        drawn = average.networks["generator"]
        assert torch.allclose(drawn(z)[:2], drawn(z[:2]), atol=1e-6)
        assert torch.equal(drawn.layers[1].running_mean, generator.layers[1].running_mean)


def test_a_step_in_bfloat16(pack: Path, tmp_path: Path) -> None:
    """Convolutions compute in it, weights stay in float32 with channels last, and every figure is finite."""
    recipe = configured(Recipe, TestDcgan.settings)
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    trainer, stream, figures = Trainer("dcgan", recipe, Run(tmp_path), fabric), recipe.stream(pack), Figures()
    computed = []
    for network in trainer.networks.values():
        network.layers[0].register_forward_hook(lambda layer, inputs, output: computed.append(output.dtype))
    before = [weight.clone() for network in trainer.networks.values() for weight in network.parameters()]
    trainer.step(default_collate([stream[place] for place in range(8)]), figures)
    assert len(computed) > 2 and set(computed) == {torch.bfloat16}
    found = figures.read()
    assert len(found) > 2 and all(map(math.isfinite, found.values()))
    weights = [weight for network in trainer.networks.values() for weight in network.parameters()]
    assert not any(torch.equal(old, new) for old, new in zip(before, weights, strict=True))
    for weight in weights:
        assert weight.dtype == torch.float32
        assert weight.ndim < 4 or weight.is_contiguous(memory_format=torch.channels_last)
