"""Drawings for a face encoder: what a translator makes of photos, with all that is known of those.

    python -m training.data.drawn FACES.pack models/caricature/7 MORE.pack

A photo and its drawing share the person and the teacher's descriptor, so that an encoder learns to see through paint
and exaggeration. Half of the looks are the translator's own, half random; exaggerations differ in strength and kind.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from export.contract import STYLE, Contract, Value
from training.console import told, watched
from training.data import dlib_networks
from training.data.disguise import Rng
from training.data.errors import DataError
from training.data.pack import Pack, write
from training.data.recognition import FRAME, TRAIN, Faces, realigned
from training.exported import Exported

STRENGTHS = 0.5, 2.0
BATCH = 64


def drawings(translator: Exported, faces: Faces, seed: int = 0) -> Faces:
    """The faces as they are drawn, one drawing each; all else is the photo's."""
    rng, contract = np.random.default_rng(seed), translator.contract
    if contract.template is None or contract.output != "image":
        raise DataError(f"{translator.name} draws no faces")
    made = []
    for rows in watched(np.array_split(np.arange(len(faces)), -(-len(faces) // BATCH)), "drawing"):
        photos = [realigned(crop, FRAME, contract.template) for crop in faces.crops[rows]]
        drawn = contract.images(translator.run(photos, [request(contract, rng) for _ in photos]))
        made += [realigned(drawing, contract.template, FRAME) for drawing in drawn]
    return replace(faces, crops=np.stack(made))


def request(contract: Contract, rng: Rng) -> Mapping[str, Value]:
    """How one drawing is asked for: the controls that the translator has of strength, code and style."""
    found: dict[str, Value] = {}
    for control in contract.controls:
        numbers = rng.normal(size=control.shape).clip(control.low, control.high)
        if control.name == "strength":
            found["strength"] = float(rng.uniform(*STRENGTHS))
        elif control.name == STYLE and contract.styles and rng.random() < 0.5:
            found[STYLE] = contract.styles[str(rng.choice(sorted(contract.styles)))]
        elif control.name in (STYLE, "code"):
            found[control.name] = tuple(map(float, numbers))
    return found


def main(
    packed: Annotated[Path, typer.Argument(help="by training.data.recognition")],
    translator: Annotated[Path, typer.Argument(help="models/NAME/VERSION")],
    into: Annotated[Path, typer.Argument(help="the pack that is written: all of that one, and the drawings")],
    seed: int = 0,
) -> None:
    """Pack faces, and a drawing of each that may be learnt from."""
    with told():
        faces, teacher = Faces.of(Pack(packed)), dlib_networks.recogniser_name()
        drawn = drawings(Exported(translator), faces[np.flatnonzero(faces.splits == TRAIN)], seed)
        write(into, itertools.chain(faces.examples(teacher), drawn.examples(teacher)))


if __name__ == "__main__":
    typer.run(main)
