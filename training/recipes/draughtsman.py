"""Photos to drawings in any look: what a hand sees in a photo is learnt, how it is laid down is a formula.

Paper: none; the layers are those of flow-based image abstraction (Kang et al. 2007, Kyprianidis et al. 2009), seen by
a U-Net (Ronneberger et al. 2015). Data: a pack of layers, whose photos are exaggerated. What exaggerates a photo is a
warp that the recipe `satnet_r` learns; an export joins the two (docs/satnet-r.md).

    likeness train draughtsman --data runs/layers.pack --into runs/draughtsman
    likeness export runs/draughtsman --to models/caricature/7 --set joined=runs/warp

Each step, L being layers and D(L, s) the drawing that is laid down from them in a random style:

    |L - wanted| + |D(L, s) - D(wanted, s)| + 3 edges + lines
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training import painting
from training.data.looks import BLACKEST, STYLES, Layers, Look, laid_down, strokes
from training.data.pack import Pack
from training.data.paired import Layered, layers_of
from training.engine.checkpoint import Tensors
from training.engine.errors import RecipeError
from training.engine.phase import Batch, Networks, Step
from training.engine.randomness import Random
from training.engine.recipe import Sheet
from training.losses.reconstruction import edges, fine_lines
from training.networks.painters import LayerPainter
from training.networks.pixels import picture, pixels
from training.networks.satnet_r import Draughtsman
from training.networks.warp import FRAME

SHOWN = tuple(STYLES)[:4]
"""Styles on a sheet."""


@dataclass(frozen=True, kw_only=True)
class Config(painting.Painting):
    images: int = 48_000
    batch: int = 6
    half_life: int = 2_000
    checkpoint: int = 3_000
    sheet: int = 3_000
    measure: int = 3_000
    measured: int = 300
    paint: float = 2.0
    lines: float = 1.0
    where: float = 0.5
    lightness: float = 1.0
    colour: float = 1.0
    edges: float = 3.0
    strokes: float = 1.0
    """The weight of fine lines of the drawing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.side not in (FRAME, 2 * FRAME):
            raise RecipeError(f"side: must be {FRAME} or {2 * FRAME}, not {self.side}")


class Recipe(painting.Recipe):
    """What sees layers."""

    Config = Config
    # What is seen is seen in 256 x 256 pixels of any picture.
    free = frozenset({"joined", "side"})
    kind, painter, direction, graph = "layers", "layers", "caricature", Draughtsman
    config: Config

    @staticmethod
    def width(state: Tensors) -> int:
        return len(state["fine.0.0.weight"])

    def networks(self) -> dict[str, nn.Module]:
        return {"layers": LayerPainter(self.config.side, self.config.width)}

    def loss(self, step: Step) -> Mapping[str, Tensor]:
        """How far layers are off, and a drawing that is laid down from them."""
        knobs, batch = self.config, step.batch
        made, wanted = step.networks["layers"](picture(batch["photo"])), layers_of(batch)
        drawing, original = (_drawn(each, batch["style"]) for each in (made, wanted))
        return {
            "paint": knobs.paint * F.l1_loss(made.paint, wanted.paint),
            "lines": knobs.lines * F.l1_loss(made.lines.clamp(-BLACKEST, BLACKEST), wanted.lines) / BLACKEST,
            "where": knobs.where
            * (F.l1_loss(made.attention, wanted.attention) + F.l1_loss(made.painted, wanted.painted)),
            "lightness": knobs.lightness * F.l1_loss(made.lightness, wanted.lightness) / 100,
            "colour": knobs.colour * F.l1_loss(drawing, original),
            "edges": knobs.edges * edges(drawing, original),
            "strokes": knobs.strokes * fine_lines(drawing, original),
        }

    def rows(self, pack: Pack, begin: int, end: int, *, varied: bool) -> Layered:
        return Layered(pack, self.config.side, begin, end, varied=varied)

    def sheet(self, networks: Networks, examples: Batch, random: Random) -> Sheet:
        """Photos; in each of some styles what is wanted of them, and what is drawn."""
        photo = picture(examples["photo"])
        both, rows = (layers_of(examples), networks["layers"](photo)), [photo]
        for name in SHOWN:
            style = torch.tensor(STYLES[name].style(), device=photo.device).expand(len(photo), -1)
            rows += [_drawn(each, style) for each in both]
        return torch.stack([pixels(row) for row in rows]).cpu().numpy()

    def measured(self, networks: Networks, batch: Batch) -> Mapping[str, float]:
        """How far colours and edges of drawings are off, each in a style of its own."""
        made = networks["layers"](picture(batch["photo"]))
        drawing, original = (_drawn(each, batch["style"]) for each in (made, layers_of(batch)))
        return {"colour": float(F.l1_loss(drawing, original)), "edges": float(edges(drawing, original))}


def _drawn(layers: Layers, style: Tensor) -> Tensor:
    """The drawing [B, 3, S, S], -1..1, in styles [B, 10]."""
    return 2 * laid_down(layers, Look.from_style(style), strokes(layers.paint.shape[-1]).to(style.device)) - 1
