"""DCGAN: faces out of nothing by convolutions alone (Radford et al. 2016; Goodfellow et al. 2014).

Paper: bedrooms and faces at 64 pixels, batch 128; no figure of their quality. Here 32 pixels, with networks of 1.07 and
0.66 million parameters. Data: a pack of aligned faces.

    likeness train dcgan --data runs/faces.pack
    likeness export runs/dcgan --to models/faces/2

Each step:

    discriminator:  softplus(-D(x)) + softplus(D(G(z)))      real and made pictures in batches of their own
    generator:      softplus(-D(G(z)))                       of the same z
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from export.contract import Contract, Control
from training.data.pack import Pack
from training.data.streams import Shuffled
from training.data.views import Views
from training.engine import recipe as engine
from training.engine.phase import Batch, Networks, Phase, Step, adam
from training.engine.randomness import Random
from training.engine.recipe import Measured, Plan, Positive, Sheet, Side, Stream
from training.losses.adversarial import NON_SATURATING, SPREAD, SYMPTOMS, note_signs, spread
from training.metrics.monitor import Sample, distances_in_loop
from training.networks.pixels import picture, pixels

ROWS, COLUMNS = 4, 8  # of a sheet


@dataclass(frozen=True, kw_only=True)
class Config(Plan):
    """The paper's rates, at half of its size."""

    images: int = 1_000_000
    batch: int = 32
    half_life: int = 2_000
    size: Side = 32
    width: Positive = 64
    """Channels at half of the size, doubled with every halving."""
    z: Positive = 100
    rate: float = 2e-4


class Generator(nn.Module):
    """z [B, Z] -> pictures [B, 3, S, S] in -1..1."""

    def __init__(self, size: int, width: int, z: int) -> None:
        super().__init__()
        channels = [z, *_widths(size, width)[::-1]]
        layers: list[nn.Module] = []
        for number, (before, after) in enumerate(pairwise(channels)):
            stride, edge = (2, 1) if number else (1, 0)  # the first makes 4 x 4 of one place
            layers += [nn.ConvTranspose2d(before, after, 4, stride, edge, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh())
        self.apply(_begun)

    def forward(self, z: Tensor) -> Tensor:
        made: Tensor = self.layers(z[:, :, None, None])
        return made


class Discriminator(nn.Module):
    """Pictures [B, 3, S, S] -> logits [B]."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        channels = _widths(size, width)
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for before, after in pairwise(channels):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, 4, bias=False))
        self.apply(_begun)

    def forward(self, pictures: Tensor) -> Tensor:
        logits: Tensor = self.layers(pictures)[:, 0, 0, 0]
        return logits


class Faces(nn.Module):
    """The exported generator: z [B, Z] -> uint8 [B, S, S, 3]."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, z: Tensor) -> Tensor:
        return pixels(self.generator(z))


class Recipe(engine.Recipe):
    """A generator and a discriminator."""

    Config = Config
    averaged = ("generator",)
    symptoms = SYMPTOMS
    config: Config

    def networks(self) -> dict[str, nn.Module]:
        knobs = self.config
        return {
            "generator": Generator(knobs.size, knobs.width, knobs.z),
            "discriminator": Discriminator(knobs.size, knobs.width),
        }

    def phases(self) -> Sequence[Phase]:
        learn = adam(self.config.rate, (0.5, 0.999))
        return (
            Phase(name="discriminator", trains=("discriminator",), loss=self.discriminator_loss, optimiser=learn),
            Phase(name="generator", trains=("generator",), loss=self.generator_loss, optimiser=learn),
        )

    def discriminator_loss(self, step: Step) -> Mapping[str, Tensor]:
        """Real from made; in one batch their statistics would tell them apart."""
        with torch.no_grad():
            fakes = step.networks["generator"](self._z(step))
        judge = step.networks["discriminator"]
        pictures = picture(step.batch["image"])
        real, made = judge(pictures), judge(fakes)
        note_signs(step, real, made)
        step.note(SPREAD, spread(fakes, pictures))
        return {"adversarial": NON_SATURATING.discriminator(real, made)}

    def generator_loss(self, step: Step) -> Mapping[str, Tensor]:
        """Its pictures shall be taken for real ones."""
        fakes = step.networks["generator"](self._z(step))
        return {"adversarial": NON_SATURATING.deceive(step.networks["discriminator"](fakes))}

    def _z(self, step: Step) -> Tensor:
        return step.once("z", lambda: step.random.normal(self.config.z))

    def stream(self, data: Path) -> Stream:
        return Shuffled(Views(Pack(data), self.config.size, margin=0), self.config.seed)

    def sheet(self, networks: Networks, examples: Batch, random: Random) -> Sheet:
        made = torch.cat(list(self._faces(networks, ROWS * COLUMNS)))
        return made.reshape(ROWS, COLUMNS, *made.shape[1:]).cpu().numpy()

    def measure(self, networks: Networks, data: Path) -> Measured:
        """How far faces are from the data's."""
        count = self.config.measured
        return distances_in_loop(Sample(data, self.config.size, count), self._faces(networks, count))

    def _faces(self, networks: Networks, count: int) -> Iterator[Tensor]:
        """uint8 [B, S, S, 3] in batches, of the same z at every look."""
        z = torch.randn(count, self.config.z, generator=torch.Generator().manual_seed(self.config.seed))
        device = next(networks["generator"].parameters()).device
        return (pixels(networks["generator"](some.to(device))) for some in z.split(self.config.batch))

    def exported(self, networks: Networks) -> nn.Module:
        return Faces(networks["generator"])

    def contract(self, provenance: Mapping[str, str]) -> Contract:
        knobs = self.config
        return Contract(
            role="generator",
            template=None,
            controls=(Control("z", (knobs.z,), None, None, (0.0,) * knobs.z, "Who, each N(0, 1)"),),
            styles={},
            output="image",
            output_shape=(knobs.size, knobs.size, 3),
            description="Faces of nobody, of random numbers (DCGAN)",
            provenance=dict(provenance),
        )


def _widths(size: int, width: int) -> list[int]:
    """Channels from half of the size down to 4 pixels."""
    return [width << number for number in range((size // 4).bit_length() - 1)]


def _begun(module: nn.Module) -> None:
    """First weights: N(0, 0.02) of convolutions, N(1, 0.02) of normalisations."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
