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

Each step of one part, f being the flow of what the warp's head sees:

    warp:   10 |f(v)(target) - (landmarks - target)| + 10 |f(v) - field|
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
from training.data.paired import Drawings, Known, Shapes, column, opened
from training.data.pairs import UNSEEN
from training.data.streams import Shuffled, in_order
from training.engine import checkpoint
from training.engine import recipe as engine
from training.engine.checkpoint import Tensors
from training.engine.clock import half_cosine
from training.engine.errors import CheckpointError, RecipeError
from training.engine.phase import Batch, Networks, Phase, Step, adamw
from training.engine.randomness import Random
from training.engine.recipe import ORIGINS, Measured, Positive, Share, Sheet, Stream
from training.engine.run import Run
from training.losses.adversarial import always_wins, by_heart
from training.losses.reconstruction import edges, fine_lines, landmark_error
from training.metrics.deviation import agreed
from training.metrics.warp import explained, folded
from training.networks.folded import counted
from training.networks.painters import Exemplar, Painter
from training.networks.pixels import picture, pixels
from training.networks.satnet_r import GRAPHS
from training.networks.warp import FRAME, LOOK_AT, PARTS, Warp, WarpHead, eased, published
from training.onlookers import Looking, Onlookers
from training.texture import Texture, Textured

NAME = "satnet_r"
STRONGEST = 2.5
"""Up to which faces are exaggerated before networks outside of the recipe see them."""
TRAINED = {"warp": ("warp",), "paint": ("painter", "exemplar")}
"""The networks that each part trains."""
ALIKE = {"translator": 1.0, "style": 0.02}
"""How far outputs by shortened weights may be off on average, by role: levels of 255, numbers of a style."""
SHOWN = tuple(STYLES)[:4]
"""Styles on a sheet."""


@dataclass(frozen=True, kw_only=True)
class Config(Looking, Textured):
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
    diversity: float = 0.0
    """Of how far another style changes a drawing; less and less of it (StarGAN v2, Choi et al. 2020, equation 4)."""
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
        if self.texture and self.part == "warp":
            raise RecipeError("texture: is what part=paint learns")
        if self.diversity and (self.part, self.direction) != ("paint", "caricature"):
            raise RecipeError("diversity: is of part=paint and direction=caricature, which is told a style")
        if self.identity and self.direction == "photo" and self.part == "warp":
            raise RecipeError("direction=photo: a face encoder stands in the loss of part=paint alone")
        if self.reader and self.direction != "caricature":
            raise RecipeError("reader: is of direction=caricature, which is told a style")


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
        for name in ("far", "mirror"):  # how gently it goes, and whether it looks twice, is for the graph
            states["warp"].pop(name, None)
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
        grown = {name: _grown(states[name], each) for name, each in whole.items() if name in states}
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
        """Those of the geometry, of drawings of others and of frozen networks too."""
        geometry = Pack(data).present("geometry")
        return [*super().sources(data), *geometry, *self._onlookers.sources, *self._texture.sources]

    def teachers(self, data: Path) -> Sequence[str]:
        """The frozen networks, with their digests."""
        return [*self._onlookers.names, *self._texture.names]

    @cached_property
    def _onlookers(self) -> Onlookers:
        return Onlookers(self.config)

    @cached_property
    def _texture(self) -> Texture:
        return Texture(self.config)

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
        return {**found, **self._texture.networks(knobs.side)}

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
        return (generator, *self._texture.phases(self._made))

    def warp_loss(self, step: Step) -> Mapping[str, Tensor]:
        """Landmarks go where they should, and the whole field is the teacher's; both move by velocities that stay."""
        knobs, warp, batch = self.config, step.networks["warp"], step.batch
        photo = relit(picture(batch["image"]), step.random)
        velocity = warp.head(photo, batch["code"]).float()
        field, target = warp.flow(velocity), batch["landmarks"] + batch["displacement"]
        missed = landmark_error(field, points(batch["landmarks"]), points(target)).mean()
        dense = (field - half_frames(batch["field"].permute(0, 3, 1, 2))).abs().sum(1).mean()
        step.note("missed_pixels", missed * FRAME / 2)
        terms = {"landmarks": knobs.landmarks * missed, "field": knobs.field * dense}
        if knobs.identity:
            time = eased(STRONGEST * step.random.uniform())[:, None, None, None]
            terms |= self._onlookers.identity(step, warp.moved(photo, warp.flow(velocity * time)), photo)
        return terms

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
            terms |= self._onlookers.identity(step, self._made(step), picture(batch["photo"]))
        if knobs.attributes:
            terms |= self._onlookers.attributes(self._made(step), picture(batch["photo"]))
        if knobs.texture:
            terms |= self._texture.deceived(step, self._made(step))
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

    def _made(self, step: Step) -> Tensor:
        """The whole translation of the batch's photos, at any strength and code; else what is painted alone."""

        def make() -> Tensor:
            if self.config.direction != "caricature":
                return self._painted_once(step)[0]
            photo, random = picture(step.batch["photo"]), step.random
            strength, code = STRONGEST * random.uniform(), random.normal(CODE_SIZE)
            with torch.no_grad():
                warped = step.networks["warp"](photo, strength, code, torch.ones_like(code[:, : len(PARTS)]))
            style = step.batch["other_style" if self.config.reader else "style"]
            drawn: Tensor = step.networks["painter"](warped, style)
            return drawn.float()

        return step.once("made", make)

    # Examples, and what is looked at

    def stream(self, data: Path) -> Stream:
        knobs, pack = self.config, Pack(data)
        rows = self._rows(pack, 0, len(pack) - knobs.apart)
        pairs: Stream = Shuffled(rows, knobs.seed)
        if knobs.prototypes:
            seen = in_order(rows, knobs.batch, len(rows))
            prototypes = self._onlookers.prototypes(seen, "image" if knobs.part == "warp" else "photo")
            pairs = Known(pairs, prototypes.numpy())
        return self._texture.beside(pairs, pack, knobs.side) if knobs.texture else pairs

    def _rows(self, pack: Pack, begin: int, end: int, *, varied: bool = True) -> Shapes | Drawings:
        """Of the part; `varied`: to learn from, not to be measured by."""
        knobs = self.config
        told = [*(["person"] if knobs.prototypes else []), *([knobs.matched] if knobs.matched else [])]
        for name in told:
            column(pack, name)
        if knobs.part == "warp":
            return Shapes(pack, begin, end, varied=varied, told=told)
        unseen = UNSEEN if varied and knobs.direction == "photo" else ""
        return Drawings(pack, knobs.side, begin, end, unseen=unseen, told=told)

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
        whole = networks | {"warp": published(networks["warp"].head, knobs.direction, knobs.side)}
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


def _grown(found: Tensors, network: nn.Module) -> Tensors:
    """The state with zeros for further inputs and for codes."""
    states = counted(found, network)
    for key, value in network.state_dict().items():
        if key.endswith("film.weight"):
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
