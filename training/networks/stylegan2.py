"""StyleGAN2's networks (Karras et al. 2020), written so that they export."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.networks.equalised import GAIN, EqualConv, EqualLinear, activated
from training.networks.modulated import ModulatedConv
from training.networks.pixels import pixels
from training.networks.resampling import Upsample

EPSILON = 1e-8
MOST = 512
MEMORY = 0.995
"""Of the mean of w, a step."""


def width(resolution: int, base: int, most: int = MOST) -> int:
    """Channels at a resolution; `base` is 16384 times the paper's channel multiplier (2 in its configuration F)."""
    return min(base // resolution, most)


class Mapping(nn.Module):
    """z [B, D] -> w [B, D], with the running mean of w, which whoever trains it moves: the average face."""

    mean: Tensor

    def __init__(self, size: int = MOST, layers: int = 8, rate: float = 0.01) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(EqualLinear(size, size, rate=rate, active=True) for _ in range(layers)))
        self.register_buffer("mean", torch.zeros(size))

    def forward(self, z: Tensor) -> Tensor:
        w: Tensor = self.layers(z * (z.square().mean(1, keepdim=True) + EPSILON).rsqrt())
        return w


class StyledConv(nn.Module):
    """A modulated convolution, noise, bias and activation."""

    noise: Tensor

    def __init__(self, before: int, after: int, style: int, resolution: int, *, up: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(before, after, 3, style, up=up)
        self.strength = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(after))
        self.register_buffer("noise", torch.randn(1, 1, resolution, resolution))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        """Without `noise` [B, 1, H, W] the layer's own, which is always the same."""
        chosen = self.noise if noise is None else noise
        y = self.conv(x, w)
        return activated(y + self.strength.to(y.dtype) * chosen.to(y.dtype), self.bias.to(y.dtype))


class ToRgb(nn.Module):
    """Features to a picture, added to the one of half the size."""

    def __init__(self, before: int, style: int, *, first: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(before, 3, 1, style, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(3))
        self.up = None if first else Upsample()

    def forward(self, x: Tensor, w: Tensor, smaller: Tensor | None = None) -> Tensor:
        y = self.conv(x, w) + self.bias[:, None, None]
        return y if self.up is None or smaller is None else y + self.up(smaller)


class Synthesis(nn.Module):
    """w [B, layers, D] -> pictures [B, 3, S, S], about -1..1 and not clamped."""

    def __init__(self, size: int, base: int = 16384, style: int = MOST, most: int = MOST) -> None:
        super().__init__()
        resolutions = [2**power for power in range(2, int(math.log2(size)) + 1)]
        widths = [width(each, base, most) for each in resolutions]
        self.start = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        self.first = StyledConv(widths[0], widths[0], style, 4)
        self.first_rgb = ToRgb(widths[0], style, first=True)
        self.grow, self.convs, self.rgbs = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for resolution, before, after in zip(resolutions[1:], widths, widths[1:], strict=False):
            self.grow.append(StyledConv(before, after, style, resolution, up=True))
            self.convs.append(StyledConv(after, after, style, resolution))
            self.rgbs.append(ToRgb(after, style))
        self.layers = 2 * len(resolutions)
        """How many vectors it takes: two a resolution."""
        self.noise_sides = [4, *(side for side in resolutions[1:] for _ in range(2))]

    def forward(self, w: Tensor, noises: Sequence[Tensor | None] | None = None) -> Tensor:
        """`noises`, one [B, 1, H, W] for each of `noise_sides`; without them the layers' own."""
        noises = [None] * len(self.noise_sides) if noises is None else noises
        x = self.first(self.start.expand(w.shape[0], -1, -1, -1), w[:, 0], noises[0])
        picture = self.first_rgb(x, w[:, 1])
        for number, (grow, conv, rgb) in enumerate(zip(self.grow, self.convs, self.rgbs, strict=True)):
            place = 2 * number + 1
            x = grow(x, w[:, place], noises[place])
            x = conv(x, w[:, place + 1], noises[place + 1])
            picture = rgb(x, w[:, place + 2], picture)
        return picture


class DownBlock(nn.Module):
    """Half the size, with a shortcut; the sum keeps its variance."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = EqualConv(before, before, 3)
        self.second = EqualConv(before, after, 3, down=True)
        self.shortcut = EqualConv(before, after, 1, down=True, active=False)

    def forward(self, x: Tensor) -> Tensor:
        return (self.second(self.first(x)) + self.shortcut(x)) / GAIN


class Discriminator(nn.Module):
    """Pictures [B, 3, S, S] -> logits [B]."""

    def __init__(self, size: int, base: int = 16384, most: int = MOST, group: int = 4) -> None:
        super().__init__()
        sides = [2**power for power in range(int(math.log2(size)), 1, -1)]
        widths = [width(each, base, most) for each in sides]
        self.stem = EqualConv(3, widths[0], 1)
        self.blocks = nn.Sequential(*map(DownBlock, widths, widths[1:]))
        self.last = EqualConv(widths[-1] + 1, widths[-1], 3)
        self.hidden = EqualLinear(16 * widths[-1], widths[-1], active=True)
        self.head = EqualLinear(widths[-1], 1)
        self.group = group

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.blocks(self.stem(pictures))
        x = self.last(torch.cat([x, spread(x, self.group)], 1))
        return self.head(self.hidden(x.flatten(1)))[:, 0]


def spread(x: Tensor, group: int) -> Tensor:
    """How different the images of each group are, one plane [B, 1, H, W] (Karras et al. 2018, section 3).

    A group has `group` images, or the largest divisor of the batch below. The root never sees 0.
    """
    batch, _, height, length = x.shape
    size = next(each for each in range(min(group, batch), 0, -1) if batch % each == 0)
    groups = x.float().reshape(size, batch // size, *x.shape[1:])
    deviation = ((groups - groups.mean(0)).square().mean(0) + EPSILON).sqrt()
    plane = deviation.mean((1, 2, 3)).repeat(size)
    return plane[:, None, None, None].expand(batch, 1, height, length).to(x.dtype)


class Face(nn.Module):
    """The exported generator: who from z, hair and colours from z2, and how far both may be from the average face.

    z and z2 [B, D]; crossover [B], the first vector that is z2's, 0..layers; truncation [B], 1: as far as they are.
    """

    def __init__(self, mapping: Mapping, synthesis: Synthesis) -> None:
        super().__init__()
        self.mapping = mapping
        self.synthesis = synthesis

    def forward(self, z: Tensor, z2: Tensor, crossover: Tensor, truncation: Tensor) -> Tensor:
        first, second = (self.mapping(each)[:, None] for each in (z, z2))
        number = torch.arange(self.synthesis.layers, device=z.device)
        w = torch.where((number >= crossover[:, None])[:, :, None], second, first)
        mean = self.mapping.mean
        return pixels(self.synthesis(mean + truncation[:, None, None] * (w - mean)))
