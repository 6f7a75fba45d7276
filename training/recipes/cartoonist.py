"""Photos to cartoons in flat colours: which material lies where, and what its colour is, learnt from pairs.

Paper: none; a U-Net (Ronneberger et al. 2015) tells materials apart and chooses their colours. Data: a pack of
cartoons, whose photos have a cartoon's proportions. What gives a photo those is a warp that the recipe `satnet_r`
learns; an export joins the two (docs/satnet-r.md).

    likeness train cartoonist --data runs/cartoons.pack --into runs/cartoonist
    likeness export runs/cartoonist --to models/cartoon/2 --set joined=runs/cartoon-warp

Each step:

    cross-entropy of materials, rare ones weighing more + ||colour - the wanted one|| of those that are there
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training import painting
from training.data.materials import Material
from training.data.pack import Pack
from training.data.paired import Cartoons
from training.engine.checkpoint import Tensors
from training.engine.errors import RecipeError
from training.engine.phase import Batch, Networks, Step
from training.engine.randomness import Random
from training.engine.recipe import Sheet
from training.networks.painters import FlatPainter, coloured
from training.networks.pixels import picture, pixels, signed
from training.networks.satnet_r import Cartoonist
from training.networks.warp import FRAME

NEARLY = 1e-4
"""Within the root of a distance, whose gradient at zero is infinite."""
WEIGHTS = {
    Material.GROUND: 0.6,
    Material.INK: 2.5,
    Material.SKIN: 0.9,
    Material.HAIR: 1.2,
    Material.LIGHT: 3.0,
    Material.BROW: 5.0,
    Material.IRIS: 4.5,
    Material.WHITE: 4.5,
    Material.FRAME: 5.0,
    Material.HAIRLINE: 3.0,
}
"""Of a pixel, about the root of how rare its material is."""


@dataclass(frozen=True, kw_only=True)
class Config(painting.Painting):
    images: int = 48_000
    batch: int = 12
    half_life: int = 2_000
    checkpoint: int = 3_000
    sheet: int = 3_000
    measure: int = 3_000
    measured: int = 300
    colour: float = 1.0
    """The weight of colours beside that of materials."""
    balance: float = 1.0
    """The power to which WEIGHTS are taken; 0: every pixel counts alike. Where a line is uncertain, more draws more."""

    def __post_init__(self) -> None:
        super().__post_init__()
        # 128 is for small machines, and for what comes before the last edges.
        if self.side not in (FRAME // 2, FRAME):
            raise RecipeError(f"side: must be {FRAME // 2} or {FRAME}, not {self.side}")
        if self.width % 2:
            raise RecipeError(f"width: must be even, not {self.width}")


class Recipe(painting.Recipe):
    """The painter in flat colours."""

    Config = Config
    kind, painter, direction, graph = "cartoon", "flat", "cartoon", Cartoonist
    config: Config

    @staticmethod
    def width(state: Tensors) -> int:
        return 2 * len(state["stem.0.weight"])

    def networks(self) -> dict[str, nn.Module]:
        return {"flat": FlatPainter(self.config.side, self.config.width)}

    def loss(self, step: Step) -> Mapping[str, Tensor]:
        """Which material lies where, and the colours of those that are there."""
        batch = step.batch
        scores, colours = step.networks["flat"](picture(batch["photo"]))
        regions = batch["regions"].long()
        there = torch.zeros_like(colours[..., 0]).scatter_(1, regions.flatten(1), 1.0)
        # Not squared, so that between two colours it is one of them; nor by channel, where that might be a third.
        off = ((colours.float() - signed(batch["palette"])).square().sum(-1) + NEARLY).sqrt()
        weight = torch.tensor([WEIGHTS[each] ** self.config.balance for each in Material], device=regions.device)
        return {
            "regions": F.cross_entropy(scores.float(), regions, weight),
            "palette": self.config.colour * (there * off).sum() / there.sum(),
        }

    def rows(self, pack: Pack, begin: int, end: int, *, varied: bool) -> Cartoons:
        return Cartoons(pack, self.config.side, begin, end)

    def sheet(self, networks: Networks, examples: Batch, random: Random) -> Sheet:
        """Photos, what is wanted of them, and what is painted."""
        photo = picture(examples["photo"])
        rows = [photo, picture(examples["drawing"]), coloured(*networks["flat"](photo))]
        return torch.stack([pixels(row) for row in rows]).cpu().numpy()

    def measured(self, networks: Networks, batch: Batch) -> Mapping[str, float]:
        """How far colours are off, and how many pixels are taken for another material."""
        scores, colours = networks["flat"](picture(batch["photo"]))
        off = F.l1_loss(coloured(scores, colours), picture(batch["drawing"]))
        return {"colour": float(off), "missed": missed(scores, batch["regions"].long())}


def missed(scores: Tensor, regions: Tensor) -> float:
    """The share of a material's pixels [B, H, W] that scores [B, M, H, W] take for another, mean of all materials."""
    wrong = (scores.argmax(1) != regions).flatten().float()
    among = [wrong[regions.flatten() == each] for each in Material]
    return float(torch.stack([each.mean() for each in among if len(each)]).mean())
