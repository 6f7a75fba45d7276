"""A distance in the loop, as SATNet's trainer had FID: how far what a run's averages make is from its data.

By dlib's recogniser, which is there without a network: the figure is comparable with those of the same run, and of
runs on the same data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from export.alignment import Image, Template
from training.data.pack import Pack
from training.data.views import Views
from training.engine.recipe import Measured
from training.metrics.distances import Features, distances
from training.metrics.features import BATCH, Dlib, described, labelled


@dataclass(frozen=True)
class Sample:
    """Some pictures of a pack, always the same: never mirrored, and cut in the middle alone."""

    data: Path
    side: int
    count: int
    """At most."""
    domain: str = ""
    template: Template | None = None
    """The frame that they show, where it is known."""
    height: int | None = None
    """Where they are no squares; `side` is their width."""
    margin: float = 0.0
    """As of training.data.views.Views."""

    def __iter__(self) -> Iterator[Image]:
        """uint8 [height, side, 3]."""
        pack = Pack(self.data)
        if self.domain:
            pack = pack.where("domain", self.domain)
        views = Views(pack, self.side, self.height, margin=self.margin, varied=False)
        random = np.random.default_rng(0)
        for index in random.permutation(len(pack))[: self.count]:
            yield views.row(int(index), random)["image"]

    def batches(self, device: torch.device) -> Iterator[Tensor]:
        """uint8 [B, height, side, 3]."""
        pictures = torch.from_numpy(np.stack(list(self)))
        return (some.to(device) for some in pictures.split(BATCH))


@torch.no_grad()
def distances_in_loop(real: Sample, made: Iterable[Tensor]) -> Measured:
    """The distances of batches uint8 [B, S, S, 3] from the sample, by name: those that it is large enough for."""
    pictures = (each for batch in made for each in batch.cpu().numpy())
    found, refused = distances(_known(real), described(pictures, _network(), real.template))
    return Measured({labelled(name, _network()): value.value for name, value in found.items()}, refused)


@lru_cache(maxsize=1)
def _network() -> Dlib:
    return Dlib()


@lru_cache(maxsize=1)
def _known(real: Sample) -> Features:
    return described(real, _network(), real.template)
