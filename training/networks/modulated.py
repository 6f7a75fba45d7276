"""Convolutions whose weights a style scales, for each image its own (Karras et al. 2020, section 2.2).

Here the style scales what goes into a convolution whose weights are constant, and one product what comes out, which is
the same and knows nothing of batches: weights of each image's own do not export with a batch of any size.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks.equalised import EqualLinear
from training.networks.resampling import Fir

EPSILON = 1e-8


class ModulatedConv(nn.Module):
    """x [B, C, H, W] and w [B, D] -> [B, C', H, W], or twice as large with `up`."""

    def __init__(self, before: int, after: int, size: int, style: int, *, demodulate: bool = True, up: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before, size, size))
        self.style = EqualLinear(style, before, bias=1.0)
        self.scale = 1 / math.sqrt(before * size * size)
        self.demodulate, self.size = demodulate, size
        self.blur = Fir((1, 1), gain=4.0) if up else None

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style, weight = self.style(w), self.weight * self.scale
        x = x * style[:, :, None, None].to(x.dtype)
        if self.blur is None:
            y = functional.conv2d(x, weight, padding=self.size // 2)
        else:
            y = self.blur(functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2))
        if not self.demodulate:
            return y
        norm = style.float().square() @ weight.float().square().sum((2, 3)).T
        return y * (norm + EPSILON).rsqrt()[:, :, None, None].to(y.dtype)
