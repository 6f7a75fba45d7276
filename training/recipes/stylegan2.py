"""StyleGAN2: faces out of nothing (Karras et al. 2020, "Analyzing and improving the image quality of StyleGAN").

Paper: FFHQ at 1024 pixels, 25 million images, FID 2.84. Here 64 pixels and narrow, with differentiable augmentation
(Zhao et al. 2020), as for sets of some thousand pictures. Data: a pack of aligned faces.

    likeness train stylegan2 --data runs/faces.pack
    likeness export runs/stylegan2 --to models/faces/1

Each step:

    generator:           softplus(-D(G(z)))
    every 4th, path:     2 (|J^T y| - a)^2, a its running mean      (on every other row)
    discriminator:       softplus(-D(x)) + softplus(D(G(z)))
    every 16th, r1:      gamma / 2 |grad D(x)|^2
"""

from __future__ import annotations

from collections.abc import Mapping as Named
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from export.contract import Contract, Control
from training.data.pack import Pack
from training.data.streams import Shuffled
from training.data.views import Views
from training.engine import recipe as engine
from training.engine.errors import RecipeError
from training.engine.phase import Batch, Networks, Phase, Step
from training.engine.randomness import Random
from training.engine.recipe import Measured, Plan, Positive, Sheet, Side, Stream
from training.losses.adversarial import NON_SATURATING, SPREAD, SYMPTOMS, note_signs, spread
from training.losses.augmentation import augmented
from training.losses.penalties import PathLength, lazy, r1
from training.metrics.monitor import Sample, distances_in_loop
from training.networks.pixels import picture, pixels
from training.networks.stylegan2 import MEMORY, Discriminator, Face, Mapping, Synthesis

ROWS, COLUMNS = 4, 8  # of a sheet
SPARED = 2
"""The path penalty is of every so many-th row, which are the same rows in whatever parts a step is made."""


@dataclass(frozen=True, kw_only=True)
class Config(Plan):
    """For 64 pixels and a device of one."""

    images: int = 1_000_000
    batch: int = 64
    half_life: int = 10_000
    size: Side = 64
    base: Positive = 4096
    most: Positive = 256
    """Channels are base / resolution, and not more than these."""
    mapping: Positive = 2
    rate: float = 2.5e-3
    gamma: float = 0.013
    penalty_every: Positive = 16
    path: float = 2.0
    path_every: Positive = 4
    mixing: float = 0.9
    augmentation: float = 0.8
    truncation: float = 0.7

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.base < self.size:
            raise RecipeError(f"base: must be {self.size} or more, as `size` is, not {self.base}")


