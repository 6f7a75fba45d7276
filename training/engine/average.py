"""The moving average of weights, which is what is looked at, measured and exported."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import nn

RAMP = 0.05
"""The half-life is at most this share of the images seen, or the average would be of the first, untrained weights."""


class Average:
    """Exponential moving averages of networks with a half-life in images (Karras et al. 2024; StyleGAN2-ADA's ramp).

    Buffers are copied as they are: running statistics and counters are averages already.
    """

    def __init__(self, networks: Mapping[str, nn.Module], half_life: int) -> None:
        """`half_life`: images after which a weight's value counts half."""
        self.half_life = half_life
        self.networks = {name: _frozen(network) for name, network in networks.items()}
        self._pairs = [(self.networks[name], network) for name, network in networks.items()]

    @torch.no_grad()
    def follow(self, images: int, seen: int) -> None:
        """Move towards the networks after a step of `images`, `seen` in all."""
        keep = 0.5 ** (images / min(self.half_life, RAMP * seen))
        for mean, network in self._pairs:
            torch._foreach_lerp_(list(mean.parameters()), list(network.parameters()), 1 - keep)
            for copied, buffer in zip(mean.buffers(), network.buffers(), strict=True):
                copied.copy_(buffer)


def _frozen(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).eval().requires_grad_(False)
