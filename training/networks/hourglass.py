"""Hourglasses: a picture's features at five sizes, down and up again, as in Photo2Cartoon (and Newell et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks.convolution import convolution
from training.networks.normalisation import instance_norm

HALVINGS = 4


class ParallelBlock(nn.Module):
    """x [B, C, H, W] plus three convolutions in a row, each of which is seen in the sum (Bulat & Tzimiropoulos 2017).

    The first makes half of the C channels, the others a quarter each.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half, quarter = channels // 2, channels // 4
        self.first, self.second = _activated(channels, half), _activated(half, quarter)
        self.third = _activated(quarter, quarter)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        second = self.second(first)
        return x + torch.cat([first, second, self.third(second)], 1)


class Octave(nn.Module):
    """What is seen at this size plus what is seen at half of it, and so on for `halvings`: [B, C, H, W]."""

    def __init__(self, channels: int, halvings: int) -> None:
        super().__init__()
        self.beside, self.before = ParallelBlock(channels), ParallelBlock(channels)
        self.inner = Octave(channels, halvings - 1) if halvings > 1 else ParallelBlock(channels)
        self.after = ParallelBlock(channels)

    def forward(self, x: Tensor) -> Tensor:
        smaller = self.after(self.inner(self.before(functional.avg_pool2d(x, 2))))
        return self.beside(x) + functional.interpolate(smaller, scale_factor=2.0)


class Hourglass(nn.Module):
    """Features x [B, C, H, W] -> x, plus what was seen, plus a sketch of the picture that was made of it.

    H and W are multiples of 16, and 32 at least; C is one of 4. The `final` one returns the sketch alone, [B, 3, H, W].
    """

    def __init__(self, channels: int, *, final: bool = False) -> None:
        super().__init__()
        self.see = nn.Sequential(
            Octave(channels, HALVINGS),
            ParallelBlock(channels),
            *(convolution(channels, channels, 1), instance_norm(channels), nn.ReLU()),
        )
        self.sketch = convolution(channels, 3, 1, bias=True)
        self.final = final
        if not final:
            self.keep, self.colour = (convolution(each, channels, 1, bias=True) for each in (channels, 3))

    def forward(self, x: Tensor) -> Tensor:
        seen = self.see(x)
        sketch: Tensor = self.sketch(seen)
        return sketch if self.final else x + self.keep(seen) + self.colour(sketch)


def _activated(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(instance_norm(before), nn.ReLU(), convolution(before, after, 3))
