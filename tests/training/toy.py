"""A recipe that learns in a second: a line through noisy points, and a second network that follows the first."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from export.alignment import SQUARE_256
from export.contract import Contract
from training.data.streams import Shuffled
from training.engine.clock import Growth
from training.engine.phase import Networks, Phase, Step, adam, sgd
from training.engine.recipe import Plan, Recipe, Row, Sheet, Stream


@dataclass(frozen=True, kw_only=True)
class Config(Plan):
    images: int = 64
    batch: int = 8
    report: int = 16
    checkpoint: int = 32
    sheet: int = 0
    half_life: int = 100
    rate: float = 0.01
    noise: float = 0.1
    poison: int = -1
    """Images after which the loss is not a number."""


class Points:
    """y = 3 x - 1."""

    def __len__(self) -> int:
        return 20

    def row(self, index: int, random: np.random.Generator) -> Row:
        x = np.float32(index / 10 - 1)
        return {"x": x, "y": np.float32(3 * x - 1 + 0.01 * random.standard_normal())}


class Toy(Recipe):
    Config = Config
    averaged = ("line",)
    config: Config

    def networks(self) -> dict[str, nn.Module]:
        return {"line": nn.Linear(1, 1), "follower": nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))}

    def phases(self) -> tuple[Phase, ...]:
        return (
            Phase(name="fit", trains=("line",), loss=self.fit, optimiser=adam(self.config.rate), clip=100.0),
            Phase(name="small", trains=("line",), loss=self.small, shares="fit", every=4),
            Phase(name="follow", trains=("follower",), loss=self.follow, optimiser=sgd(self.config.rate)),
        )

    def fit(self, step: Step) -> Mapping[str, Tensor]:
        y = step.once("y", lambda: step.networks["line"](step.batch["x"][:, None]))
        wanted = step.batch["y"][:, None] + self.config.noise * step.random.normal(1)
        step.note("slope", step.networks["line"].weight.mean())
        poison = float("nan") if step.seen == self.config.poison else 1.0
        return {"square": poison * (y - wanted).square().mean()}

    def small(self, step: Step) -> Mapping[str, Tensor]:
        return {"weight": 1e-3 * step.networks["line"].weight.square().sum()}

    def follow(self, step: Step) -> Mapping[str, Tensor]:
        y = step.once("y", lambda: step.networks["line"](step.batch["x"][:, None])).detach()
        return {"square": (step.networks["follower"][0](step.batch["x"][:, None]) - y).square().mean()}

    def sources(self, data: Path) -> tuple[str, ...]:
        return ()

    def fingerprint(self, data: Path) -> str:
        return "points"

    def stream(self, data: Path) -> Stream:
        return Shuffled(Points(), self.config.seed)

    def sheet(self, networks: Networks, examples: Mapping[str, Tensor], random: object) -> Sheet:
        return np.zeros((1, len(examples["x"]), 4, 4, 3), np.uint8)

    def exported(self, networks: Networks) -> nn.Module:
        return networks["line"]

    def contract(self, provenance: Mapping[str, str]) -> Contract:
        return Contract("translator", SQUARE_256, (), {}, "image", (256, 256, 3), provenance=dict(provenance))


class Other(Toy):
    """The same by another name, with one more network."""

    def networks(self) -> dict[str, nn.Module]:
        torch.manual_seed(1)
        return {**super().networks(), "third": nn.Linear(2, 2)}


class Watched(Toy):
    """The same, which keeps what its first loss was shown."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.shown: list[list[float]] = []

    def fit(self, step: Step) -> Mapping[str, Tensor]:
        self.shown.append(step.batch["x"].tolist())
        return super().fit(step)


class Growing(Watched):
    """The same as of pictures that grow: at each arrival the batch is halved, and the optimiser forgets."""

    growth = Growth(start=4, end=16, hold=20, fade=10)

    def batch(self, seen: int) -> int:
        return 32 // self.growth.at(seen).resolution

    def phases(self) -> tuple[Phase, ...]:
        fit, _, follow = super().phases()
        return (replace(fit, renewed_at=self.growth.arrivals), follow)

    def fit(self, step: Step) -> Mapping[str, Tensor]:
        square = super().fit(step)["square"]
        return {"square": self.growth.at(step.seen).alpha * square}


class Uneven(Watched):
    """The same with what differs between processes: statistics of their rows, and a network that few rows teach."""

    def networks(self) -> dict[str, nn.Module]:
        return {**super().networks(), "few": nn.Linear(1, 1)}

    def phases(self) -> tuple[Phase, ...]:
        rare = Phase(name="rare", trains=("few",), loss=self.rare, optimiser=adam(self.config.rate))
        return (*super().phases(), rare)

    def follow(self, step: Step) -> Mapping[str, Tensor]:
        step.networks["follower"](step.batch["x"][:, None])
        return super().follow(step)

    def rare(self, step: Step) -> Mapping[str, Tensor]:
        chosen = step.batch["x"][step.batch["x"] > 0.75]
        if not len(chosen):
            return {"square": torch.zeros((), requires_grad=True)}
        return {"square": (step.networks["few"](chosen[:, None]) - 1).square().sum() / len(step.batch["x"])}
