"""SphereFace: who a face is, by angles (Liu et al. 2017, "Deep Hypersphere Embedding for Face Recognition").

Paper: half a million photos of 10,574 people (CASIA-WebFace), 28,000 steps of 512, 99.3 % on LFW. Here by default the
ten-layer sibling at half its width, for some thousand people or fewer, with dlib's recogniser as a teacher where the
pack has its descriptors. Data: a pack of aligned faces with `person` (training.data.identities).

    likeness train sphereface --data runs/faces.pack
    likeness export runs/sphereface --to models/sphereface/3 --data runs/faces.pack

The paper's own network and schedule; docs/sphereface.md has fine-tuning on caricatures too:

    likeness train sphereface --data casia.pack --set depth=20 --set width=64 --set optimiser=sgd --set rate=0.1 \\
        --set decay=5e-4 --set identity=1 --set clip=0 --set drawn=0 --set twins=0 --set batch=512 --set images=14336000

Each step, over views of the faces, some of them as if drawn, some with the head turned:

    identity:    A-Softmax on the names (lambda 1500 -> 5), or ArcFace, CosFace, SphereFace2; a face without a name: 0
    descriptor:  1 - cosine to the teacher's descriptor, through a linear map            (Hinton et al. 2015)
    relational:  the teacher's cosines between all faces of the batch                    (Park et al. 2019)
    neighbours:  the same as distributions at a temperature                              (Passalis and Tefas 2018)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from pydantic import BeforeValidator, Field
from torch import Tensor, nn
from torch.nn import functional

from export.alignment import SPHEREFACE
from export.contract import Contract
from export.precision import Stored
from training.data.errors import DataError
from training.data.identities import Identities, Views
from training.data.pack import Pack
from training.data.pose import LIMIT
from training.data.recognition import TEST, Faces
from training.data.streams import Shuffled, Twinned
from training.engine import recipe as engine
from training.engine.checkpoint import Tensors
from training.engine.clock import half_cosine, steps_down
from training.engine.errors import CheckpointError
from training.engine.health import Symptom
from training.engine.phase import Batch, Networks, Phase, Step, adamw, sgd
from training.engine.randomness import Random
from training.engine.recipe import Measured, Plan, Sheet, Stream
from training.losses.distillation import descriptor_loss, neighbour_loss, relational_loss
from training.losses.margin import (
    AngleLinear,
    BinaryMargin,
    additive_angle,
    additive_cosine,
    angular_softmax,
    annealing,
)
from training.metrics.encoders import Embed, agreement, calibrate, verified
from training.networks.sphereface import EMBEDDING, Encoder, SphereFace, form, pixels_to_faces

DROPS = (16 / 28, 24 / 28)
"""Shares of the images after which the rate falls tenfold, with SGD: 16,000 and 24,000 steps of 28,000."""

ALIKE = "alike"
COLLAPSE = Symptom(
    figure=ALIKE,
    above=0.98,
    reports=10,  # embeddings of first weights are alike, too
    says="Nearly the same embedding comes of every face",
    try_="A lower rate, a longer warm-up, or more weight of the names beside the teacher",
)

Depth = Annotated[Literal[4, 10, 20, 36, 64], BeforeValidator(int)]


@dataclass(frozen=True, kw_only=True)
class Config(Plan):
    """For fifteen thousand photos of some hundred people with names, and others without."""

    images: int = 560_000
    batch: int = 128
    half_life: int = 30_000
    measure: int = 50_000
    depth: Depth = 10
    width: int = 32
    frozen: int = 0
    """Stages of the encoder that keep their weights, from the first on."""
    optimiser: Literal["adamw", "sgd"] = "adamw"
    rate: float = 1.5e-3
    warm_up: int = 8_000
    decay: float = 0.05
    clip: float = 5.0
    margin: Literal["asoftmax", "arcface", "cosface", "sphereface2"] = "asoftmax"
    identity: float = 0.35
    descriptor: float = 1.0
    relational: float = 4.0
    neighbours: float = 0.0
    temperature: float = 0.1
    twins: int = 4
    """Every so many-th view is a second one of the face before it; 0: none."""
    drawn: float = 0.45
    turned: float = 0.0
    degrees: Annotated[float, Field(ge=0, le=LIMIT)] = 20.0
    few: int = 0
    jitter: float = 1.0
    mirrored: bool = True
    """The last six as in training.data.identities.Views."""
    classes: int = 0
    """People; follows from the data, as the next one does."""
    teacher: int = 0
    """Numbers of the teacher's descriptor."""


