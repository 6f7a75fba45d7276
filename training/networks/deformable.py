"""Deformable convolution, version 2 (Zhu et al. 2019), of plain operations that every runtime has.

y(p) = sum over taps k of w_k m_k x(p + p_k + d_k): a head says for each place where the taps look (d, in pixels) and
how much each counts (m).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

REACH = 1 / 4
"""Of a side, how far a tap may move."""
SLOW = 0.1
"""What the head says counts so much, which with Adam is a tenth of the learning rate for offsets."""


class DeformableConvolution(nn.Conv2d):
    """A square convolution [B, C, H, W] -> [B, D, h, w] with zeros around, under the names of a plain one's weights.

    The head begins with zeros, and a tap counts 2 sigmoid: at first it is exactly the plain convolution, so that it can
    take its place in a network that has learnt.
    """

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1, padding: int = 1) -> None:
        super().__init__(inputs, outputs, size, stride, padding)
        self.head = nn.Conv2d(inputs, 3 * size * size, size, stride, padding)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        size, stride, padding = self.kernel_size[0], self.stride[0], int(self.padding[0])
        down, across, counts = (SLOW * self.head(x)).chunk(3, 1)  # each [B, K, h, w]
        height, width = x.shape[2:]
        rows, columns = (torch.arange(side, device=x.device) * stride - padding for side in down.shape[2:])
        taps = torch.arange(size, device=x.device)
        y = rows[:, None] + taps.repeat_interleave(size)[:, None, None] + REACH * height * torch.tanh(down)
        x_at = columns + taps.repeat(size)[:, None, None] + REACH * width * torch.tanh(across)
        looked = sampled(x, y, x_at) * (2 * torch.sigmoid(counts))[:, None]
        return torch.einsum("bckhw,dck->bdhw", looked, self.weight.flatten(2)) + self.bias[:, None, None]


def sampled(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Values of x [B, C, H, W] at places [B, K, h, w] between its pixels, bilinear, zero outside: [B, C, K, h, w]."""
    channels, height, width = x.shape[1:]
    flat = F.pad(x, (1, 1, 1, 1)).flatten(2)
    # One row and column of zeros on each side, where all that is farther outside looks too.
    rows, columns = (rows + 1).clamp(0, height + 1), (columns + 1).clamp(0, width + 1)
    top, left = rows.detach().floor().clamp(max=height), columns.detach().floor().clamp(max=width)
    below, beside = rows - top, columns - left
    found = x.new_zeros(())
    for lower, vertical in ((0, 1 - below), (1, below)):
        for right, horizontal in ((0, 1 - beside), (1, beside)):
            index = ((top + lower) * (width + 2) + left + right).long().flatten(1)
            values = flat.gather(2, index[:, None].expand(-1, channels, -1)).unflatten(2, rows.shape[1:])
            found = found + values * (vertical * horizontal)[:, None]
    return found
