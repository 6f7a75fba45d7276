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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.contract import Contract
from export.precision import Stored
from training.contracts.satnet_r import KINDS
from training.data.materials import Material
from training.data.paired import Cartoons, opened
from training.data.streams import Shuffled, in_order
from training.engine import recipe as engine
from training.engine.checkpoint import Tensors
from training.engine.clock import half_cosine
from training.engine.errors import CheckpointError, RecipeError
from training.engine.phase import Batch, Networks, Phase, Step, adamw
from training.engine.randomness import Random
from training.engine.recipe import Measured, Plan, Positive, Share, Sheet, Stream
from training.engine.run import Run
from training.metrics.deviation import agreed
from training.networks.painters import FlatPainter, coloured
from training.networks.pixels import picture, pixels, signed
from training.networks.satnet_r import Cartoonist
from training.networks.warp import FRAME, Warp, WarpHead

WARP = "satnet_r"
"""The recipe of what an export is joined with."""
ALIKE = 1.0
"""How far a picture by shortened weights may be off on average, levels of 255."""
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
class Config(Plan):
    images: int = 48_000
    batch: int = 12
    half_life: int = 2_000
    checkpoint: int = 3_000
    sheet: int = 3_000
    measure: int = 3_000
    measured: int = 300
    side: int = FRAME
    """Of pictures; 128 is for small machines, and for what comes before the last edges."""
    width: Positive = 24
    apart: int = 300
    """The last pairs are for measures alone."""
    rate: float = 2e-3
    decay: float = 1e-2
    warm_up: Share = 0.02
    clip: float = 1.0
    colour: float = 1.0
    """The weight of colours beside that of materials."""
    balance: float = 1.0
    """The power to which WEIGHTS are taken; 0: every pixel counts alike. Where a line is uncertain, more draws more."""
    joined: str = ""
    """A run of `satnet_r` with direction=cartoon and part=warp, of which an export takes the warp."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.side not in (FRAME // 2, FRAME):
            raise RecipeError(f"side: must be {FRAME // 2} or {FRAME}, not {self.side}")
        if self.width % 2:
            raise RecipeError(f"width: must be even, not {self.width}")


class Recipe(engine.Recipe):
    """The painter alone; a warp comes to it when it is exported."""

    Config = Config
    averaged = ("flat",)
    float16 = True
    free = frozenset({"joined"})
    config: Config

    def __init__(self, config: Config) -> None:
        """With the warp's origins, if it is joined. RunError if that is no run."""
        super().__init__(config)
        if config.joined:
            self.config = engine.joined(config, Run(Path(config.joined)).facts()["settings"])

    @classmethod
    def imported(cls, state: Tensors, source: str) -> tuple[dict[str, Any], dict[str, Tensors]]:
        """The painter of a published cartoonist."""
        found = {key.removeprefix("flat."): value for key, value in state.items() if key.startswith("flat.")}
        if "stem.0.weight" not in found:
            raise CheckpointError(f"{source} is no cartoonist: it has no painter in flat colours")
        settings = {"width": 2 * len(found["stem.0.weight"])}
        own = cls(Config(**settings)).networks()["flat"].state_dict()
        counters = {key: torch.zeros_like(value) for key, value in own.items() if key.endswith("num_batches_tracked")}
        return settings, {"flat": counters | found}

    def sources(self, data: Path) -> Sequence[str]:
        """Those of the proportions too."""
        return [*super().sources(data), *opened(data, "cartoon", self.config.apart).present("geometry")]

    def networks(self) -> dict[str, nn.Module]:
        return {"flat": FlatPainter(self.config.side, self.config.width)}

    def phases(self) -> Sequence[Phase]:
        knobs = self.config
        return (
            Phase(
                name="paint",
                trains=("flat",),
                loss=self.loss,
                optimiser=adamw(knobs.rate, decay=knobs.decay),
                schedule=half_cosine(knobs.images, round(knobs.warm_up * knobs.images)),
                clip=knobs.clip,
            ),
        )

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

    def stream(self, data: Path) -> Stream:
        pack = opened(data, "cartoon", self.config.apart)
        return Shuffled(Cartoons(pack, self.config.side, 0, len(pack) - self.config.apart), self.config.seed)

    def sheet(self, networks: Networks, examples: Batch, random: Random) -> Sheet:
        """Photos, what is wanted of them, and what is painted."""
        photo = picture(examples["photo"])
        rows = [photo, picture(examples["drawing"]), coloured(*networks["flat"](photo))]
        return torch.stack([pixels(row) for row in rows]).cpu().numpy()

    @torch.no_grad()
    def measure(self, networks: Networks, data: Path) -> Measured:
        """On pairs that were set apart: how far colours are off, and how many pixels are taken for another material."""
        knobs, found = self.config, list[Mapping[str, float]]()
        device = next(networks["flat"].parameters()).device
        for batch in in_order(self._apart(data), knobs.batch, knobs.measured, device):
            scores, colours = networks["flat"](picture(batch["photo"]))
            off = F.l1_loss(coloured(scores, colours), picture(batch["drawing"]))
            found.append({"colour": float(off), "missed": missed(scores, batch["regions"].long())})
        return Measured({name: float(np.mean([each[name] for each in found])) for name in found[0]} if found else {})

    def _apart(self, data: Path) -> Cartoons:
        pack = opened(data, "cartoon", self.config.apart)
        return Cartoons(pack, self.config.side, len(pack) - self.config.apart, len(pack))

    def exported(self, networks: Networks) -> nn.Module:
        """The cartoonist of the warp that is joined and the painter; RecipeError if there is none."""
        if not self.config.joined:
            raise RecipeError("a cartoonist needs a warp: --set joined=RUN says which run has learnt it")
        settings, averages = Run(Path(self.config.joined)).averages(WARP)
        if (settings.get("direction"), settings["part"]) != ("cartoon", "warp"):
            raise RecipeError(f"joined: {self.config.joined} has no warp to a cartoon's proportions")
        head = WarpHead(settings["warp_width"])
        warp = Warp(head, self.config.side).eval()
        warp.load_state_dict(averages["warp"])
        return Cartoonist(warp, cast(FlatPainter, networks["flat"])).eval()

    def agreed(self, network: nn.Module, short: nn.Module, stored: Stored, data: Path) -> Mapping[str, float]:
        """How far pictures are off on pairs that were set apart; ParityError beyond ALIKE."""
        rows, random = self._apart(data), np.random.default_rng(0)
        photos = (rows.row(index, random)["photo"] for index in range(len(rows)))
        return agreed(network, short, self.contract({}), photos, stored, ALIKE)

    def contract(self, provenance: Mapping[str, str]) -> Contract:
        return KINDS["cartoon"].contract(self.config.side, provenance)


def missed(scores: Tensor, regions: Tensor) -> float:
    """The share of a material's pixels [B, H, W] that scores [B, M, H, W] take for another, mean of all materials."""
    wrong = (scores.argmax(1) != regions).flatten().float()
    among = [wrong[regions.flatten() == each] for each in Material]
    return float(torch.stack([each.mean() for each in among if len(each)]).mean())
