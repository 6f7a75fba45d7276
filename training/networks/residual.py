"""Residual blocks (He et al. 2016), as translators from CycleGAN on have them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from training.networks.convolution import Edges, convolution
from training.networks.normalisation import instance_norm


class ResidualBlock(nn.Module):
    """x + norm(conv(ReLU(norm(conv(x))))), x [B, C, H, W].

    `norm` makes a normalisation of a number of channels. What it is given beside features, such as gain and shift,
    comes with x and goes to both.
    """

    def __init__(
        self,
        channels: int,
        norm: Callable[[int], nn.Module] = instance_norm,
        *,
        bias: bool = False,
        edges: Edges = "reflect",
    ) -> None:
        super().__init__()
        self.first, self.second = (convolution(channels, channels, 3, bias=bias, edges=edges) for _ in range(2))
        self.norm_first, self.norm_second = norm(channels), norm(channels)

    def forward(self, x: Tensor, *given: Tensor) -> Tensor:
        y = functional.relu(self.norm_first(self.first(x), *given))
        return x + self.norm_second(self.second(y), *given)
