"""SATNet's networks, or MUNIT's (with neither attention nor spectral norm): content and style, joined by AdaIN.

Huang et al. 2018, "Multimodal Unsupervised Image-to-Image Translation", appendix B.2; what SATNet adds is attention of
each place to all others (Zhang et al. 2019) with one more residual block behind it, in both generators' encoders of
content and decoders, and attention and spectral normalisation (Miyato et al. 2018) in the discriminators. MUNIT's one
vector of all gains and shifts is here a linear layer for each, which are the rows of its last one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from training.networks.attention import SelfAttention
from training.networks.convolution import convolution
from training.networks.discriminators import Discriminator, Halved, Trunk, View
from training.networks.normalisation import ada_in, instance_norm, munit_layer_norm
from training.networks.pixels import picture, pixels
from training.networks.residual import ResidualBlock

STYLE_HALVINGS = 4
"""Of the style encoder; its channels double at the first two."""


class ContentEncoder(nn.Sequential):
    """Pictures [B, 3, H, W] in -1..1 -> content [B, C, h, w], each side halved `halvings` times and C doubled."""

    def __init__(self, width: int, halvings: int, blocks: int, *, attention: bool) -> None:
        """`width` is that of the first convolution."""
        layers: list[nn.Module] = [convolution(3, width, 7, bias=True), instance_norm(width), nn.ReLU()]
        for before, after in pairwise(_widths(width, halvings)):
            layers += [convolution(before, after, 4, stride=2, bias=True), instance_norm(after), nn.ReLU()]
        deep = width << halvings
        residual = [ResidualBlock(deep, bias=True) for _ in range(blocks)]
        attentive = [SelfAttention(deep), ResidualBlock(deep, bias=True)] if attention else []
        super().__init__(*layers, *residual, *attentive)


class StyleEncoder(nn.Sequential):
    """Pictures [B, 3, H, W] in -1..1 -> style [B, `style`]: no normalisation, which would take colour and contrast."""

    def __init__(self, width: int, style: int) -> None:
        widths = [*_widths(width, 2), *[4 * width] * (STYLE_HALVINGS - 2)]
        layers: list[nn.Module] = [convolution(3, width, 7, bias=True), nn.ReLU()]
        for before, after in pairwise(widths):
            layers += [convolution(before, after, 4, stride=2, bias=True), nn.ReLU()]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Conv2d(widths[-1], style, 1), nn.Flatten())


class Decoder(nn.Module):
    """Content [B, C, h, w] and style [B, `style`] -> pictures [B, 3, H, W] in -1..1."""

    def __init__(self, width: int, halvings: int, blocks: int, style: int, mapping: int, *, attention: bool) -> None:
        """`mapping` is the width of the two layers between the style and the AdaINs' gains and shifts."""
        super().__init__()
        block = partial(ResidualBlock, width << halvings, partial(ada_in, code=mapping), bias=True)
        self.mapping = nn.Sequential(nn.Linear(style, mapping), nn.ReLU(), nn.Linear(mapping, mapping), nn.ReLU())
        self.blocks = nn.ModuleList(block() for _ in range(blocks))
        self.attention = SelfAttention(width << halvings) if attention else None
        self.last = block() if attention else None
        layers: list[nn.Module] = []
        for before, after in pairwise(_widths(width, halvings)[::-1]):
            layers += [nn.Upsample(scale_factor=2), convolution(before, after, 5, bias=True)]
            layers += [munit_layer_norm(after), nn.ReLU()]
        self.up = nn.Sequential(*layers, convolution(width, 3, 7, bias=True), nn.Tanh())

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        x, code = content, self.mapping(style)
        for block in self.blocks:
            x = block(x, code)
        if self.attention is not None and self.last is not None:
            x = self.last(self.attention(x), code)
        made: Tensor = self.up(x)
        return made


class Generator(nn.Module):
    """One domain: what is on its pictures, how they are drawn, and both made a picture again."""

    def __init__(
        self,
        width: int = 64,
        halvings: int = 2,
        blocks: int = 4,
        style: int = 8,
        mapping: int = 256,
        *,
        attention: bool = True,
    ) -> None:
        super().__init__()
        self.content = ContentEncoder(width, halvings, blocks, attention=attention)
        self.style = StyleEncoder(width, style)
        self.decoder = Decoder(width, halvings, blocks, style, mapping, attention=attention)
        _begin(self, nn.init.kaiming_normal_)


def discriminator(
    width: int = 64, layers: int = 4, scales: int = 3, *, attention: bool = True, spectral: bool = True
) -> Discriminator:
    """Logits of patches [B, 1, h, w] of the picture at each of `scales` sizes: `halved_0_patch` and so on."""
    views = {f"halved_{times}": _view(width, layers, times, attention, spectral) for times in range(scales)}
    found = Discriminator(views)
    _begin(found, partial(nn.init.normal_, std=0.02))
    return found


def strengths(networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """How much every attention adds, by network and number; few of them grow, which is worth looking at."""
    return {
        f"strength_{name}_{number}": layer.strength
        for name, network in networks.items()
        for number, layer in enumerate(each for each in network.modules() if isinstance(each, SelfAttention))
    }


class Translator(nn.Module):
    """The exported network: `image` uint8 [B, H, W, 3] of one domain and a style [B, D] -> `image` of the other."""

    def __init__(self, content: ContentEncoder, decoder: Decoder) -> None:
        super().__init__()
        self.content, self.decoder = content, decoder

    def forward(self, image: Tensor, style: Tensor) -> Tensor:
        return pixels(self.decoder(self.content(picture(image)), style))


class StyleReader(nn.Module):
    """The exported style encoder: `image` uint8 [B, H, W, 3] -> `style` float32 [B, D]."""

    def __init__(self, encoder: StyleEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, image: Tensor) -> Tensor:
        style: Tensor = self.encoder(picture(image))
        return style


def _widths(width: int, halvings: int) -> list[int]:
    return [width << number for number in range(halvings + 1)]


def _view(width: int, layers: int, times: int, attention: bool, spectral: bool) -> View:
    trunk = Trunk((2,) * layers, width, spectral_from=1 if spectral else None, edges="reflect")
    looking = nn.Sequential(trunk, SelfAttention(trunk.channels)) if attention else trunk
    return View(looking, {"patch": nn.Conv2d(trunk.channels, 1, 1)}, seen=Halved(times))


@torch.no_grad()
def _begin(network: nn.Module, fill: Callable[[Tensor], Tensor]) -> None:
    """First weights of convolutions and linear layers, without biases; of normalised ones, what is normalised."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            parametrised = getattr(module, "parametrizations", None)
            fill(module.weight if parametrised is None else parametrised.weight.original)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
