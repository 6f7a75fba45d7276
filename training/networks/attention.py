"""Attention: of each place to all others, and to the channels that tell two domains apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm


class SelfAttention(nn.Module):
    """x [B, C, H, W] -> x + strength * what each place reads from all (Zhang et al. 2019, "SAGAN", section 3).

    Queries and keys have C / 8 channels, values C. The products are not scaled by their length. N = H * W places have
    N * N weights for each image, so that this belongs where pictures are small. `strength` is learnt, from 0.
    """

    def __init__(self, channels: int, *, spectral: bool = True) -> None:
        super().__init__()
        normalised = spectral_norm if spectral else nn.Identity()
        self.query, self.key = (normalised(nn.Conv2d(channels, channels // 8, 1)) for _ in range(2))
        self.value = normalised(nn.Conv2d(channels, channels, 1))
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (layer(x).flatten(2) for layer in (self.query, self.key, self.value))
        weights = (query.transpose(1, 2) @ key).softmax(2)
        read = value @ weights.transpose(1, 2).to(value.dtype)
        return x + self.strength * read.reshape(x.shape)


class ClassActivation(nn.Module):
    """Which channels tell two domains apart: features [B, C, H, W] -> the same weighted by that, and logits [B, 2].

    Zhou et al. 2016; Kim et al. 2020 ("U-GAT-IT", section 2.1). One classifier looks at the mean of each channel, one
    at its maximum. Features times the weights of both are mixed down to C channels again; as these weights are the same
    for all images, that is one convolution of 1 x 1.
    """

    def __init__(self, channels: int, *, spectral: bool = False, bias: bool = False) -> None:
        """`bias`: of the classifiers, which features are not multiplied by."""
        super().__init__()
        normalised = spectral_norm if spectral else nn.Identity()
        self.mean, self.maximum = (normalised(nn.Linear(channels, 1, bias=bias)) for _ in range(2))
        self.mix = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # Asked for once: spectral normalisation takes a step whenever it is asked.
        mean, maximum = self.mean.weight, self.maximum.weight
        logits = torch.cat(
            [
                functional.linear(x.mean((2, 3)), mean, self.mean.bias),
                functional.linear(x.amax((2, 3)), maximum, self.maximum.bias),
            ],
            1,
        )
        first, second = self.mix.weight.chunk(2, 1)
        weight = first * mean[:, :, None, None] + second * maximum[:, :, None, None]
        return functional.conv2d(x, weight, self.mix.bias), logits
