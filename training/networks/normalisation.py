"""One normalisation with two mixtures: of statistics (instance, layer, or between), and of whose gain and shift.

| name        | share of the instance's statistics | gain and shift                               |
|-------------|------------------------------------|----------------------------------------------|
| IN          | 1                                  | none or own                                  |
| LN          | 0                                  | own                                          |
| MUNIT's LN  | 0                                  | own, gains begin between 0 and 1             |
| LIN         | learnt, from 0                     | own                                          |
| AdaIN       | 1                                  | of a code, by `Affine`                       |
| AdaLIN      | learnt, from 0.9                   | given                                        |
| Soft-AdaLIN | learnt, from 0.9                   | of the content and a style, by `SoftAffine`  |
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

_TINY = 1e-12
"""The gradient of a root at zero is infinite."""


class LayerInstanceNorm(nn.Module):
    """x [B, C, H, W] -> gain * (rho * instance-normalised + (1 - rho) * layer-normalised) + shift.

    Kim et al. 2020 ("U-GAT-IT", eq. 1). Written as one product and one sum for each value of x: the statistics of the
    layer follow from those of its channels. They are computed in float32.
    """

    rho: Tensor

    def __init__(
        self,
        channels: int,
        *,
        rho: float,
        learnt: bool,
        own: bool,
        unbiased: bool = False,
        epsilon: float = 1e-5,
        in_root: bool = True,
    ) -> None:
        """`rho` is the share of the instance's statistics, its first value where it is `learnt`, a channel each.

        `own`: gain and shift are parameters; otherwise they may be given. `unbiased`: variances are divided by one less
        than their number of values, as U-GAT-IT's PyTorch version has it. `in_root`: `epsilon` is added to the
        variance, otherwise to the deviation.
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
        self.in_root = in_root

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
        instance = self.rho * self._inverse(variance)
        layer = (1 - self.rho) * self._inverse(layer_variance)
        return instance + layer, -(instance * mean + layer * layer_mean)

    def _inverse(self, variance: Tensor) -> Tensor:
        """1 / deviation."""
        if self.in_root:
            return (variance + self.epsilon).rsqrt()
        return 1 / (variance.clamp(min=_TINY).sqrt() + self.epsilon)


def instance_norm(channels: int, *, own: bool = False) -> LayerInstanceNorm:
    """IN."""
    return LayerInstanceNorm(channels, rho=1.0, learnt=False, own=own)


def layer_norm(channels: int) -> LayerInstanceNorm:
    """LN over channels and places."""
    return LayerInstanceNorm(channels, rho=0.0, learnt=False, own=True)


def munit_layer_norm(channels: int) -> LayerInstanceNorm:
    """LN as MUNIT writes it: by the unbiased deviation, with epsilon beside it, and gains that begin in 0..1."""
    norm = LayerInstanceNorm(channels, rho=0.0, learnt=False, own=True, unbiased=True, in_root=False)
    if norm.gain is not None:
        nn.init.uniform_(norm.gain)
    return norm


def lin(channels: int) -> LayerInstanceNorm:
    """LIN, as in the second half of U-GAT-IT's generator."""
    return LayerInstanceNorm(channels, rho=0.0, learnt=True, own=True, unbiased=True)


def ada_lin(channels: int, rho: float = 0.9) -> LayerInstanceNorm:
    """AdaLIN, whose gain and shift come with the features."""
    return LayerInstanceNorm(channels, rho=rho, learnt=True, own=False, unbiased=True)


class Affine(nn.Module):
    """A code [B, D] -> gain and shift [B, C], by a linear layer each."""

    def __init__(self, code: int, channels: int) -> None:
        super().__init__()
        self.gain, self.shift = nn.Linear(code, channels), nn.Linear(code, channels)

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor]:
        return self.gain(code), self.shift(code)


class SoftAffine(nn.Module):
    """Codes of the content and of the style [B, C] -> gain and shift [B, C]: the style's at first, then more of both.

    Photo2Cartoon: what the photo's features have of colour and texture comes through. Each channel learns its shares.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.style = Affine(channels, channels)
        self.content_gain, self.content_shift = (
            nn.Sequential(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, channels)) for _ in range(2)
        )
        self.gain_share, self.shift_share = (nn.Parameter(torch.zeros(channels)) for _ in range(2))

    def forward(self, content: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        gain, shift = self.style(style)
        gain = gain + self.gain_share * (self.content_gain(content) - gain)
        return gain, shift + self.shift_share * (self.content_shift(content) - shift)


class Adaptive(nn.Module):
    """A normalisation of x [B, C, H, W] with what makes gain and shift of the codes that are given with x."""

    def __init__(self, norm: LayerInstanceNorm, affine: Affine | SoftAffine) -> None:
        super().__init__()
        self.norm, self.affine = norm, affine

    def forward(self, x: Tensor, *codes: Tensor) -> Tensor:
        normalised: Tensor = self.norm(x, *self.affine(*codes))
        return normalised


def ada_in(channels: int, code: int) -> Adaptive:
    """AdaIN (Huang & Belongie 2017) by a code [B, `code`]."""
    return Adaptive(instance_norm(channels), Affine(code, channels))


def soft_ada_lin(channels: int) -> Adaptive:
    """Soft-AdaLIN by a code of the content and one of the style, both [B, `channels`]."""
    return Adaptive(ada_lin(channels), SoftAffine(channels))


def clamp_shares(networks: Mapping[str, nn.Module]) -> None:
    """Every learnt share into 0..1, as after each step of a generator: unbounded it drifts to 4 in late layers."""
    for network in networks.values():
        for module in network.modules():
            shares: tuple[Tensor, ...] = ()
            if isinstance(module, LayerInstanceNorm) and isinstance(module.rho, nn.Parameter):
                shares = (module.rho,)
            elif isinstance(module, SoftAffine):
                shares = (module.gain_share, module.shift_share)
            for share in shares:
                share.data.clamp_(0, 1)
