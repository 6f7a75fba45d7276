"""Photos to caricatures: an explicit warp, then paint, each learnt from pairs (SATNet-R).

Paper: none; the parts are AutoToon's explicit warp (Gong et al. 2020), scaling and squaring (Arsigny et al. 2006), FiLM
(Perez et al. 2018) and a style-modulated U-Net. Data: a pack of shapes for the warp, one of drawings for the painter.
The two know nothing of each other, so that they are trained side by side and joined when they are exported
(docs/satnet-r.md).

    likeness train satnet_r --data runs/shapes.pack --into runs/warp
    likeness train satnet_r --data runs/drawings.pack --into runs/paint --set part=paint --set images=33000 \
        --set batch=3 --set half_life=1500
    likeness export runs/paint --to models/drawn/1 --set joined=runs/warp
    likeness export runs/paint --to models/style/1 --set exports=exemplar

With `direction=cartoon` the warp is to a cartoon's proportions; what paints those is the recipe `cartoonist`'s.

With `direction=photo` the same two parts undo both steps in reverse: the painter makes a photo of a drawing, by the
style that it reads of that, and the warp, which sees the drawing too, takes it back to the face's own shape.

Each step of one part, t being the eased time of a random strength, f the flow of what the warp's head sees:

    warp:   10 |f(t v)(target) - (landmarks - target)| / t + 10 |f(v) - field|
    paint:  |P(x, s) - y| + 3 edges + lines + 0.1 |E(y) - s|^2       E: reads a drawing's style
            direction=photo: |P(y, E(y)) - x| instead
            - 0 (1 - seen / images) |P(x, s) - P(x, s')|        s': any other style
            + 0 softplus(-D(P(w(x), s)))     w: the warp at a random strength; D sees patches and the whole
            + 0 KL(c(x) || c(what was made of x))        c: a frozen classifier's hair, glasses and smile
    both:   + 0 what a frozen face encoder says of a photo and of what was made of it: hinge, cosine, InfoNCE and whom
            it resembles
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.contract import Contract
from export.precision import Stored
from training.contracts.satnet_r import KINDS, Kind
from training.data.caricaturist import CODE_SIZE
from training.data.looks import STYLE_SIZE, STYLES
from training.data.pack import Pack
from training.data.paired import Beside, Drawings, Shapes, opened
from training.data.pairs import UNSEEN
from training.data.sources import DRAWING
from training.data.streams import Rows, Shuffled, in_order
from training.data.views import Views
from training.engine import checkpoint
from training.engine import recipe as engine
from training.engine.checkpoint import Tensors
from training.engine.clock import half_cosine
from training.engine.errors import CheckpointError, RecipeError
from training.engine.phase import Batch, Networks, Phase, Step, adamw
from training.engine.randomness import Random
from training.engine.recipe import ORIGINS, Measured, Plan, Positive, Share, Sheet, Stream
from training.engine.run import Run
from training.losses.adversarial import NON_SATURATING, always_wins, by_heart, note_signs
from training.losses.attributes import attribute_loss, shown
from training.losses.augmentation import augmented
from training.losses.distillation import neighbour_loss
from training.losses.frozen import Classifier, Recogniser, classifier, recogniser
from training.losses.identity import contrast, faces_of_square, identity_hinge, similarity
from training.losses.penalties import lazy, r1
from training.losses.reconstruction import edges, fine_lines, landmark_error
from training.metrics.deviation import agreed
from training.metrics.warp import explained, folded
from training.networks.painters import Exemplar, Painter
from training.networks.pixels import picture, pixels
from training.networks.satnet_r import GRAPHS, discriminator
from training.networks.warp import FRAME, LOOK_AT, PARTS, Warp, WarpHead, eased

NAME = "satnet_r"
STRENGTHS = (0.2, 2.5)
"""At which the warp is looked at in training."""
TRAINED = {"warp": ("warp",), "paint": ("painter", "exemplar")}
"""The networks that each part trains."""
ALIKE = {"translator": 1.0, "style": 0.02}
"""How far outputs by shortened weights may be off on average, by role: levels of 255, numbers of a style."""
SHOWN = tuple(STYLES)[:4]
"""Styles on a sheet."""


@dataclass(frozen=True, kw_only=True)
class Config(Plan):
    """Of the warp; what the painter has otherwise is in docs/satnet-r.md."""

    images: int = 132_000
    checkpoint: int = 12_000
    sheet: int = 12_000
    direction: Literal["caricature", "cartoon", "photo"] = "caricature"
    """What becomes of photos, or else of drawings. Of cartoons it is the warp alone."""
    part: Literal["warp", "paint"] = "warp"
    side: int = 256
    """Of pictures; 128 is for small machines."""
    warp_width: Positive = 24
    paint_width: Positive = 32
    deformable: bool = False
    """Whether the painter's deepest convolutions are."""
    apart: int = 400
    """The last pairs are for measures alone."""
    rate: float = 1e-3
    decay: float = 1e-2
    warm_up: Share = 0.02
    clip: float = 1.0
    landmarks: float = 10.0
    field: float = 10.0
    colour: float = 1.0
    edges: float = 3.0
    lines: float = 1.0
    style: float = 0.1
    texture: float = 0.0
    """The weight of a discriminator's word; it sees `drawings`."""
    drawings: str = ""
    """A pack of drawings of any photos, aligned to square-256; or of photos, where these are made."""
    domain: str = DRAWING
    """Which of its pictures are looked at."""
    diversity: float = 0.0
    """Of how far another style changes a drawing; less and less of it (StarGAN v2, Choi et al. 2020, equation 4)."""
    discriminator_width: Positive = 32
    whole: bool = True
    """Whether the discriminator sees the whole of a picture beside its patches."""
    discriminator_rate: float = 2e-4
    gamma: float = 10.0
    """Of the penalty R1, which comes with every `penalty_every`-th step."""
    penalty_every: Positive = 16
    augmented: Share = 1.0
    """The share of pictures that each kind of augmentation changes before they are judged."""
    hinge: float = 0.0
    threshold: float = 0.2875
    """The cosine from which a face is the person's."""
    cosine: float = 0.0
    contrast: float = 0.0
    temperature: float = 0.07
    """Of the contrast."""
    distillation: float = 0.0
    softness: float = 0.1
    """The temperature of distillation."""
    attributes: float = 0.0
    """Of what a drawing keeps of hair, glasses and smile, as a classifier sees them."""
    classifier: str = "runs/attributes"
    """A run of the recipe `attributes`."""
    recogniser: str = "models/sphereface/3"
    """The face encoder: models/NAME/VERSION, a run of the recipe `sphereface`, or a file of sphere20a."""
    learnt: tuple[str, ...] = ()
    """Parts that were trained: this one, and those of the run that it begins from; of a published model, networks."""
    joined: str = ""
    """A run of the other part, of which an export takes that."""
    exports: Literal["translator", "exemplar"] = "translator"
    """What is exported; the exemplar reads the style of a drawing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.side not in (FRAME // 2, FRAME):
            raise RecipeError(f"side: must be {FRAME // 2} or {FRAME}, not {self.side}")
        if self.paint_width % 2:
            raise RecipeError(f"paint_width: must be even, not {self.paint_width}")
        if self.direction == "cartoon" and self.part == "paint":
            raise RecipeError("direction=cartoon: has no part=paint; cartoons are painted by the recipe cartoonist")
        if self.attributes and self.part == "warp":
            raise RecipeError("attributes: are what part=paint keeps")
        if self.texture and not (self.part == "paint" and self.drawings):
            raise RecipeError("texture: takes part=paint and drawings; --set drawings=PACK says where they are")
        if self.diversity and (self.part, self.direction) != ("paint", "caricature"):
            raise RecipeError("diversity: is of part=paint and direction=caricature, which is told a style")
        if self.identity and self.direction == "photo" and self.part == "warp":
            raise RecipeError("direction=photo: a face encoder stands in the loss of part=paint alone")
        if self.temperature <= 0 or self.softness <= 0:
            raise RecipeError("temperature and softness: must be more than 0")

    @property
    def identity(self) -> bool:
        """Whether a face encoder stands in the loss."""
        return any((self.hinge, self.cosine, self.contrast, self.distillation))


def relit(face: Tensor, random: Random) -> Tensor:
    """Exposure, contrast, tint, grain and lost colour, one draw per picture [B, 3, H, W] in -1..1."""
    light = ((face + 1) / 2).clamp(0, 1) ** torch.exp(0.35 * random.normal(1, 1, 1))
    light = (light - 0.5) * torch.exp(0.2 * random.normal(1, 1, 1)) + 0.5 + 0.05 * random.normal(1, 1, 1)
    light = light * torch.exp(0.08 * random.normal(3, 1, 1))
    light = torch.where(random.uniform(1, 1, 1) < 0.1, light.mean(1, keepdim=True), light)
    return (light + 0.02 * random.uniform(1, 1, 1) * random.normal(*face.shape[1:])) * 2 - 1


def half_frames(pixels: Tensor) -> Tensor:
    """Pixel offsets of the frame in units of half of it."""
    return pixels * (2 / FRAME)


def points(pixels: Tensor) -> Tensor:
    """Pixel positions of the frame in -1..1 from edge to edge of it."""
    return (pixels + 0.5) * (2 / FRAME) - 1


class Recipe(engine.Recipe):
    """A warp and a painter, of which a run trains one."""

    Config = Config
    float16 = True
    free = frozenset({"joined", "exports"})
    symptoms = (by_heart(), always_wins())
    config: Config

    def __init__(self, config: Config) -> None:
        """With the other part's origins, if it is joined. RunError if that is no run."""
        super().__init__(config)
        self.averaged = ("warp",) if config.direction == "cartoon" else ("warp", "painter", "exemplar")
        if config.joined:
            other = Run(Path(config.joined)).facts()["settings"]
            self.config = engine.joined(config, other, (*ORIGINS, "learnt"))

    @classmethod
    def imported(cls, state: Tensors, source: str) -> tuple[dict[str, Any], dict[str, Tensors]]:
        """A published translator, also one from before there were codes, or with fewer numbers in its style.

        What it did not have does nothing at first: further numbers of a style, and strokes on paper, are the last ones.
        One that reads styles itself makes photos; of one that paints by another recipe it is the warp.
        """
        states: dict[str, Tensors] = {"warp": {}}
        for key, value in state.items():
            name, _, rest = key.replace("warp_head.", "warp.head.", 1).partition(".")
            states.setdefault(name, {})[rest] = value
        try:
            settings: dict[str, Any] = {"warp_width": len(states["warp"]["head.stem.0.0.weight"])}
            if "flat" in states:
                settings["direction"] = "cartoon"
            elif "layers" not in states:
                settings |= {
                    "direction": "photo" if "exemplar" in states else "caricature",
                    "paint_width": len(states["painter"]["fine.0.convolution.weight"]),
                    "deformable": "deep.2.convolution.head.weight" in states["painter"],
                }
        except KeyError as error:
            raise CheckpointError(f"{source} is no translator of this kind: it has no {error}") from None
        whole = cls(Config(**settings)).networks()
        grown = {name: _grown(states[name], each.state_dict()) for name, each in whole.items() if name in states}
        return {**settings, "learnt": tuple(grown)}, grown

    def fitted(self, data: Path, parent: Mapping[str, Any]) -> Self:
        """With the parts that were trained. DataError where the pack is not one of the part's."""
        part = self.config.part
        opened(data, part, self.config.apart)
        known = parent.get("learnt", ()) if _direction(parent) == self.config.direction else ()
        learnt = tuple(dict.fromkeys([*known, part]))
        fitted = super().fitted(data, parent)
        return type(self)(replace(fitted.config, learnt=learnt))

    def sources(self, data: Path) -> Sequence[str]:
        """Those of the drawings and of frozen networks too."""
        knobs = self.config
        drawings = Pack(Path(knobs.drawings)).present("source") if knobs.texture else ()
        geometry = Pack(data).present("geometry")
        seen = [source for judge in self._judges for source in judge.sources]
        return [*super().sources(data), *geometry, *drawings, *seen]

    def teachers(self, data: Path) -> Sequence[str]:
        """The face encoder and the classifier in the loss, with their digests."""
        return [judge.name for judge in self._judges]

    @property
    def _judges(self) -> Sequence[Recogniser | Classifier]:
        """Frozen networks in the loss."""
        knobs = self.config
        return [*([self._recogniser] if knobs.identity else []), *([self._classifier] if knobs.attributes else [])]

    @cached_property
    def _recogniser(self) -> Recogniser:
        return recogniser(Path(self.config.recogniser))

    @cached_property
    def _classifier(self) -> Classifier:
        return classifier(Path(self.config.classifier))

    def networks(self) -> dict[str, nn.Module]:
        """The warp of a run that trains the painter is as it is in use: its statistics are settled."""
        knobs = self.config
        learns = knobs.part == "warp"
        found: dict[str, nn.Module] = {
            "warp": Warp(WarpHead(knobs.warp_width), LOOK_AT if learns else knobs.side).train(learns),
        }
        if knobs.direction != "cartoon":
            found["painter"] = Painter(knobs.side, knobs.paint_width, deformable=knobs.deformable)
            found["exemplar"] = Exemplar()
        if knobs.texture:
            found["discriminator"] = discriminator(knobs.side, knobs.discriminator_width, whole=knobs.whole)
        return found

    def phases(self) -> Sequence[Phase]:
        knobs = self.config
        loss = self.warp_loss if knobs.part == "warp" else self.paint_loss
        generator = Phase(
            name=knobs.part,
            trains=TRAINED[knobs.part],
            loss=loss,
            optimiser=adamw(knobs.rate, decay=knobs.decay),
            schedule=half_cosine(knobs.images, round(knobs.warm_up * knobs.images)),
            clip=knobs.clip,
        )
        if not knobs.texture:
            return (generator,)
        judge = Phase(
            name="discriminator",
            trains=("discriminator",),
            loss=self.discriminator_loss,
            optimiser=lazy(knobs.discriminator_rate, (0.0, 0.99), knobs.penalty_every),
        )
        penalty = Phase(
            name="r1",
            trains=("discriminator",),
            loss=self.gradient_penalty,
            shares="discriminator",
            every=knobs.penalty_every,
        )
        return (generator, judge, penalty)

    def warp_loss(self, step: Step) -> Mapping[str, Tensor]:
        """Landmarks go where they should at any strength, and the whole field is the teacher's."""
        knobs, warp, batch = self.config, step.networks["warp"], step.batch
        photo = relit(picture(batch["image"]), step.random)
        velocity = warp.head(photo, batch["code"]).float()
        least, most = STRENGTHS
        time = eased(least + (most - least) * step.random.uniform())[:, None, None, None]
        target = batch["landmarks"] + time[..., 0] * batch["displacement"]
        field = warp.flow(velocity * time)
        missed = landmark_error(field, points(batch["landmarks"]), points(target)) / time[..., 0, 0]
        dense = (warp.flow(velocity) - half_frames(batch["field"].permute(0, 3, 1, 2))).abs().sum(1)
        step.note("missed_pixels", missed.mean() * FRAME / 2)
        terms = {"landmarks": knobs.landmarks * missed.mean(), "field": knobs.field * dense.mean()}
        return terms | (self._identity(step, warp.moved(photo, field), photo) if knobs.identity else {})

    def paint_loss(self, step: Step) -> Mapping[str, Tensor]:
        """The drawing of a photo in its style, or the photo of a drawing, and the style of the drawing."""
        knobs, batch = self.config, step.batch
        painted, wanted, read = self._painted_once(step)
        terms = {
            "colour": knobs.colour * F.l1_loss(painted, wanted),
            "edges": knobs.edges * edges(painted, wanted),
            "lines": knobs.lines * fine_lines(painted, wanted),
            "style": knobs.style * F.mse_loss(read, batch["style"]),
        }
        if knobs.diversity:
            again = step.networks["painter"](picture(batch["photo"]), step.random.normal(STYLE_SIZE)).float()
            left = 1 - step.seen / knobs.images
            # Beyond what a picture can show drawings could differ without end.
            terms["diversity"] = -knobs.diversity * left * F.l1_loss(again.clamp(-1, 1), painted.clamp(-1, 1))
        if knobs.identity:
            terms |= self._identity(step, self._made(step), picture(batch["photo"]))
        if knobs.attributes:
            terms["attributes"] = knobs.attributes * self._attributes(self._made(step), picture(batch["photo"]))
        if knobs.texture:
            judged = self._judged(step, self._made(step)).values()
            deceived = torch.stack([NON_SATURATING.deceive(logits) for logits in judged]).mean()
            terms["texture"] = knobs.texture * deceived
        return terms

    def _painted_once(self, step: Step) -> tuple[Tensor, Tensor, Tensor]:
        return step.once("painted", lambda: self._painted(step.networks, step.batch))

    def _painted(self, networks: Networks, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """What the painter makes of the batch, what that should be, and the styles of its drawings as they are read."""
        photo, drawing = picture(batch["photo"]), picture(batch["drawing"])
        read = networks["exemplar"](drawing)
        if self.config.direction == "photo":
            return networks["painter"](drawing, read).float(), photo, read.float()
        return networks["painter"](photo, batch["style"]).float(), drawing, read.float()

    def discriminator_loss(self, step: Step) -> Mapping[str, Tensor]:
        """Pictures of others are such pictures, those that were made are not."""
        real, made = (self._judged(step, each) for each in (picture(step.batch["other"]), self._made(step).detach()))
        note_signs(step, real["patch_real"], made["patch_real"])
        losses = [NON_SATURATING.discriminator(real[name], made[name]) for name in real]
        return {"adversarial": torch.stack(losses).mean()}

    def gradient_penalty(self, step: Step) -> Mapping[str, Tensor]:
        """Flat where those of others are."""

        def judged(pictures: Tensor) -> Tensor:
            return torch.stack([each.mean((1, 2, 3)) for each in self._judged(step, pictures).values()]).mean(0)

        penalty = r1(judged, picture(step.batch["other"]))
        return {"gradient": self.config.gamma * self.config.penalty_every * penalty}

    def _judged(self, step: Step, pictures: Tensor) -> Mapping[str, Tensor]:
        found: Mapping[str, Tensor] = step.networks["discriminator"](
            augmented(pictures, step.random, self.config.augmented)
        )
        return found

    def _made(self, step: Step) -> Tensor:
        """The whole translation of the batch's photos, at any strength and code; else what is painted alone."""

        def make() -> Tensor:
            if self.config.direction != "caricature":
                return self._painted_once(step)[0]
            photo, random = picture(step.batch["photo"]), step.random
            strength, code = STRENGTHS[1] * random.uniform(), random.normal(CODE_SIZE)
            with torch.no_grad():
                warped = step.networks["warp"](photo, strength, code, torch.ones_like(code[:, : len(PARTS)]))
            drawn: Tensor = step.networks["painter"](warped, step.batch["style"])
            return drawn.float()

        return step.once("made", make)

    def _identity(self, step: Step, made: Tensor, photo: Tensor) -> dict[str, Tensor]:
        """What the face encoder says of pictures and of what was made of them; terms without a weight are not there."""
        knobs, look = self.config, self._recogniser.network.to(made.device)
        with torch.no_grad():
            known = look(faces_of_square(photo))
        seen = look(faces_of_square(made))
        cosine = similarity(seen, known)
        step.note("recognised", (cosine >= knobs.threshold).float().mean())
        terms = {
            "hinge": knobs.hinge * identity_hinge(cosine, knobs.threshold),
            "cosine": knobs.cosine * (1 - cosine).mean(),
            "contrast": knobs.contrast * contrast(seen, known, knobs.temperature),
            "distillation": knobs.distillation * neighbour_loss(seen, known, knobs.softness),
        }
        return {name: term for name, term in terms.items() if getattr(knobs, name)}

    def _attributes(self, made: Tensor, photo: Tensor) -> Tensor:
        """How far what the classifier says of pictures is from what it says of the photos."""
        judge = self._classifier
        look = judge.network.to(made.device)
        with torch.no_grad():
            known = look(shown(photo, judge.size))
        return attribute_loss(look(shown(made, judge.size)), known)

    # Examples, and what is looked at

    def stream(self, data: Path) -> Stream:
        knobs, pack = self.config, Pack(data)
        pairs = Shuffled(self._rows(pack, 0, len(pack) - knobs.apart), knobs.seed)
        if not knobs.texture:
            return pairs
        drawings = Pack(Path(knobs.drawings)).where("domain", knobs.domain)
        return Beside(pairs, Shuffled(Views(drawings, knobs.side), knobs.seed + 1))

    def _rows(self, pack: Pack, begin: int, end: int, *, varied: bool = True) -> Rows:
        """Of the part; `varied`: to learn from, not to be measured by."""
        if self.config.part == "warp":
            return Shapes(pack, begin, end, varied=varied)
        unseen = UNSEEN if varied and self.config.direction == "photo" else ""
        return Drawings(pack, self.config.side, begin, end, unseen=unseen)

    def sheet(self, networks: Networks, examples: Batch, random: Random) -> Sheet:
        """What is translated; of the warp its own code, none at two strengths, another; else drawings, some in styles.

        Of photos that are made there are what is given, what is wanted and what is painted.
        """
        warp = networks["warp"]
        if self.config.part == "warp":
            photo, none = picture(examples["image"]), torch.zeros_like(examples["code"])
            looks = ((1, examples["code"]), (1, none), (2, none), (1, random.normal(CODE_SIZE)))
            rows = [photo, *(_warped(warp, photo, strength, code) for strength, code in looks)]
        elif self.config.direction != "caricature":
            painted, wanted, _ = self._painted(networks, examples)
            rows = [picture(examples[KINDS[self.config.direction].given]), wanted, painted]
        else:
            photo = picture(examples["photo"])
            warped = _warped(warp, photo, 1, photo.new_zeros(len(photo), CODE_SIZE))
            rows = [photo, picture(examples["drawing"]), networks["painter"](photo, examples["style"])]
            for name in SHOWN:
                style = torch.tensor(STYLES[name].style(), device=photo.device).expand(len(photo), -1)
                rows.append(networks["painter"](warped, style))
        return torch.stack([pixels(row) for row in rows]).cpu().numpy()

    @torch.no_grad()
    def measure(self, networks: Networks, data: Path) -> Measured:
        """On pairs that were set apart: how much of the wanted displacement is reached, or how far drawings are off."""
        batches = list(self._apart(networks, data))
        if not batches:
            return Measured()
        measured = [self._measured(networks, batch) for batch in batches]
        return Measured({name: float(np.mean([each[name] for each in measured])) for name in measured[0]})

    def _apart(self, networks: Networks, data: Path) -> Iterator[Batch]:
        """The last pairs of the pack, never mirrored."""
        knobs, pack = self.config, Pack(data)
        rows = self._rows(pack, len(pack) - knobs.apart, len(pack), varied=False)
        return in_order(rows, knobs.batch, knobs.measured, next(networks["warp"].parameters()).device)

    def _measured(self, networks: Networks, batch: Batch) -> Mapping[str, float]:
        if self.config.part == "warp":
            field = networks["warp"].flow(networks["warp"].head(picture(batch["image"]), batch["code"])).cpu()
            landmarks, displacement = (batch[name].cpu() for name in ("landmarks", "displacement"))
            reached = explained(field, points(landmarks), points(landmarks + displacement))
            return {"explained": reached, "folded": folded(field)}
        painted, wanted, read = self._painted(networks, batch)
        return {
            "colour": float(F.l1_loss(painted, wanted)),
            "edges": float(edges(painted, wanted)),
            "style": float(F.mse_loss(read, batch["style"])),
        }

    # Export

    def exported(self, networks: Networks) -> nn.Module:
        """The translator of both parts, or what reads styles; RecipeError if a network of it was never trained."""
        if self.config.joined:
            self._join(networks)
        knobs = self.config
        if knobs.direction == "cartoon":
            raise RecipeError("direction=cartoon: is exported by the recipe cartoonist, which this warp is joined with")
        learnt = {network for name in knobs.learnt for network in TRAINED.get(name, (name,))}
        graph = self._kind.graph
        for name in GRAPHS[graph]:
            if name not in learnt:
                raise RecipeError(f"the {name} was never trained; --set joined=RUN says which run has learnt it")
        whole = networks | {"warp": Warp(networks["warp"].head, knobs.side).eval()}
        return graph(*(whole[name] for name in GRAPHS[graph]))

    @property
    def _kind(self) -> Kind:
        """Of the graph that is exported."""
        return KINDS["exemplar" if self.config.exports == "exemplar" else self.config.direction]

    def agreed(self, network: nn.Module, short: nn.Module, stored: Stored, data: Path) -> Mapping[str, float]:
        """How far outputs are off, the mean over pairs set apart of a pack of drawings; ParityError beyond ALIKE."""
        knobs, contract, pack = self.config, self.contract({}), opened(data, "paint", self.config.apart)
        rows, random = Drawings(pack, knobs.side, len(pack) - knobs.apart, len(pack)), np.random.default_rng(0)
        images = (rows.row(index, random)[self._kind.given] for index in range(len(rows)))
        return agreed(network, short, contract, images, stored, ALIKE[contract.role])

    def _join(self, networks: Networks) -> None:
        """The networks that the other run has trained."""
        other = Run(Path(self.config.joined))
        settings, averages = other.averages(NAME)
        part = str(settings.get("part"))
        if part == self.config.part:
            raise RecipeError(f"joined: {other.folder} is a run of the {part} too")
        if _direction(settings) != self.config.direction:
            raise RecipeError(f"joined: {other.folder} is a run of direction={_direction(settings)}")
        checkpoint.restore({name: networks[name] for name in TRAINED[part]}, averages, str(other.latest))

    def contract(self, provenance: Mapping[str, str]) -> Contract:
        return self._kind.contract(self.config.side, provenance)


def _grown(found: Tensors, own: Tensors) -> Tensors:
    """The state with zeros for further inputs, for codes, and for counters of batches, which a file does not carry."""
    states = dict(found)
    for key, value in own.items():
        if key.endswith(("film.weight", "num_batches_tracked")):
            states.setdefault(key, torch.zeros_like(value))
        elif key in found and found[key].ndim > 1 and found[key].shape[1] < value.shape[1]:
            states[key] = torch.zeros_like(value)
            states[key][:, : found[key].shape[1]] = found[key]
    return states


def _direction(settings: Mapping[str, Any]) -> str:
    """Of a run; the oldest do not say theirs."""
    return str(settings.get("direction", "caricature"))


def _warped(warp: nn.Module, photo: Tensor, strength: float, code: Tensor) -> Tensor:
    alike = photo.new_ones(len(photo), len(PARTS))
    warped: Tensor = warp(photo, photo.new_full((len(photo),), float(strength)), code, alike)
    return warped