class Recipe(engine.Recipe):
    """Mapping, synthesis and discriminator."""

    Config = Config
    averaged = ("mapping", "synthesis")
    symptoms = SYMPTOMS
    config: Config

    def networks(self) -> dict[str, nn.Module]:
        knobs = self.config
        return {
            "mapping": Mapping(knobs.most, knobs.mapping),
            "synthesis": Synthesis(knobs.size, knobs.base, knobs.most, knobs.most),
            "discriminator": Discriminator(knobs.size, knobs.base, knobs.most),
            "path": PathLength(),
        }

    def phases(self) -> Sequence[Phase]:
        knobs, made = self.config, ("mapping", "synthesis")
        return (
            Phase(
                name="generator",
                trains=made,
                loss=self.generator_loss,
                optimiser=lazy(knobs.rate, (0.0, 0.99), knobs.path_every),
            ),
            Phase(name="path", trains=made, loss=self.path_penalty, shares="generator", every=knobs.path_every),
            Phase(
                name="discriminator",
                trains=("discriminator",),
                loss=self.discriminator_loss,
                optimiser=lazy(knobs.rate, (0.0, 0.99), knobs.penalty_every),
            ),
            Phase(
                name="r1",
                trains=("discriminator",),
                loss=self.gradient_penalty,
                shares="discriminator",
                every=knobs.penalty_every,
            ),
        )

    def generator_loss(self, step: Step) -> Named[str, Tensor]:
        """Its pictures shall be taken for real ones."""
        fakes = step.once("fakes", lambda: self._fakes(step))
        return {"adversarial": NON_SATURATING.deceive(self._judged(step, fakes))}

    def path_penalty(self, step: Step) -> Named[str, Tensor]:
        """A step in w shall move every picture equally far."""
        path, w = step.networks["path"], self._styles(step)[::SPARED]
        pictures = self._made(step, w, SPARED)
        noise = step.random.normal(*pictures.shape[1:])[::SPARED]
        penalty, length = path(pictures, w, noise)
        step.follow(path.mean, length, path.decay)
        step.note("path_length", length)
        return {"length": self.config.path * self.config.path_every * penalty}

    def discriminator_loss(self, step: Step) -> Named[str, Tensor]:
        """Real from made, both augmented."""
        fakes = step.once("fakes", lambda: self._fakes(step)).detach()
        pictures = picture(step.batch["image"])
        real, made = self._judged(step, pictures), self._judged(step, fakes)
        note_signs(step, real, made)
        step.note(SPREAD, spread(fakes, pictures))
        return {"adversarial": NON_SATURATING.discriminator(real, made)}

    def gradient_penalty(self, step: Step) -> Named[str, Tensor]:
        """Flat where real pictures are; the augmentation is between them and the network."""
        penalty = r1(lambda pictures: self._judged(step, pictures), picture(step.batch["image"]))
        return {"gradient": self.config.gamma * self.config.penalty_every * penalty}

    def _fakes(self, step: Step) -> Tensor:
        w = self._styles(step)
        step.follow(step.networks["mapping"].mean, w.mean((0, 1)), 1 - MEMORY)
        return self._made(step, w)

    def _styles(self, step: Step) -> Tensor:
        """w [B, layers, D], mostly of two z, the second one from a random layer on."""
        mapping, layers = step.networks["mapping"], step.networks["synthesis"].layers
        first, second = (mapping(step.random.normal(self.config.most))[:, None] for _ in range(2))
        crossover = torch.where(
            step.random.uniform() < self.config.mixing, step.random.whole(1, layers), torch.tensor(layers)
        )
        number = torch.arange(layers, device=first.device)
        return torch.where((number >= crossover[:, None])[:, :, None], second, first)

    def _made(self, step: Step, w: Tensor, spared: int = 1) -> Tensor:
        synthesis = step.networks["synthesis"]
        noises = [step.random.normal(1, side, side)[::spared] for side in synthesis.noise_sides]
        return synthesis(w, noises)

    def _judged(self, step: Step, pictures: Tensor) -> Tensor:
        return step.networks["discriminator"](augmented(pictures, step.random, self.config.augmentation))

    def stream(self, data: Path) -> Stream:
        return Shuffled(Views(Pack(data), self.config.size, margin=0), self.config.seed)

    def sheet(self, networks: Networks, examples: Batch, random: Random) -> Sheet:
        made = self._faces(networks, self._z(ROWS * COLUMNS).to(examples["image"].device), self.config.truncation)
        return made.reshape(ROWS, COLUMNS, *made.shape[1:]).cpu().numpy()

    def measure(self, networks: Networks, data: Path) -> Measured:
        """How far faces, not truncated, are from the data's."""
        z = self._z(self.config.measured).to(next(networks["mapping"].parameters()).device)
        made = (self._faces(networks, some) for some in z.split(self.config.batch))
        return distances_in_loop(Sample(data, self.config.size, self.config.measured), made)

    def _z(self, count: int) -> Tensor:
        """The same numbers at every look."""
        return torch.randn(count, self.config.most, generator=torch.Generator().manual_seed(self.config.seed))

    def _faces(self, networks: Networks, z: Tensor, truncation: float = 1.0) -> Tensor:
        """uint8 [B, S, S, 3]."""
        mapping, synthesis = networks["mapping"], networks["synthesis"]
        w = mapping.mean + truncation * (mapping(z) - mapping.mean)
        return pixels(synthesis(w[:, None].expand(-1, synthesis.layers, -1)))

    def exported(self, networks: Networks) -> nn.Module:
        return Face(networks["mapping"], networks["synthesis"])

    def contract(self, provenance: Named[str, str]) -> Contract:
        knobs = self.config
        layers = Synthesis(knobs.size, knobs.base, knobs.most, knobs.most).layers
        nowhere = (0.0,) * knobs.most
        return Contract(
            role="generator",
            template=None,
            controls=(
                Control("z", (knobs.most,), None, None, nowhere, "Who, each N(0, 1)"),
                Control("z2", (knobs.most,), None, None, nowhere, "Whose finer features from `crossover` on"),
                Control("crossover", (), 0.0, float(layers), float(layers), "The first layer that is of `z2`"),
                Control("truncation", (), 0.0, 1.0, knobs.truncation, "How far from the average face; 0 is that face"),
            ),
            styles={},
            output="image",
            output_shape=(knobs.size, knobs.size, 3),
            description="Faces of nobody, of random numbers (StyleGAN2)",
            provenance=dict(provenance),
        )
