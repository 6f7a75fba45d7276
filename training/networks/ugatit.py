"""U-GAT-IT's networks: attention by class activation maps, and AdaLIN (Kim et al. 2020, ICLR).

Layers are those of the authors' PyTorch version, whose `light` generator has its style from pooled features. That of
the full one has 1,048,576 inputs, and so is tied to one size of picture.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from training.networks.normalisation import ada_lin, instance_norm, lin


class ClassActivation(nn.Module):
    """Which channels tell two domains apart: features [B, C, H, W] -> the same weighted by that, and logits [B, 2].

    Zhou et al. 2016. One classifier looks at the mean of each channel, one at its maximum; both are shown in what
    goes on, mixed down to C channels again.
    """

    def __init__(self, channels: int, *, spectral: bool = False) -> None:
        super().__init__()
        normalised = spectral_norm if spectral else nn.Identity()
        self.mean = normalised(nn.Linear(channels, 1, bias=False))
        self.maximum = normalised(nn.Linear(channels, 1, bias=False))
        self.mix = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, maximum = self.mean.weight, self.maximum.weight
        logits = torch.cat([x.mean((2, 3)) @ mean.T, x.amax((2, 3)) @ maximum.T], 1)
        both = torch.cat([x * mean[0, :, None, None], x * maximum[0, :, None, None]], 1)
        return self.mix(both), logits


class ResidualBlock(nn.Module):
    """x + conv(ReLU(conv(x))), each convolution normalised; gain and shift are given to AdaLIN."""

    def __init__(self, channels: int, *, adaptive: bool) -> None:
        super().__init__()
        norm = ada_lin if adaptive else instance_norm
        self.first, self.second = (_conv(channels, channels, 3) for _ in range(2))
        self.norm_first, self.norm_second = norm(channels), norm(channels)

    def forward(self, x: Tensor, gain: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        y = functional.relu(self.norm_first(self.first(x), gain, shift))
        return x + self.norm_second(self.second(y), gain, shift)


class Generator(nn.Module):
    """Pictures [B, 3, S, S] in -1..1 of one domain -> those of the other, and logits [B, 2] of the first domain.

    S is a multiple of 4. `width` is that of the first convolution, `blocks` the number of residual ones on each side.
    """

    def __init__(self, width: int = 64, blocks: int = 4) -> None:
        super().__init__()
        deep = 4 * width
        self.stem = nn.Sequential(_conv(3, width, 7), instance_norm(width), nn.ReLU())
        self.down = nn.Sequential(
            *(_conv(width, 2 * width, 3, stride=2), instance_norm(2 * width), nn.ReLU()),
            *(_conv(2 * width, deep, 3, stride=2), instance_norm(deep), nn.ReLU()),
        )
        self.encode = nn.Sequential(*(ResidualBlock(deep, adaptive=False) for _ in range(blocks)))
        self.attention = ClassActivation(deep)
        self.style = nn.Sequential(
            *(nn.Linear(deep, deep, bias=False), nn.ReLU()), *(nn.Linear(deep, deep, bias=False), nn.ReLU())
        )
        self.gain, self.shift = nn.Linear(deep, deep, bias=False), nn.Linear(deep, deep, bias=False)
        self.decode = nn.ModuleList(ResidualBlock(deep, adaptive=True) for _ in range(blocks))
        self.up = nn.Sequential(
            *(nn.Upsample(scale_factor=2), _conv(deep, 2 * width, 3), lin(2 * width), nn.ReLU()),
            *(nn.Upsample(scale_factor=2), _conv(2 * width, width, 3), lin(width), nn.ReLU()),
        )
        self.head = _conv(width, 3, 7)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        x, logits = self.attention(self.encode(self.down(self.stem(pictures))))
        x = functional.relu(x)
        style = self.style(x.mean((2, 3)))
        gain, shift = self.gain(style), self.shift(style)
        for block in self.decode:
            x = block(x, gain, shift)
        return torch.tanh(self.head(self.up(x))), logits


class Discriminator(nn.Module):
    """Pictures [B, 3, S, S] -> logits of patches [B, 1, h, w] and of the whole by class activation [B, 2].

    `layers` is 5 for the local one, which sees patches of 70 pixels, and 7 for the global one, which sees 286.
    """

    def __init__(self, layers: int, width: int = 64) -> None:
        super().__init__()
        channels = [3, *(width << number for number in range(layers - 1))]
        strides = [2] * (layers - 2) + [1]
        self.trunk = nn.Sequential(
            *(
                layer
                for before, after, stride in zip(channels[:-1], channels[1:], strides, strict=True)
                for layer in (spectral_norm(_conv(before, after, 4, stride=stride, bias=True)), nn.LeakyReLU(0.2))
            )
        )
        self.attention = ClassActivation(channels[-1], spectral=True)
        self.head = spectral_norm(_conv(channels[-1], 1, 4))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        x, logits = self.attention(self.trunk(pictures))
        return self.head(functional.leaky_relu(x, 0.2)), logits


def _conv(before: int, after: int, size: int, *, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    """A convolution behind reflected edges: half of what an odd kernel reaches over, 1 for one of 4."""
    edge = 1 if size == 4 else size // 2
    return nn.Conv2d(before, after, size, stride, padding=edge, padding_mode="reflect", bias=bias)
