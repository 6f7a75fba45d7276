"""training.engine.average: the moving average of weights."""

import torch
from torch import nn

from training.engine.average import RAMP, Average


def test_a_half_life_halves_what_was() -> None:
    """After so many images the old value counts half, in one step or in many."""
    for steps in (1, 4):
        network = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(network.weight)
        average = Average({"n": network}, half_life=100)
        nn.init.ones_(network.weight)
        for step in range(steps):
            average.follow(100 // steps, seen=10_000 + step)
        assert abs(average.networks["n"].weight.item() - 0.5) < 1e-6


def test_the_first_weights_are_soon_forgotten() -> None:
    """Early on the half-life is a share of what was seen, so that the average is not of untrained weights."""
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    average = Average({"n": network}, half_life=10**9)
    nn.init.ones_(network.weight)
    average.follow(10, seen=int(10 / RAMP))
    assert abs(average.networks["n"].weight.item() - 0.5) < 1e-6


def test_buffers_are_copied_and_nothing_is_trained() -> None:
    """Running statistics are averages already; the average is in inference mode and takes no gradient."""
    network = nn.BatchNorm1d(3)
    average = Average({"n": network}, half_life=100)
    network(torch.randn(8, 3))
    average.follow(8, seen=8)
    copied = average.networks["n"]
    assert torch.equal(copied.running_mean, network.running_mean) and copied.num_batches_tracked == 1
    assert not copied.training and not any(parameter.requires_grad for parameter in copied.parameters())
