"""Of translators of one direction in several sizes: what each takes, and what it reaches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from training.console import told
from training.data.pictures import squared
from training.data.portraits import Portraits
from training.evaluation.cards.arguments import Packed
from training.exported import Exported
from training.metrics.judge import Judge, measure, sized

RUNS = 100


def tiers(
    packed: Packed,
    models: Annotated[list[Path], typer.Argument(help="models/NAME/VERSION each")],
    threads: Annotated[int, typer.Option(min=1, help="of the CPU that a run may take")] = 2,
) -> None:
    """Milliseconds (median of 100 lone runs), megabytes and weights, then dlib's figures of the drawings of people set
    aside, whose photos are given in the size that the model takes.
    """
    with told():
        people, judge = Portraits.load(packed / "set-aside.npz"), Judge()
        for folder in models:
            model = Exported(folder)
            assert model.contract.template is not None
            side = model.contract.template.width
            photos = [squared(photo, side) for photo in people.images]
            faces = [judge.face(sized(photo)) for photo in photos]
            drawn = zip(faces, model.draw(photos, {}), strict=True)
            cost = model.cost(RUNS, threads)
            figures = {
                "pixels": side,
                "ms": cost.latency.value,
                "MB": cost.bytes / 1e6,
                "weights": cost.weights / 1e6,
                **measure([(face, judge.face(sized(drawing))) for face, drawing in drawn if face is not None]),
            }
            typer.echo(json.dumps({"of": model.name} | {name: round(value, 3) for name, value in figures.items()}))
