"""What recipes have in common that learn to paint what a warp of `satnet_r` has moved."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from export.contract import Contract
from export.precision import Stored
from training.contracts.satnet_r import KINDS
from training.data.pack import Pack
from training.data.paired import opened
from training.data.streams import Rows, Shuffled, in_order
from training.engine import recipe as engine
from training.engine.checkpoint import Tensors
from training.engine.clock import half_cosine
from training.engine.errors import CheckpointError, RecipeError
from training.engine.phase import Batch, Networks, Phase, Step, adamw
from training.engine.recipe import Measured, Plan, Positive, Share, Stream
from training.engine.run import Run
from training.metrics.deviation import agreed
from training.networks.folded import counted
from training.networks.warp import FRAME, WarpHead, published

WARP = "satnet_r"
"""The recipe of what an export is joined with."""
ALIKE = 1.0
"""How far a picture by shortened weights may be off on average, levels of 255."""


@dataclass(frozen=True, kw_only=True)
class Painting(Plan):
    """The settings."""

    side: int = FRAME
    """Of pictures."""
    width: Positive = 24
    apart: int = 300
    """The last pairs are for measures alone."""
    rate: float = 2e-3
    decay: float = 1e-2
    warm_up: Share = 0.02
    clip: float = 1.0
    joined: str = ""
    """A run of `satnet_r` with part=warp, of which an export takes the warp."""


class Recipe(engine.Recipe):
    """The painter alone; a warp comes to it when it is exported."""

    float16 = True
    free = frozenset({"joined"})
    config: Painting
    kind: ClassVar[str]
    """Of pack, in `paired.COLUMNS`."""
    painter: ClassVar[str]
    """The name of its network."""
    direction: ClassVar[str]
    """Of the warp."""
    graph: ClassVar[type[nn.Module]]
    """Of both."""

    def __init__(self, config: Painting) -> None:
        """With the warp's origins, if it is joined. RunError if that is no run."""
        super().__init__(config)
        self.averaged = (self.painter,)
        if config.joined:
            self.config = engine.joined(config, Run(Path(config.joined)).facts()["settings"])

    @classmethod
    def imported(cls, state: Tensors, source: str) -> tuple[dict[str, Any], dict[str, Tensors]]:
        """The painter of a published translator."""
        name = cls.painter
        found = {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
        try:
            settings = {"width": cls.width(found)}
        except KeyError as error:
            raise CheckpointError(f"{source} is no {cls.graph.__name__.lower()}: it has no {name}.{error}") from None
        return settings, {name: counted(found, cls(cls.Config(**settings)).networks()[name])}

    @staticmethod
    @abstractmethod
    def width(state: Tensors) -> int:
        """Of the painter with these weights; KeyError names one that is not there."""

    def phases(self) -> tuple[Phase, ...]:
        knobs = self.config
        return (
            Phase(
                name="paint",
                trains=(self.painter,),
                loss=self.loss,
                optimiser=adamw(knobs.rate, decay=knobs.decay),
                schedule=half_cosine(knobs.images, round(knobs.warm_up * knobs.images)),
                clip=knobs.clip,
            ),
        )

    def sources(self, data: Path) -> Sequence[str]:
        """Those of the geometry too."""
        return [*super().sources(data), *self._pack(data).present("geometry")]

    def stream(self, data: Path) -> Stream:
        pack = self._pack(data)
        return Shuffled(self.rows(pack, 0, len(pack) - self.config.apart, varied=True), self.config.seed)

    @torch.no_grad()
    def measure(self, networks: Networks, data: Path) -> Measured:
        """On pairs that were set apart."""
        knobs, device = self.config, next(networks[self.painter].parameters()).device
        batches = in_order(self._apart(data), knobs.batch, knobs.measured, device)
        found = [self.measured(networks, batch) for batch in batches]
        return Measured({name: float(np.mean([each[name] for each in found])) for name in found[0]} if found else {})

    def _apart(self, data: Path) -> Rows:
        pack = self._pack(data)
        return self.rows(pack, len(pack) - self.config.apart, len(pack), varied=False)

    def _pack(self, data: Path) -> Pack:
        return opened(data, self.kind, self.config.apart)

    @abstractmethod
    def rows(self, pack: Pack, begin: int, end: int, *, varied: bool) -> Rows:
        """Pairs of a pack, each with a `photo`; `varied`: to learn from, not to be measured by."""

    @abstractmethod
    def loss(self, step: Step) -> Mapping[str, torch.Tensor]:
        """Of a step's batch."""

    @abstractmethod
    def measured(self, networks: Networks, batch: Batch) -> Mapping[str, float]:
        """How far off what is painted of a batch is."""

    def exported(self, networks: Mapping[str, nn.Module]) -> nn.Module:
        """The graph of the warp that is joined and the painter; RecipeError if there is none."""
        if not self.config.joined:
            raise RecipeError("a painter needs a warp: --set joined=RUN says which run has learnt it")
        settings, averages = Run(Path(self.config.joined)).averages(WARP)
        if (settings.get("direction", "caricature"), settings["part"]) != (self.direction, "warp"):
            raise RecipeError(f"joined: {self.config.joined} has learnt no warp of direction={self.direction}")
        head = WarpHead(settings["warp_width"])
        head.load_state_dict({key.removeprefix("head."): value for key, value in averages["warp"].items()})
        warp = published(head, self.direction, self.config.side)
        return self.graph(warp, networks[self.painter]).eval()

    def agreed(self, network: nn.Module, short: nn.Module, stored: Stored, data: Path) -> Mapping[str, float]:
        """How far pictures are off on pairs that were set apart; ParityError beyond ALIKE."""
        rows, random = self._apart(data), np.random.default_rng(0)
        photos = (rows.row(index, random)["photo"] for index in range(len(rows)))
        return agreed(network, short, self.contract({}), photos, stored, ALIKE)

    def contract(self, provenance: Mapping[str, str]) -> Contract:
        return KINDS[self.direction].contract(self.config.side, provenance)
