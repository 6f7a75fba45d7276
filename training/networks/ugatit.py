"""U-GAT-IT's networks: attention by class activation maps, and AdaLIN (Kim et al. 2020, ICLR).

Layers are those of the authors' PyTorch version, whose `light` generator has its style from pooled features. That of
the full one has 1,048,576 inputs, and so is tied to one size of picture.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from training.networks.attention import ClassActivation
from training.networks.convolution import convolution
from training.networks.discriminators import Discriminator, Trunk, View
from training.networks.normalisation import ada_lin, instance_norm, lin
from training.networks.residual import ResidualBlock

STRIDES = {"local": (2, 2, 2, 1), "global": (2, 2, 2, 2, 2, 1)}
"""Of the views of a discriminator, whose patches are of 70 and of 286 pixels."""


class Generator(nn.Module):
    """Pictures [B, 3, S, S] in -1..1 of one domain -> those of the other, and logits [B, 2] of the first domain.

    S is a multiple of 4. `width` is that of the first convolution, `blocks` the number of residual ones on each side.
    """

    def __init__(self, width: int = 64, blocks: int = 4) -> None:
        super().__init__()
        deep = 4 * width
        self.stem = nn.Sequential(convolution(3, width, 7), instance_norm(width), nn.ReLU())
        self.down = nn.Sequential(
            *(convolution(width, 2 * width, 3, stride=2), instance_norm(2 * width), nn.ReLU()),
            *(convolution(2 * width, deep, 3, stride=2), instance_norm(deep), nn.ReLU()),
        )
        self.encode = nn.Sequential(*(ResidualBlock(deep) for _ in range(blocks)))
        self.attention = ClassActivation(deep)
        self.style = nn.Sequential(
            *(nn.Linear(deep, deep, bias=False), nn.ReLU()), *(nn.Linear(deep, deep, bias=False), nn.ReLU())
        )
        self.gain, self.shift = nn.Linear(deep, deep, bias=False), nn.Linear(deep, deep, bias=False)
        self.decode = nn.ModuleList(ResidualBlock(deep, ada_lin) for _ in range(blocks))
        self.up = nn.Sequential(
            *(nn.Upsample(scale_factor=2), convolution(deep, 2 * width, 3), lin(2 * width), nn.ReLU()),
            *(nn.Upsample(scale_factor=2), convolution(2 * width, width, 3), lin(width), nn.ReLU()),
        )
        self.head = convolution(width, 3, 7)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        x, logits = self.attention(self.encode(self.down(self.stem(pictures))))
        x = functional.relu(x)
        style = self.style(x.mean((2, 3)))
        gain, shift = self.gain(style), self.shift(style)
        for block in self.decode:
            x = block(x, gain, shift)
        return torch.tanh(self.head(self.up(x))), logits


def discriminator(width: int = 64) -> Discriminator:
    """Logits of patches [B, 1, h, w] and of the whole by class activation [B, 2], both `local` and `global`."""
    return Discriminator({name: _view(strides, width) for name, strides in STRIDES.items()})


def _view(strides: tuple[int, ...], width: int) -> View:
    trunk = Trunk(strides, width, spectral_from=0, edges="reflect")
    patch = spectral_norm(convolution(trunk.channels, 1, 4))
    return View(trunk, {"patch": patch}, attention=ClassActivation(trunk.channels, spectral=True))
