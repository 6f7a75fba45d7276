"""training.networks.hourglass: Photo2Cartoon's, in the generator whose published size is known."""

import pytest
import torch
from torch import nn

from training.networks.attention import ClassActivation
from training.networks.convolution import convolution
from training.networks.hourglass import Hourglass, Octave, ParallelBlock
from training.networks.normalisation import lin, soft_ada_lin
from training.networks.residual import ResidualBlock
from training.networks.size import parameter_count


@pytest.mark.parametrize(("width", "published"), [(32, 3_831_079), (64, 15_291_527)])
def test_photo2cartoons_generator_has_the_published_size(width: int, published: int) -> None:
    """But for the authors' shortcut of every parallel block, width^2 weights that nothing uses."""
    deep = 4 * width
    with torch.device("meta"):
        network = nn.ModuleList(
            [
                *(convolution(3, width, 7), Hourglass(width), Hourglass(width)),
                *(convolution(width, 2 * width, 3, stride=2), convolution(2 * width, deep, 3, stride=2)),
                *(ResidualBlock(deep) for _ in range(4)),
                ClassActivation(deep, bias=True),
                *(nn.Linear(deep, deep) for _ in range(2)),
                *(ResidualBlock(deep, soft_ada_lin) for _ in range(4)),
                *(convolution(deep, 2 * width, 3), lin(2 * width), convolution(2 * width, width, 3), lin(width)),
                *(Hourglass(width), Hourglass(width, final=True), convolution(3, 3, 7)),
            ]
        )
    blocks = sum(isinstance(module, ParallelBlock) for module in network.modules())
    assert blocks == 56
    assert parameter_count(network) + blocks * width**2 == published


def test_a_parallel_block_shows_each_of_its_convolutions() -> None:
    """Half of the channels are of the first, a quarter of the second, which sees the first, a quarter of the third."""
    block, x = ParallelBlock(8), torch.randn(1, 8, 6, 6)
    change = block(x) - x
    first = block.first(x)
    second = block.second(first)
    assert torch.allclose(change, torch.cat([first, second, block.third(second)], 1), atol=1e-6)
    assert parameter_count(block) == 9 * 64 * 11 // 16


def test_an_octave_adds_what_it_sees_at_half_the_size() -> None:
    """Four halvings have thirteen blocks; what they add to this size comes in squares of two."""
    octave = Octave(4, 4)
    assert sum(isinstance(module, ParallelBlock) for module in octave.modules()) == 13
    x = torch.randn(1, 4, 32, 32)
    squares = (octave(x) - octave.beside(x)).reshape(1, 4, 16, 2, 16, 2)
    assert (squares.amax((3, 5)) - squares.amin((3, 5))).max() < 1e-5


def test_hourglasses_refine_or_draw() -> None:
    """One adds to features what it saw and sketched; the final one gives the sketch. Sides are multiples of 16."""
    x = torch.randn(2, 8, 32, 48)
    assert Hourglass(8, final=True)(x).shape == (2, 3, 32, 48)
    refine = Hourglass(8)
    for layer in (refine.keep, refine.colour):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    assert torch.equal(refine(x), x)