class Recipe(engine.Recipe):
    """The encoder, and heads that only training needs."""

    Config = Config
    averaged = ("encoder",)
    anew = ("people", "margin", "teacher")
    float16 = True
    symptoms = (COLLAPSE,)
    config: Config

    def fitted(self, data: Path, parent: Mapping[str, Any]) -> Self:
        faces = self._identities(data)
        config = super().fitted(data, parent).config
        return type(self)(replace(config, classes=len(faces.people), teacher=faces.descriptor))

    def sources(self, data: Path) -> Sequence[str]:
        return self._identities(data).sources

    def teachers(self, data: Path) -> Sequence[str]:
        return self._identities(data).teachers

    @classmethod
    def imported(cls, state: Tensors, source: str) -> tuple[dict[str, Any], dict[str, Tensors]]:
        """sphere20a of 2017 and its siblings: `conv1_1.weight` ... `fc5.bias` and, with its classes, `fc6.weight`.

        In a published encoder all but the classes, with `network.` before each name.
        """
        state = {key.removeprefix("network."): value for key, value in state.items()}
        encoder = {key: value for key, value in state.items() if not key.startswith("fc6.")}
        try:
            depth, width = form(encoder)
        except ValueError as error:
            raise CheckpointError(f"{source}: {error}") from None
        settings = {"depth": depth, "width": width}
        states = {"encoder": encoder}
        if "fc6.weight" in state:
            states["people"] = {"weight": state["fc6.weight"]}
            settings["classes"] = state["fc6.weight"].shape[-1]
        return settings, states

    def networks(self) -> dict[str, nn.Module]:
        encoder = SphereFace(self.config.depth, self.config.width)
        encoder.freeze(self.config.frozen)
        return {"encoder": encoder, **self._heads()}

    def _heads(self) -> dict[str, nn.Module]:
        knobs, heads = self.config, dict[str, nn.Module]()
        if knobs.classes:
            heads["people"] = AngleLinear(EMBEDDING, knobs.classes)
        if knobs.classes and knobs.margin == "sphereface2":
            heads["margin"] = BinaryMargin(knobs.classes)
        if knobs.teacher:
            heads["teacher"] = nn.Linear(EMBEDDING, knobs.teacher)
        return heads

    def phases(self) -> Sequence[Phase]:
        knobs = self.config
        if knobs.optimiser == "sgd":
            learn = sgd(knobs.rate, decay=knobs.decay)
            schedule = steps_down(tuple(round(share * knobs.images) for share in DROPS))
        else:
            learn = adamw(knobs.rate, decay=knobs.decay)
            schedule = half_cosine(knobs.images, min(knobs.warm_up, knobs.images // 2))
        return (
            Phase(
                name="faces",
                trains=("encoder", *self._heads()),
                loss=self.loss,
                optimiser=learn,
                schedule=schedule,
                clip=knobs.clip,
            ),
        )

    def loss(self, step: Step) -> Mapping[str, Tensor]:
        """Names and teacher, whichever there are. Angles are taken in float32, whatever the encoder computes in."""
        knobs, networks = self.config, step.networks
        faces = pixels_to_faces(step.batch["image"]).contiguous(memory_format=torch.channels_last)
        features, terms = networks["encoder"](faces).float(), dict[str, Tensor]()
        step.note(ALIKE, alike(features))
        with torch.autocast(features.device.type, enabled=False):
            if knobs.classes:
                terms["identity"] = knobs.identity * self.margin(step, features)
            if knobs.teacher:
                wanted = step.batch["descriptor"]
                terms["descriptor"] = knobs.descriptor * descriptor_loss(networks["teacher"](features), wanted)
                terms["relational"] = knobs.relational * relational_loss(features, wanted)
            if knobs.teacher and knobs.neighbours:
                terms["neighbours"] = knobs.neighbours * neighbour_loss(features, wanted, knobs.temperature)
        return terms

    def margin(self, step: Step, features: Tensor) -> Tensor:
        """The mean over all rows, to which those without a name add nothing."""
        named = step.batch["label"] >= 0
        labels = step.batch["label"][named]
        if not len(labels):
            return 0 * features.sum()
        cosine, length = step.networks["people"](features[named])
        step.note("recognised", (cosine.argmax(1) == labels).float().mean())
        match self.config.margin:
            case "asoftmax":
                loss = angular_softmax(cosine, length, labels, annealing(step.seen // self.config.batch))
            case "arcface":
                loss = additive_angle(cosine, labels)
            case "cosface":
                loss = additive_cosine(cosine, labels)
            case "sphereface2":
                loss = step.networks["margin"](cosine, labels)
        return loss * (len(labels) / len(features))

    def stream(self, data: Path) -> Stream:
        faces, knobs = self._identities(data), self.config
        return Twinned(faces, knobs.seed, knobs.twins) if knobs.twins > 1 else Shuffled(faces, knobs.seed)

    def _identities(self, data: Path) -> Identities:
        knobs = self.config
        views = Views(knobs.drawn, knobs.turned, knobs.degrees, knobs.few, knobs.jitter, knobs.mirrored)
        return Identities(Pack(data), views)

    def sheet(self, networks: Networks, examples: Batch, random: Random) -> Sheet:
        return examples["image"][None].cpu().numpy()

    def measure(self, networks: Networks, data: Path) -> Measured:
        """Verification of the people set aside, if the pack has any."""
        held = _held(data)
        return Measured(verified(_embed(Encoder(networks["encoder"])), held) if held else {})

    def exported(self, networks: Networks) -> nn.Module:
        return Encoder(networks["encoder"])

    def contract(self, provenance: Mapping[str, str]) -> Contract:
        return Contract(
            role="encoder",
            template=SPHEREFACE,
            controls=(),
            styles={},
            output="embedding",
            output_shape=(EMBEDDING,),
            description="Who a face is, as 512 numbers of unit length; cosines compare photos and drawings",
            provenance=dict(provenance),
        )

    def calibrated(self, contract: Contract, network: nn.Module, data: Path) -> Contract:
        """With thresholds at which no set of people set aside is falsely accepted more often than promised."""
        return replace(contract, thresholds=calibrate(_embed(network), _aside(data)))

    def agreed(self, network: nn.Module, short: nn.Module, stored: Stored, data: Path) -> Mapping[str, float]:
        """On the people set aside."""
        return agreement(_embed(network), _embed(short), _aside(data), stored)


def alike(features: Tensor) -> Tensor:
    """The mean cosine between two rows of features [B, D], float32; 0 of one row."""
    count = len(features)
    together = functional.normalize(features.detach()).sum(0).square().sum()
    return (together - count) / max(count * (count - 1), 1)


def _held(data: Path) -> Faces | None:
    pack = Pack(data)
    return Faces.of(pack.where("split", TEST)) if TEST in pack.names.get("split", ()) else None


def _aside(data: Path) -> Faces:
    held = _held(data)
    if not held:
        raise DataError(f"{data} sets nobody aside: no face of it has the `split` {TEST!r}")
    return held


def _embed(encoder: nn.Module) -> Embed:
    """The encoder as training.metrics.encoders wants it."""
    device = next(encoder.parameters()).device

    @torch.inference_mode()
    def embed(frames: np.ndarray) -> np.ndarray:
        parts = torch.from_numpy(np.ascontiguousarray(frames)).split(256)
        return torch.cat([encoder(part.to(device)).float().cpu() for part in parts]).numpy()

    return embed
