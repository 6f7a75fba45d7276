"""Of cartoons: how far they are from drawings that nobody learnt from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from training.console import told
from training.data.cartoonist import cartoon as drawing
from training.data.portraits import Portraits, set_aside_drawings
from training.data.portraits import gather as gather_portraits
from training.evaluation.cards.arguments import Data, Model, Packed
from training.evaluation.evaluate import network
from training.exported import Exported
from training.metrics.distances import kernel
from training.metrics.features import described, labelled
from training.metrics.judge import sheet as contact_sheet


def cartoon(
    model: Model,
    encoder: Model,
    packed: Packed,
    data: Data,
    sheet: Annotated[Path | None, typer.Option(help="picture of the first 24 people, photo above cartoon")] = None,
) -> None:
    """The kernel distance by an encoder's features, and how much less it is than that of the photos themselves.

    Of 100 people set aside, what the procedural cartoonist draws, who has their landmarks, and what the model does.
    """
    with told():
        people, translator, eyes = Portraits.load(packed / "set-aside.npz"), Exported(model), network(str(encoder))
        photos = [*people.images]

        def features(pictures: Sequence[np.ndarray]) -> np.ndarray:
            return described(pictures, eyes, translator.contract.template)

        wanted = features([*gather_portraits(set_aside_drawings(data)).images])
        before, made = kernel(wanted, features(photos)), translator.draw(photos, {})
        faces = zip(photos, people.landmarks.astype(float), strict=True)
        drawn = {"procedural cartoonist": [drawing(*face).picture for face in faces], translator.name: made}
        typer.echo(json.dumps({"of": "photos themselves", labelled("kid", eyes): f"{before:.3f}"}))
        for name, pictures in drawn.items():
            after = kernel(wanted, features(pictures))
            less = round(1 - after.value / before.value, 3)
            typer.echo(json.dumps({"of": name, labelled("kid", eyes): f"{after:.3f}", "less": less}))
        if sheet:
            contact_sheet([*zip(photos[:24], made, strict=False)]).save(sheet)
