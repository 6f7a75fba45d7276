"""What can be seen of a face, by a small residual network with a head for each attribute (He et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from torch import Tensor, nn

from training.networks.convolution import convolution
from training.networks.residual import ResidualBlock

GROWTH = (2, 4, 5)
"""Channels of the stages, times the width of the first layer; each has half the pixels of what comes before it."""
FIRST = "body.0.0.weight"
"""What the weights of the first layer are called."""


class Attributes(nn.Module):
    """Pictures [B, 3, S, S] in -1..1, S a multiple of 16 -> logits of every attribute, by name [B, answers].

    With a width of 20 there are 0.43 million parameters.
    """

    def __init__(self, width: int, answers: Mapping[str, int]) -> None:
        super().__init__()
        channels = [width, *(width * growth for growth in GROWTH)]
        stages = [nn.Sequential(_halved(*pair), _block(pair[1])) for pair in pairwise(channels)]
        pooled = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2))
        self.body = nn.Sequential(_halved(3, width), *stages, *pooled)
        self.heads = nn.ModuleDict({name: nn.Linear(channels[-1], count) for name, count in answers.items()})

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        features = self.body(pictures)
        return {name: head(features) for name, head in self.heads.items()}


def _halved(before: int, after: int) -> nn.Module:
    """A convolution to half the size."""
    return nn.Sequential(convolution(before, after, 3, stride=2, edges="zeros"), nn.BatchNorm2d(after), nn.ReLU())


def _block(channels: int) -> nn.Module:
    return ResidualBlock(channels, nn.BatchNorm2d, edges="zeros")


def form(state: Mapping[str, Tensor]) -> tuple[int, dict[str, int]]:
    """Width, and how many answers each attribute has, of the `Attributes` with this state_dict; ValueError."""
    heads = {key.split(".")[1]: len(value) for key, value in state.items() if key.endswith("bias") and "heads" in key}
    if FIRST not in state or not heads:
        raise ValueError("its weights are those of no classifier of attributes")
    return len(state[FIRST]), heads
