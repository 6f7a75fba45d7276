"""Half and twice the size behind a filter, without which a stride folds fine patterns into coarse ones (Zhang 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_TAPS = (1.0, 3.0, 3.0, 1.0)


class Fir(nn.Module):
    """The filter [1, 3, 3, 1] in both directions; `edges` is how many zeros go before and after, `gain` a factor."""

    taps: Tensor

    def __init__(self, edges: tuple[int, int], gain: float = 1.0) -> None:
        super().__init__()
        taps = torch.tensor(_TAPS)
        square = torch.outer(taps, taps)
        self.register_buffer("taps", (gain * square / square.sum())[None, None], persistent=False)
        self.edges = (*edges, *edges)

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        weight = self.taps.to(x.dtype).expand(channels, 1, -1, -1)
        return functional.conv2d(functional.pad(x, self.edges), weight, groups=channels)


class Upsample(nn.Module):
    """Twice the size: zeros in between, then the filter."""

    def __init__(self) -> None:
        super().__init__()
        self.fir = Fir((2, 1), gain=4.0)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, length = x.shape
        spread = functional.pad(x[:, :, :, None, :, None], (0, 1, 0, 0, 0, 1))
        return self.fir(spread.reshape(batch, channels, 2 * height, 2 * length))
