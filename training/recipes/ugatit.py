"""U-GAT-IT: unpaired translation where shapes change, by attention and AdaLIN (Kim et al. 2020, ICLR).

Paper: 3,400 + 3,400 pictures of 256 pixels, a million steps of one picture, KID x 100 of 11.61 on selfie2anime. Here
the `light` generator, whose style is of pooled features, so that any size goes. Data: a pack whose pictures have the
domains photo and drawing (`likeness data pack`).

    likeness train ugatit --data runs/cartoons.pack --set size=128
    likeness export runs/ugatit --to models/ugatit/1

Each step, for both directions (a photo, b drawing):

    discriminators: local and global, least squares on patches and on class activation
    generators:     the same, + 10 |a - b2a(a2b(a))| + 10 |b - a2b(b)| + 1000 (bce(cam(a), 1) + bce(cam(b), 0))
                    then every rho into 0..1
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from export.alignment import SQUARE_256
from export.contract import Contract
from training.data.crops import part
from training.data.pack import Pack
from training.data.sources import DRAWING, PHOTO
from training.data.streams import Unpaired
from training.data.views import Views
from training.engine import recipe as engine
from training.engine.clock import linear_decay
from training.engine.phase import Batch, Networks, Phase, Step, adam
from training.engine.randomness import Random
from training.engine.recipe import Measured, Plan, Positive, Sheet, Stream
from training.losses.adversarial import (
    SPREAD,
    Wandering,
    collapse,
    least_squares,
    note_signs,
    of_domain,
)
from training.metrics.monitor import Sample, distances_in_loop
from training.networks.normalisation import clamp_shares
from training.networks.pixels import PixelTranslator, picture, pixels
from training.networks.ugatit import Generator, discriminator

DOMAINS = (PHOTO, DRAWING)
GENERATORS = ("photo_to_drawing", "drawing_to_photo")
DISCRIMINATORS = tuple(f"{domain}_discriminator" for domain in DOMAINS)
LEAST = 96
"""Pixels of a side: of fewer the global discriminator has no patch."""
OBJECTIVE = least_squares()
MIDDLE = 0.5
"""Between what it wants of made and of real pictures."""


@dataclass(frozen=True, kw_only=True)
class Config(Plan):
    """The paper's, but for the number of images."""

    images: int = 1_000_000
    batch: int = 1
    half_life: int = 5_000
    size: Annotated[int, Field(ge=LEAST, multiple_of=4)] = 256
    width: Positive = 64
    discriminator_width: Positive = 64
    blocks: Annotated[int, Field(ge=0)] = 4
    rate: float = 1e-4
    decay: float = 1e-4
    adversarial: float = 1.0
    cycle: float = 10.0
    identity: float = 10.0
    attention: float = 1000.0


