"""training.recipes.dcgan."""

from typing import ClassVar

import pytest
import torch

from tests.training.recipes.conformance import Generating
from training.engine.average import Average
from training.networks.sphereface import parameter_count
from training.recipes.dcgan import Discriminator, Generator


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
