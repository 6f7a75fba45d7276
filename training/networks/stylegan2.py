"""StyleGAN2's networks (Karras et al. 2020), written so that they export.

The paper scales each image's weights; here the style scales what goes into a convolution whose weights are constant,
and one product what comes out, which is the same and knows nothing of batches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks.pixels import pixels

SLOPE, GAIN = 0.2, math.sqrt(2)
EPSILON = 1e-8
MOST = 512
MEMORY = 0.995
"""Of the mean of w, a step."""
_FIR = (1.0, 3.0, 3.0, 1.0)


def width(resolution: int, base: int, most: int = MOST) -> int:
    """Channels at a resolution; `base` is 16384 times the paper's channel multiplier (2 in its configuration F)."""
    return min(base // resolution, most)


def activated(x: Tensor, bias: Tensor) -> Tensor:
    """Leaky ReLU of x [B, C, ...] plus a bias [C], its variance kept."""
    return GAIN * functional.leaky_relu(x + bias.view(1, -1, *[1] * (x.ndim - 2)), SLOPE)


class EqualLinear(nn.Module):
    """A linear layer whose weights are of variance 1 and scaled at run time, so that all learn at one rate."""

    def __init__(self, before: int, after: int, *, bias: float = 0.0, rate: float = 1.0, active: bool = False) -> None:
        """`rate` multiplies the learning rate."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before) / rate)
        self.bias = nn.Parameter(torch.full((after,), bias / rate))
        self.scale, self.rate, self.active = rate / math.sqrt(before), rate, active

    def forward(self, x: Tensor) -> Tensor:
        y, bias = functional.linear(x, self.weight * self.scale), self.bias * self.rate
        return activated(y, bias) if self.active else y + bias


class Mapping(nn.Module):
    """z [B, D] -> w [B, D], whose running mean it keeps: the average face."""

    mean: Tensor

    def __init__(self, size: int = MOST, layers: int = 8, rate: float = 0.01) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(EqualLinear(size, size, rate=rate, active=True) for _ in range(layers)))
        self.register_buffer("mean", torch.zeros(size))

    def forward(self, z: Tensor) -> Tensor:
        w: Tensor = self.layers(z * (z.square().mean(1, keepdim=True) + EPSILON).rsqrt())
        if self.training:
            self.mean.lerp_(w.detach().float().mean(0), 1 - MEMORY)
        return w


class Fir(nn.Module):
    """The filter [1, 3, 3, 1] in both directions; `edges` is how many zeros go before and after, `gain` a factor."""

    taps: Tensor

    def __init__(self, edges: tuple[int, int], gain: float = 1.0) -> None:
        super().__init__()
        taps = torch.tensor(_FIR)
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


class ModulatedConv(nn.Module):
    """x [B, C, H, W] and w [B, D] -> [B, C', H, W], or twice as large with `up`."""

    def __init__(self, before: int, after: int, size: int, style: int, *, demodulate: bool = True, up: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before, size, size))
        self.style = EqualLinear(style, before, bias=1.0)
        self.scale = 1 / math.sqrt(before * size * size)
        self.demodulate, self.size = demodulate, size
        self.blur = Fir((1, 1), gain=4.0) if up else None

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style, weight = self.style(w), self.weight * self.scale
        x = x * style[:, :, None, None].to(x.dtype)
        if self.blur is None:
            y = functional.conv2d(x, weight, padding=self.size // 2)
        else:
            y = self.blur(functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2))
        if not self.demodulate:
            return y
        norm = style.float().square() @ weight.float().square().sum((2, 3)).T
        return y * (norm + EPSILON).rsqrt()[:, :, None, None].to(y.dtype)


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
