"""training.networks.residual: the blocks of translators, in networks whose published sizes are known."""

from functools import partial

import torch
from torch import nn

from training.networks.convolution import convolution
from training.networks.normalisation import ada_in, ada_lin, instance_norm
from training.networks.residual import ResidualBlock
from training.networks.size import parameter_count


def test_a_block_whose_second_half_is_nothing_changes_nothing() -> None:
    """What it computes is added to what comes in."""
    block = ResidualBlock(4, partial(instance_norm, own=True))
    nn.init.zeros_(block.norm_second.gain)
    x = torch.randn(2, 4, 6, 6)
    assert torch.equal(block(x), x)


def test_what_is_given_goes_to_both_normalisations() -> None:
    """Of a gain of 0 nothing is left but the shift, once through ReLU and a convolution, and then as it is."""
    block = ResidualBlock(3, ada_lin)
    x, gain, shift = torch.randn(2, 3, 6, 6), torch.zeros(2, 3), torch.randn(2, 3)
    assert torch.allclose(block(x, gain, shift), x + shift[:, :, None, None])


def test_reflected_edges_keep_a_flat_picture_flat() -> None:
    """With zeros beyond the edge it would be darker there, which a normalisation then makes a frame of."""
    flat = torch.ones(1, 3, 6, 6)
    assert convolution(3, 2, 3)(flat).std((2, 3)).max() < 1e-6
    assert convolution(3, 2, 3, edges="zeros")(flat).std((2, 3)).max() > 1e-3


def test_cyclegans_generator_has_the_published_size() -> None:
    """Nine blocks between two halvings and two doublings; transposed convolutions are as large as plain ones."""
    with torch.device("meta"):
        halves = [convolution(before, after, 3, stride=2, bias=True) for before, after in ((64, 128), (128, 256))]
        doubles = [nn.ConvTranspose2d(before, after, 3) for before, after in ((256, 128), (128, 64))]
        blocks = [ResidualBlock(256, bias=True) for _ in range(9)]
        ends = [convolution(3, 64, 7, bias=True), convolution(64, 3, 7, bias=True)]
        assert parameter_count(nn.ModuleList([*ends, *halves, *blocks, *doubles])) == 11_378_179
        assert parameter_count(nn.ModuleList([*ends, *halves, *blocks[:6], *doubles])) == 7_837_699


def test_munits_parts_have_the_published_sizes() -> None:
    """Both encoders; decoder and the network of its AdaIN, whose last layer is those of the normalisations."""
    with torch.device("meta"):
        plain = [ResidualBlock(256, bias=True) for _ in range(4)]
        halves = [convolution(before, after, 4, stride=2, bias=True) for before, after in ((64, 128), (128, 256))]
        assert parameter_count(nn.ModuleList([convolution(3, 64, 7, bias=True), *halves, *plain])) == 5_385_856
        style = [convolution(256, 256, 4, stride=2, bias=True) for _ in range(2)]
        code = nn.Conv2d(256, 8, 1)  # of the mean over all places
        assert parameter_count(nn.ModuleList([convolution(3, 64, 7, bias=True), *halves, *style, code])) == 2_764_936
        styled = [ResidualBlock(256, partial(ada_in, code=256), bias=True) for _ in range(4)]
        doubles = [nn.Conv2d(before, after, 5) for before, after in ((256, 128), (128, 64))]
        gains = 2 * (128 + 64)  # of the layer norms behind them
        mapping = [nn.Linear(8, 256), nn.Linear(256, 256)]
        decoder = nn.ModuleList([*styled, *doubles, convolution(64, 3, 7, bias=True), *mapping])
        assert parameter_count(decoder) + gains == 5_754_627 + 1_120_768
