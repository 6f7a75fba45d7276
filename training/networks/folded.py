"""Convolutions whose normalisation is part of their weights out of training, and what is made of them.

B batch, C channels, H W height and width.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Convolution(nn.Sequential):
    """Convolution, of 3x3 unless told, batch normalisation and, unless `linear`, ReLU.

    Out of training the normalisation is part of the convolution's weights. ONNX Runtime, which does not merge the two
    where weights are stored as float16, then computes every sum in one order, whatever its number of threads.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, *, size: int = 3, linear: bool = False) -> None:
        active = () if linear else (nn.ReLU(inplace=True),)
        convolution = nn.Conv2d(inputs, outputs, size, stride, (size - 1) // 2, bias=False)
        super().__init__(convolution, nn.BatchNorm2d(outputs), *active)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return super().forward(x)
        convolution, norm, *active = self
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        weight, bias = convolution.weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale
        x = F.conv2d(x, weight, bias, convolution.stride, convolution.padding)
        return F.relu(x) if active else x


class Residual(nn.Module):
    """Two 3x3 convolutions around an identity path."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Convolution(channels, channels)
        self.second = Convolution(channels, channels, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)))


def doubled(x: Tensor) -> Tensor:
    """Bilinear upsampling by two."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def counted(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """A state of a network with its counters of batches, of which a published file has none: they stand at 0."""
    counters = [key for key in network.state_dict() if key.endswith("num_batches_tracked")]
    return {key: torch.zeros((), dtype=torch.long) for key in counters} | dict(state)
