"""Layers whose weights are of variance 1 and scaled at run time, so that all learn at one rate (Karras et al. 2018)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks.resampling import Fir

SLOPE, GAIN = 0.2, math.sqrt(2)


def activated(x: Tensor, bias: Tensor) -> Tensor:
    """Leaky ReLU of x [B, C, ...] plus a bias [C], its variance kept."""
    return GAIN * functional.leaky_relu(x + bias.view(1, -1, *[1] * (x.ndim - 2)), SLOPE)


class EqualLinear(nn.Module):
    """A linear layer: x [B, C] -> [B, C']."""

    def __init__(self, before: int, after: int, *, bias: float = 0.0, rate: float = 1.0, active: bool = False) -> None:
        """`rate` multiplies the learning rate."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before) / rate)
        self.bias = nn.Parameter(torch.full((after,), bias / rate))
        self.scale, self.rate, self.active = rate / math.sqrt(before), rate, active

    def forward(self, x: Tensor) -> Tensor:
        y, bias = functional.linear(x, self.weight * self.scale), self.bias * self.rate
        return activated(y, bias) if self.active else y + bias


class EqualConv(nn.Module):
    """A convolution scaled at run time, behind a blur where it halves the size; with bias and activation or neither."""

    def __init__(self, before: int, after: int, size: int, *, down: bool = False, active: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before, size, size))
        self.bias = nn.Parameter(torch.zeros(after)) if active else None
        self.scale = 1 / math.sqrt(before * size * size)
        edge = (size + 1) // 2
        self.blur = Fir((edge, edge)) if down else None
        self.edge = 0 if down else size // 2

    def forward(self, x: Tensor) -> Tensor:
        stride = 1 if self.blur is None else 2
        x = x if self.blur is None else self.blur(x)
        y = functional.conv2d(x, (self.weight * self.scale).to(x.dtype), stride=stride, padding=self.edge)
        return y if self.bias is None else activated(y, self.bias.to(y.dtype))