class Recipe(engine.Recipe):
    """Two generators, and two discriminators of two views each."""

    Config = Config
    averaged = ("photo_to_drawing",)
    symptoms = tuple(
        symptom
        for source, target in (DOMAINS, DOMAINS[::-1])
        for symptom in (
            *of_domain(target),
            collapse(f"{SPREAD}_{target}", f"the {source}s"),
        )
    )
    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._wandering = {domain: Wandering() for domain in DOMAINS}

    def networks(self) -> dict[str, nn.Module]:
        knobs = self.config
        generators = {name: Generator(knobs.width, knobs.blocks) for name in GENERATORS}
        return {**generators, **{name: discriminator(knobs.discriminator_width) for name in DISCRIMINATORS}}

    def phases(self) -> Sequence[Phase]:
        knobs = self.config
        learn = adam(knobs.rate, (0.5, 0.999), decay=knobs.decay)
        fade = linear_decay(knobs.images // 2, knobs.images)
        return (
            Phase(
                name="discriminator",
                trains=DISCRIMINATORS,
                loss=self.discriminator_loss,
                optimiser=learn,
                schedule=fade,
            ),
            Phase(
                name="generator",
                trains=GENERATORS,
                loss=self.generator_loss,
                optimiser=learn,
                schedule=fade,
                after=clamp_shares,
            ),
        )

    def discriminator_loss(self, step: Step) -> Mapping[str, Tensor]:
        """Real drawings are drawings, translated photos are not; and the other way round."""
        terms = {}
        for source, target in (DOMAINS, DOMAINS[::-1]):
            with torch.no_grad():
                made, _ = step.networks[f"{source}_to_{target}"](_pictures(step, source))
            judge = step.networks[f"{target}_discriminator"]
            real, fake = judge(_pictures(step, target)), judge(made)
            for name, logits in real.items():
                # The paper's squares are not halved.
                loss = 2 * OBJECTIVE.discriminator(logits, fake[name])
                terms[f"{name}_{target}"] = self.config.adversarial * loss
            note_signs(step, real["global_patch"] - MIDDLE, fake["global_patch"] - MIDDLE, f"_{target}")
            step.note(f"{SPREAD}_{target}", self._wandering[target].spread(made, _pictures(step, target)))
        return terms

    def generator_loss(self, step: Step) -> Mapping[str, Tensor]:
        """Deceive, come back, leave alone what is right already, and know one domain from the other."""
        knobs, terms = self.config, dict[str, Tensor]()
        for source, target in (DOMAINS, DOMAINS[::-1]):
            there, back = (step.networks[f"{x}_to_{y}"] for x, y in ((source, target), (target, source)))
            original, other = _pictures(step, source), _pictures(step, target)
            made, logits = there(original)
            same, other_logits = there(other)
            judged = step.networks[f"{target}_discriminator"](made)
            deceived = sum(2 * OBJECTIVE.deceive(logits) for logits in judged.values())
            terms[f"adversarial_{target}"] = knobs.adversarial * deceived
            terms[f"cycle_{source}"] = knobs.cycle * (back(made)[0] - original).abs().mean()
            terms[f"identity_{target}"] = knobs.identity * (same - other).abs().mean()
            terms[f"attention_{source}"] = knobs.attention * (_is(logits, 1.0) + _is(other_logits, 0.0))
        return terms

    def stream(self, data: Path) -> Stream:
        pack = Pack(data)
        views = {domain: Views(pack.where("domain", domain), self.config.size) for domain in (PHOTO, DRAWING)}
        return Unpaired(**views)

    def sources(self, data: Path) -> Sequence[str]:
        return Pack(data).where("domain", *DOMAINS).present("source")

    def sheet(self, networks: Networks, examples: Batch, random: Random) -> Sheet:
        photos = examples["photo_image"]
        drawn = pixels(networks["photo_to_drawing"](picture(photos))[0])
        return np.stack([photos.cpu().numpy(), drawn.cpu().numpy()])

    def measure(self, networks: Networks, data: Path) -> Measured:
        """How far drawings of the data's photos are from its drawings."""
        photos, drawings = (
            Sample(data, self.config.size, self.config.measured, domain, self.contract({}).template)
            for domain in (PHOTO, DRAWING)
        )
        draw = self.exported(networks)
        return distances_in_loop(drawings, map(draw, photos.batches(next(draw.parameters()).device)))

    def exported(self, networks: Networks) -> nn.Module:
        return PixelTranslator(networks["photo_to_drawing"])

    def contract(self, provenance: Mapping[str, str]) -> Contract:
        side = self.config.size
        return Contract(
            role="translator",
            template=part(SQUARE_256, side, side),
            controls=(),
            styles={},
            output="image",
            output_shape=(side, side, 3),
            description="Photo to drawing, unpaired (U-GAT-IT, light)",
            provenance=dict(provenance),
        )


def _pictures(step: Step, domain: str) -> Tensor:
    return step.once(domain, lambda: picture(step.batch[f"{domain}_image"]))


def _is(logits: Tensor, domain: float) -> Tensor:
    """Cross-entropy of class activation, as if every picture was of that domain."""
    return functional.binary_cross_entropy_with_logits(logits.float(), torch.full_like(logits.float(), domain))
