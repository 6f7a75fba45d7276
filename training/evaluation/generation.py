"""A generator: faces out of numbers, beside real ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from export.alignment import Image
from training.evaluation.comparison import compare
from training.evaluation.findings import Findings, Sheet
from training.evaluation.gallery import Gallery
from training.exported import Exported, Request
from training.metrics.diversity import diversity
from training.metrics.features import Network

NOISE = "z"
COLUMNS, ROWS = 8, 4  # of the sheet
GROUP = 4
"""Faces among which diversity is measured."""


def evaluate(
    model: Exported, photos: Gallery, real: Gallery | Path, networks: Sequence[Network], request: Request
) -> Findings:
    """As many faces as there are photos: their distance from real ones, and how much they differ.

    ControlError without `z`.
    """
    control, random = model.contract.control(NOISE), np.random.default_rng(0)
    numbers = [control.draw(random) for _ in range(max(GROUP, len(photos)))]
    made: list[Image] = model.contract.images(model.run([], [{**request, NOISE: z} for z in numbers]))
    found = Findings(counts={"real": len(real)} if isinstance(real, Gallery) else {})
    found.counts["made"] = len(made)
    compare(found, networks, real, None, ("", made))
    groups = [np.stack(made[begin : begin + GROUP]) for begin in range(0, len(made) - GROUP + 1, GROUP)]
    found.figures["diversity"] = diversity(groups)
    rows = [made[begin : begin + COLUMNS] for begin in range(0, min(len(made), ROWS * COLUMNS), COLUMNS)]
    found.sheets.append(Sheet("Faces by seed", [""] * len(rows), rows))
    return found
