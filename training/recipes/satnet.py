"""SATNet: photos to caricatures and back, in any number of styles (github.com/yujiachen-y; MUNIT, Huang et al. 2018).

MUNIT with self-attention, spectral normalisation, a hinge and two rates, and a frozen face encoder that looks whether
the person is left. The original: 450,000 steps of one pair at 224 x 192 pixels, 17.8 million parameters for each
domain, on WebCaricature; no figure of it can be compared (docs/satnet.md). Data: a pack whose pictures have the domains
photo and drawing, aligned with `--template satnet`; with `identity=0`, any two folders.

    likeness train satnet --data runs/caricatures.pack
    likeness train satnet --data runs/caricatures.pack --config sphereface.yaml        (the original's own)
    likeness export runs/satnet --to models/satnet/1

Each step, for both directions, s' being drawn from N(0, 1) anew for each phase; (c, s) = (content(x), style(x)):

    discriminators:  relu(1 - D(y)) + relu(1 + D(y')),  y' = G(c, s')                summed over three sizes
    generators:      - D(y') + 10 |G(c, s) - x| + |style(y') - s'| + |content(y') - c| + 10 |G(content(y'), s) - x|
                     + 10 relu(0.2875 - cos(F(y'), F(x)))                            F: the face encoder
                     + 0 |norm(V(y')) - norm(V(x))|^2                                V: relu5_3 of VGG-16
                     + 0 |G(c, style(y)) - y|  where x and y show one person

In the content's term c is held, as in NVIDIA's later version: the original could lower it by saying less in c.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from export.alignment import Template
from export.contract import STYLE, Contract, Control
from training.data.crops import TEMPLATES, part
from training.data.errors import DataError
from training.data.pack import Pack
from training.data.sources import DRAWING, PHOTO
from training.data.streams import Acquainted, Codes, Unpaired
from training.data.views import Views
from training.engine import recipe as engine
from training.engine.checkpoint import Tensors
from training.engine.clock import Schedule, constant, half_cosine, linear_decay, steps_down
from training.engine.errors import RecipeError
from training.engine.phase import Batch, Networks, Phase, Step, adam
from training.engine.randomness import Random
from training.engine.recipe import Measured, Plan, Sheet, Stream
from training.losses.adversarial import (
    HINGE,
    NON_SATURATING,
    Objective,
    least_squares,
    note_signs,
    of_domain,
)
from training.losses.frozen import Frozen, perceptual, recogniser
from training.losses.identity import identity_hinge, similarity
from training.losses.perceptual import domain_invariant
from training.metrics.monitor import Sample, distances_in_loop
from training.networks.pixels import picture
from training.networks.satnet import Generator, StyleReader, Translator, discriminator, strengths
from training.networks.sphereface import HEIGHT, WIDTH, SphereFace, pictures_to_faces
from training.networks.vgg import Vgg16
from training.originals import satnet as original

DIRECTIONS = ((PHOTO, DRAWING), (DRAWING, PHOTO))
GENERATORS = tuple(f"{domain}_generator" for domain in (PHOTO, DRAWING))
DISCRIMINATORS = tuple(f"{domain}_discriminator" for domain in (PHOTO, DRAWING))
OBJECTIVES = {"hinge": HINGE, "nsgan": NON_SATURATING, "lsgan": least_squares()}
MIDDLES = {"lsgan": 0.5}
"""The logit that says nothing, where it is not 0."""
DESCRIPTIONS = {
    "drawing": "Photo to drawing, in any style, unpaired (SATNet)",
    "photo": "Drawing to photo, in any style, unpaired (SATNet)",
    "drawing-style": "The style of a drawing, for the translator to drawings of the same run (SATNet)",
    "photo-style": "The style of a photo, for the translator to photos of the same run (SATNet)",
}
NOBODY = -1
"""The code of a face without a name."""

Share = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True, kw_only=True)
class Config(Plan):
    """The original's, with a moving average of weights beside it, which is the later versions' (0.9999 a step)."""

    images: int = 450_000
    batch: int = 1
    half_life: int = 7_000
    height: int = 224
    width: int = 192
    """Of pictures; multiples of two to the power of `halvings`."""
    margin: int = 8
    """Pixels by which pictures are larger both ways before a part is cut."""
    frame: Literal["satnet", "square-256", "sphereface"] = "satnet"
    """The template that the pictures were aligned to; of pictures that were not, whichever."""
    channels: int = 64
    halvings: int = 2
    blocks: int = 4
    attention: bool = True
    """In encoders of content, decoders and discriminators, with one more block behind it in the former two."""
    spectral: bool = True
    """Normalisation of the discriminators' trunks. With neither it nor attention the networks are MUNIT's."""
    style_size: int = 8
    mapping: int = 256
    discriminator_channels: int = 64
    layers: int = 4
    scales: int = 3
    objective: Literal["hinge", "nsgan", "lsgan"] = "hinge"
    generator_rate: float = 1e-4
    discriminator_rate: float = 4e-4
    beta1: float = 0.0
    beta2: float = 0.9
    decay: float = 1e-4
    schedule: Literal["constant", "linear", "step", "cosine"] = "linear"
    falls_after: Share = 400 / 450
    """Share of the images that a linear rate is whole for, and that it takes a stepped one to be halved."""
    adversarial: float = 1.0
    reconstruction: float = 10.0
    style: float = 1.0
    content: float = 1.0
    cycle: float = 10.0
    identity: float = 10.0
    threshold: float = 0.2875
    """The cosine from which a face is the person's."""
    recogniser: str = "models/sphereface/3"
    """The face encoder: models/NAME/VERSION, a run of the recipe `sphereface`, or a file of sphere20a."""
    perceptual: float = 0.0
    vgg: str = ""
    """VGG-16's weights, of torchvision's layout or Caffe's, as .pth or .safetensors."""
    same_identity: float = 0.0
    exports: Literal["drawing", "photo", "drawing-style", "photo-style"] = "drawing"
    """What a photo becomes, what a drawing becomes, or the encoder of a domain's style."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.perceptual and not self.vgg:
            raise RecipeError("perceptual: takes VGG-16's weights; --set vgg=FILE says where they are")
        if self.height % 2**self.halvings or self.width % 2**self.halvings:
            raise RecipeError(f"height and width: must be multiples of {2**self.halvings}")
        faces = [(HEIGHT * times, WIDTH * times) for times in (1, 2)]
        if self.identity and ((self.height, self.width) not in faces or self.frame != "satnet"):
            why = "the face encoder knows pictures of 224 x 192 or 112 x 96 of the frame satnet alone"
            raise RecipeError(f"identity: {why}; identity=0 trains without it")


class Recipe(engine.Recipe):
    """A generator and a discriminator for each domain."""

    Config = Config
    averaged = GENERATORS
    free = frozenset({"exports"})
    symptoms = (*of_domain(PHOTO), *of_domain(DRAWING))
    config: Config

    @classmethod
    def translated(cls, configuration: Mapping[str, Any], source: str) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The original's YAML."""
        return original.settings(configuration, source)

    @classmethod
    def imported(cls, state: Tensors, source: str) -> tuple[dict[str, Any], dict[str, Tensors]]:
        """gen_*.pt or dis_*.pt, the original's or MUNIT's."""
        return original.states(state, source)

    def fitted(self, data: Path, parent: Mapping[str, Any]) -> Self:
        """With what stands in its loss looked up: a file that is not there ends a run before it begins."""
        pack, knobs = Pack(data), self.config
        if knobs.same_identity and not any(pack.names.get("person", ())):
            raise DataError(f"{data}: same_identity takes pictures with `person`")
        return super().fitted(data, parent)

    def sources(self, data: Path) -> Sequence[str]:
        """Those of the face encoder too."""
        return [*super().sources(data), *(self._recogniser.sources if self.config.identity else ())]

    def teachers(self, data: Path) -> Sequence[str]:
        """The networks in the loss, with their digests."""
        names = [self._recogniser.name] if self.config.identity else []
        return [*names, self._perceptual[1]] if self.config.perceptual else names

    @cached_property
    def _recogniser(self) -> Frozen[SphereFace]:
        return recogniser(Path(self.config.recogniser))

    @cached_property
    def _perceptual(self) -> tuple[Vgg16, str]:
        return perceptual(Path(self.config.vgg))

    def networks(self) -> dict[str, nn.Module]:
        knobs = self.config
        form = (knobs.channels, knobs.halvings, knobs.blocks, knobs.style_size, knobs.mapping)
        judge = (knobs.discriminator_channels, knobs.layers, knobs.scales)
        return {
            **{name: Generator(*form, attention=knobs.attention) for name in GENERATORS},
            **{
                name: discriminator(*judge, attention=knobs.attention, spectral=knobs.spectral)
                for name in DISCRIMINATORS
            },
        }

    def phases(self) -> Sequence[Phase]:
        knobs = self.config
        judge, draw = (
            adam(rate, (knobs.beta1, knobs.beta2), decay=knobs.decay)
            for rate in (knobs.discriminator_rate, knobs.generator_rate)
        )
        fall = self._schedule()
        return (
            Phase(
                name="discriminator",
                trains=DISCRIMINATORS,
                loss=self.discriminator_loss,
                optimiser=judge,
                schedule=fall,
            ),
            Phase(name="generator", trains=GENERATORS, loss=self.generator_loss, optimiser=draw, schedule=fall),
        )

    def _schedule(self) -> Schedule:
        images = self.config.images
        after = round(self.config.falls_after * images)
        match self.config.schedule:
            case "constant":
                return constant
            case "linear":
                return linear_decay(min(after, images - 1), images)
            case "step":
                return steps_down(tuple(range(after, images, after)), 0.5)
            case "cosine":
                return half_cosine(images)

    def discriminator_loss(self, step: Step) -> Mapping[str, Tensor]:
        """Real drawings are drawings, translated photos are not; and the other way round."""
        terms = {}
        for source, target in DIRECTIONS:
            here, there = (step.networks[f"{domain}_generator"] for domain in (source, target))
            with torch.no_grad():
                made = there.decoder(here.content(_pictures(step, source)), self._style(step))
            judge = step.networks[f"{target}_discriminator"]
            real, fake = judge(_pictures(step, target)), judge(made)
            losses = [self._objective.discriminator(real[name], fake[name]) for name in real]
            terms[f"adversarial_{target}"] = self._adversarial * torch.stack(losses).sum()
            middle = MIDDLES.get(self.config.objective, 0.0)
            note_signs(step, real["halved_0_patch"] - middle, fake["halved_0_patch"] - middle, f"_{target}")
        return terms

    def generator_loss(self, step: Step) -> Mapping[str, Tensor]:
        """Deceive, say the same of what is made as of what it is made of, come back, and leave who it is."""
        knobs, terms = self.config, dict[str, Tensor]()
        for source, target in DIRECTIONS:
            here, there = (step.networks[f"{domain}_generator"] for domain in (source, target))
            pictures = _pictures(step, source)
            content, style, wanted = here.content(pictures), here.style(pictures), self._style(step)
            made = there.decoder(content, wanted)
            again = there.content(made)
            judged = step.networks[f"{target}_discriminator"](made).values()
            deceived = torch.stack([self._objective.deceive(logits) for logits in judged]).sum()
            terms[f"adversarial_{target}"] = self._adversarial * deceived
            terms[f"reconstruction_{source}"] = knobs.reconstruction * _far(here.decoder(content, style), pictures)
            terms[f"style_{target}"] = knobs.style * _far(there.style(made), wanted)
            terms[f"content_{source}"] = knobs.content * _far(again, content.detach())
            terms[f"cycle_{source}"] = knobs.cycle * _far(here.decoder(again, style), pictures)
            for name, term in self._looked_at(step, pictures, made, target):
                terms[f"{name}_{target}"] = term
            if knobs.same_identity:
                terms[f"same_identity_{target}"] = knobs.same_identity * self._swapped(step, content, target)
        for name, strength in strengths({name: step.networks[name] for name in GENERATORS + DISCRIMINATORS}).items():
            step.note(name, strength)
        return terms

    def _looked_at(self, step: Step, pictures: Tensor, made: Tensor, target: str) -> Iterator[tuple[str, Tensor]]:
        """What frozen networks say of pictures and of what was made of them."""
        knobs = self.config
        if knobs.identity:
            look = self._recogniser.network.to(made.device)
            with torch.no_grad():
                known = look(pictures_to_faces(pictures))
            cosine = similarity(look(pictures_to_faces(made)), known)
            step.note(f"recognised_{target}", (cosine >= knobs.threshold).float().mean())
            yield "identity", knobs.identity * identity_hinge(cosine, knobs.threshold)
        if knobs.perceptual:
            see = self._perceptual[0].to(made.device)
            with torch.no_grad():
                seen = see(pictures)
            yield "perceptual", knobs.perceptual * domain_invariant(see(made), seen)

    def _swapped(self, step: Step, content: Tensor, target: str) -> Tensor:
        """How far a person's picture, in the style of another picture of the same one, is from that."""
        there, other = step.networks[f"{target}_generator"], _pictures(step, target)
        far = (there.decoder(content, there.style(other)) - other).abs().mean((1, 2, 3))
        return (far * step.batch["same"]).mean()

    @property
    def _objective(self) -> Objective:
        return OBJECTIVES[self.config.objective]

    @property
    def _adversarial(self) -> float:
        """The weight; the original's squares are not halved."""
        return self.config.adversarial * (2 if self.config.objective == "lsgan" else 1)

    def _style(self, step: Step) -> Tensor:
        return step.random.normal(self.config.style_size)

    def stream(self, data: Path) -> Stream:
        knobs = self.config
        packs = {domain: Pack(data).where("domain", domain) for domain in (PHOTO, DRAWING)}
        margin = knobs.margin / min(knobs.width, knobs.height)
        views = {name: Views(pack, knobs.width, knobs.height, margin=margin) for name, pack in packs.items()}
        if knobs.same_identity:
            return Acquainted({domain: _people(pack) for domain, pack in packs.items()}, **views)
        return Unpaired(**views)

    def sheet(self, networks: Networks, examples: Batch, random: Random) -> Sheet:
        """Photos, drawings of them, drawings, photos of them."""
        rows = []
        for source, target in DIRECTIONS:
            images, style = examples[f"{source}_image"], random.normal(self.config.style_size)
            rows += [images, _translator(networks, source, target)(images, style)]
        return torch.stack(rows).cpu().numpy()

    def measure(self, networks: Networks, data: Path) -> Measured:
        """How far what is made of each domain, in styles drawn at random, is from the other domain's pictures."""
        figures, refusals = dict[str, float](), list[str]()
        for source, target in DIRECTIONS:
            translate, real = _translator(networks, source, target), self._sample(data, target)
            made = self._made(translate, self._sample(data, source))
            prefix = "" if target == DRAWING else f"{target}/"
            found = distances_in_loop(real, made)
            figures |= {f"{prefix}{name}": value for name, value in found.figures.items()}
            refusals += found.refusals
        return Measured(figures, refusals)

    def _sample(self, data: Path, domain: str) -> Sample:
        knobs = self.config
        margin = knobs.margin / min(knobs.width, knobs.height)
        return Sample(data, knobs.width, knobs.measured, domain, self._template(), knobs.height, margin)

    def _made(self, translate: Translator, sample: Sample) -> Iterator[Tensor]:
        """Of a sample's pictures, always in the same styles."""
        device = next(translate.parameters()).device
        generator = torch.Generator().manual_seed(self.config.seed)
        for images in sample.batches(device):
            style = torch.randn(len(images), self.config.style_size, generator=generator)
            yield translate(images, style.to(device))

    def exported(self, networks: Networks) -> nn.Module:
        match self.config.exports:
            case "drawing":
                return _translator(networks, PHOTO, DRAWING)
            case "photo":
                return _translator(networks, DRAWING, PHOTO)
            case style:
                return StyleReader(networks[f"{style.removesuffix('-style')}_generator"].style)

    def contract(self, provenance: Mapping[str, str]) -> Contract:
        knobs = self.config
        reads = knobs.exports.endswith("-style")
        nowhere = (0.0,) * knobs.style_size
        style = Control(STYLE, (knobs.style_size,), None, None, nowhere, "How it is drawn, each N(0, 1)")
        return Contract(
            role="style" if reads else "translator",
            template=self._template(),
            controls=() if reads else (style,),
            styles={},
            output="style" if reads else "image",
            output_shape=(knobs.style_size,) if reads else (knobs.height, knobs.width, 3),
            description=DESCRIPTIONS[knobs.exports],
            provenance=dict(provenance),
        )

    def _template(self) -> Template:
        """Of the middle of what is cut at random in training, so that nothing is random in use."""
        knobs = self.config
        return part(TEMPLATES[knobs.frame], knobs.width, knobs.height, knobs.margin)


def _pictures(step: Step, domain: str) -> Tensor:
    return step.once(domain, lambda: picture(step.batch[f"{domain}_image"]))


def _far(made: Tensor, wanted: Tensor) -> Tensor:
    return (made.float() - wanted.float()).abs().mean()


def _translator(networks: Networks, source: str, target: str) -> Translator:
    return Translator(networks[f"{source}_generator"].content, networks[f"{target}_generator"].decoder)


def _people(pack: Pack) -> Codes:
    """Who is on each picture; below 0 where nobody knows."""
    named = np.array([bool(name) for name in pack.names["person"]])
    codes = pack.columns["person"]
    return np.where(named[codes], codes, NOBODY)
