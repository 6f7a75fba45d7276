"""The runs of the variants in one folder, all with one budget."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from training.data.pack import Example, Pack, write
from training.data.sources import DRAWING
from training.engine import checkpoint
from training.engine.drafts import drafted
from training.engine.errors import RunError
from training.engine.recipe import configured
from training.engine.run import Run
from training.engine.session import Session
from training.evaluation.ablations.variants import BASE, VARIANTS, Variant, named
from training.recipes.satnet_r import NAME, Recipe

BUDGET, DRAWN = "budget.json", "drawn.pack"
"""Files beside the runs: what all were trained and judged with, and the discriminator's drawings."""


@dataclass(frozen=True)
class Runs:
    """The variants' runs in a folder."""

    into: Path
    shapes: Mapping[str, Path]
    """Packs, by what they are taught by."""
    drawings: Path
    images: Mapping[str, int]
    """Of each run, by budget."""
    classifier: Path | None = None
    """A run of the recipe `attributes`, for the variant in whose loss it stands."""

    def trained(self, variant: Variant) -> Path:
        """The run whose networks are the variant's, at its end; what it begins from is trained first.

        Raises TrainingError, and KeyboardInterrupt if somebody interrupts.
        """
        if variant.run:
            return self.trained(named(variant.run))
        folder, paints = self.into / variant.name, variant.part == "paint"
        begin_from = self.trained(named(variant.begins)) if variant.begins else None
        session = Session(NAME, self._settings(variant), folder)
        if not session.train(self.drawings if paints else self.shapes[variant.taught], begin_from=begin_from):
            raise KeyboardInterrupt
        return folder

    def _settings(self, variant: Variant) -> Mapping[str, Any]:
        settings = {**BASE, "images": self.images[variant.budget], "part": variant.part, **variant.settings}
        if settings.get("texture"):
            settings["drawings"] = str(self._drawn)
        if settings.get("attributes"):
            settings["classifier"] = str(self.classifier)
        return settings

    @cached_property
    def _drawn(self) -> Path:
        """Drawings without their photos, of the pairs that are learnt from: what a discriminator takes for drawings.

        With what the pack tells of them that variants ask for.
        """
        path, pack = self.into / DRAWN, Pack(self.drawings)
        if not path.exists():
            sources = [pack.names["source"][code] for code in pack.columns["source"][: -BASE["apart"]]]
            halves = (np.hsplit(pack.image(index), 2)[1] for index in range(len(sources)))
            names = ({"domain": DRAWING, "source": source} for source in sources)
            told = {each.settings["matched"] for each in VARIANTS if "matched" in each.settings} & pack.columns.keys()
            numbers = ({name: pack.columns[name][index] for name in told} for index in range(len(sources)))
            write(path, map(Example, halves, names, numbers))
        return path


def weights(folder: Path, *, averaged: bool) -> Mapping[str, nn.Module]:
    """The networks of a run, or the averages of them."""
    run = Run(folder)
    state = run.state(NAME)
    if state is None:
        raise RunError(f"{folder} has no checkpoint yet")
    recipe = configured(Recipe, run.facts()["settings"])
    networks = {name: network.eval() for name, network in recipe.networks().items() if name in recipe.averaged}
    found = checkpoint.unpacked("averages" if averaged else "networks", state[0])
    checkpoint.restore(networks, found, str(run.latest))
    return networks


def keep_to(into: Path, budget: Mapping[str, int]) -> None:
    """RunError if the folder was begun with another budget, whose figures cannot be compared with these."""
    path = into / BUDGET
    if path.exists():
        if (known := json.loads(path.read_text())) != budget:
            raise RunError(f"{into} was begun with {known}; it cannot go on with {budget}")
        return
    into.mkdir(parents=True, exist_ok=True)
    with drafted(path) as draft:
        draft.write_text(json.dumps(budget) + "\n")
