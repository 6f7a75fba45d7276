"""Of a reader of styles: whether it names the look of a drawing."""

from __future__ import annotations

import json

import numpy as np
import typer

from export.contract import STYLE
from training.console import told
from training.data.looks import STYLES, nearest
from training.data.painter import paint
from training.data.portraits import Portraits
from training.evaluation.cards.arguments import Model, Packed
from training.exported import Exported


def styles(
    model: Model,
    translator: Model,
    packed: Packed,
) -> None:
    """Of every fourth person set aside, drawn by the painter's rules in every look: which share is read as that look.

    Somebody else is then drawn in the style that was read: how far that is from the true style's drawing, and how far
    those of other looks are from it, as mean differences of colour, 0..1.
    """
    with told():
        people, reader, drawer = Portraits.load(packed / "set-aside.npz"), Exported(model), Exported(translator)
        rows = range(0, len(people), 4)
        others = [people.images[(row + 37) % len(people)] for row in rows]
        named = {name: np.stack(drawer.draw(others, {STYLE: name})) / 255 for name in STYLES}
        for name, look in STYLES.items():
            drawings = [paint(people.images[row], people.landmarks[row].astype(float), look.style()) for row in rows]
            read = reader.run(drawings, [{}] * len(drawings))
            redrawn = drawer.run(others, [{STYLE: style} for style in read]) / 255
            away = {each: float(np.abs(named[name] - drawn).mean()) for each, drawn in named.items() if each != name}
            figures = {
                "named": float(np.mean([nearest(style) == name for style in read])),
                "difference": float(np.abs(named[name] - redrawn).mean()),
                "of other looks": float(np.mean([*away.values()])),
            }
            typer.echo(json.dumps({"of": name} | {key: round(value, 3) for key, value in figures.items()}))
