"""Of a classifier of attributes: how often it is right about faces set aside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from training.console import told
from training.data.attributes import ANSWERS
from training.data.pack import Pack
from training.data.recognition import TEST
from training.losses.frozen import classifier
from training.metrics.attributes import balanced
from training.metrics.classifier import told as classified
from training.metrics.interval import share


def attributes(
    run: Annotated[Path, typer.Argument(help="a run of the recipe attributes")],
    packed: Annotated[Path, typer.Argument(help="a pack with labels and faces set aside")],
) -> None:
    """How often it is right; drawings are asked about their smile a second time with the mouth upside down."""
    with told():
        judge, pack = classifier(run), Pack(packed).where("split", TEST)
        typer.echo("| faces | attribute | count | right | by answer | their mean |\n|---|---|---|---|---|---|")
        for each in classified(judge.network, pack, judge.size):
            names = ANSWERS[each.attribute]
            right = share(each.known == each.found, each.pictures)
            answers = [
                f"{names[code]} {(each.found[each.known == code] == code).mean():.2f} of {(each.known == code).sum()}"
                for code in np.unique(each.known)
            ]
            cells = [each.domain, each.attribute, f"{each.pictures}", f"{right:.3f}", ", ".join(answers)]
            typer.echo(f"| {' | '.join(cells)} | {balanced(each.known, each.found):.3f} |")
