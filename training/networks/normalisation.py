"""One normalisation with two mixtures: of statistics (instance, layer, or between), and of whose gain and shift.

| name      | share of the instance's statistics | gain and shift  |
|-----------|------------------------------------|-----------------|
| IN        | 1                                  | none or own     |
| LN        | 0                                  | own             |
| AdaIN     | 1                                  | given           |
| LIN       | learnt, from 0                     | own             |
| AdaLIN    | learnt, from 0.9                   | given           |

Soft-AdaLIN (Photo2Cartoon) is AdaLIN whose gain and shift are mixed by `SoftAffine`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class LayerInstanceNorm(nn.Module):
    """x [B, C, H, W] -> gain * (rho * instance-normalised + (1 - rho) * layer-normalised) + shift.

    Kim et al. 2020 ("U-GAT-IT", eq. 1). Written as one product and one sum for each value of x: the statistics of the
    layer follow from those of its channels. They are computed in float32.
    """

    rho: Tensor

    def __init__(
        self, channels: int, *, rho: float, learnt: bool, own: bool, unbiased: bool = False, epsilon: float = 1e-5
    ) -> None:
        """`rho` is the share of the instance's statistics, its first value where it is `learnt`, a channel each.

        `own`: gain and shift are parameters; otherwise they may be given. `unbiased`: variances are divided by one less
        than their number of values, as U-GAT-IT's PyTorch version has it.
        """
        super().__init__()
        share = torch.full((channels,), rho)
        if learnt:
            self.rho = nn.Parameter(share)
        else:
            self.register_buffer("rho", share, persistent=False)
        self.gain = nn.Parameter(torch.ones(channels)) if own else None
        self.shift = nn.Parameter(torch.zeros(channels)) if own else None
        self.unbiased = unbiased
        self.epsilon = epsilon

    def forward(self, x: Tensor, gain: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """`gain` and `shift` [B, C] or [C]; without any of its own or given, 1 and 0."""
        gain = self.gain if gain is None else gain
        shift = self.shift if shift is None else shift
        scale, offset = self._line(x.float())
        if gain is not None:
            scale, offset = scale * gain.float(), offset * gain.float()
        if shift is not None:
            offset = offset + shift.float()
        return x * scale[:, :, None, None].to(x.dtype) + offset[:, :, None, None].to(x.dtype)

    def _line(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Factor and summand [B, C] that normalise."""
        channels, places = x.shape[1], x.shape[2] * x.shape[3]
        mean = x.mean((2, 3))
        layer_mean = mean.mean(1, keepdim=True)
        variance = (x - mean[:, :, None, None]).square().mean((2, 3))
        layer_variance = variance.mean(1, keepdim=True) + (mean - layer_mean).square().mean(1, keepdim=True)
        if self.unbiased:
            variance = variance * (places / (places - 1))
            layer_variance = layer_variance * (channels * places / (channels * places - 1))
        instance = self.rho * (variance + self.epsilon).rsqrt()
        layer = (1 - self.rho) * (layer_variance + self.epsilon).rsqrt()
        return instance + layer, -(instance * mean + layer * layer_mean)


def instance_norm(channels: int, *, own: bool = False) -> LayerInstanceNorm:
    """IN."""
    return LayerInstanceNorm(channels, rho=1.0, learnt=False, own=own)


def layer_norm(channels: int) -> LayerInstanceNorm:
    """LN over channels and places."""
    return LayerInstanceNorm(channels, rho=0.0, learnt=False, own=True)


def lin(channels: int) -> LayerInstanceNorm:
    """LIN, as in the second half of U-GAT-IT's generator."""
    return LayerInstanceNorm(channels, rho=0.0, learnt=True, own=True, unbiased=True)


def ada_lin(channels: int, rho: float = 0.9) -> LayerInstanceNorm:
    """AdaLIN, whose gain and shift come with the features."""
    return LayerInstanceNorm(channels, rho=rho, learnt=True, own=False, unbiased=True)


def clamp_rho(networks: Mapping[str, nn.Module]) -> None:
    """Every learnt share into 0..1, as after each step of a generator: unbounded it drifts to 4 in late layers."""
    for network in networks.values():
        for module in network.modules():
            if isinstance(module, LayerInstanceNorm) and isinstance(module.rho, nn.Parameter):
                module.rho.data.clamp_(0, 1)
