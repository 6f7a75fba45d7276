"""Of photos that are made of drawings: whether a person is known by them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from training.console import told
from training.data.caricaturist import FaceSpace
from training.data.looks import STYLES
from training.data.painter import paint
from training.data.pairs import UNSEEN, exaggerated
from training.data.recognition import TEST, photos
from training.evaluation.cards.arguments import Data, Model, Packed
from training.evaluation.restoration import Eyes, People, recognised
from training.exported import Exported
from training.metrics.judge import sheet as contact_sheet


def photo(
    model: Model,
    translator: Model,
    packed: Packed,
    data: Data,
    strength: Annotated[float, typer.Option(help="of the drawings")] = 1.0,
    sheet: Annotated[Path | None, typer.Option(help="picture of 8 people a line, drawing above photo")] = None,
) -> None:
    """People of faces-id who are set aside are drawn, by the translator in its default look and by the procedural
    caricaturist in all of its own, and the drawings become photos.

    Of both dlib says in how many it finds a face, and in how many that is the nearest to another photo of the person;
    first of all of the photos that are drawn. The procedural caricaturist has their landmarks. Nothing was learnt from
    drawings in the look that is marked as unseen.
    """
    with told():
        restorer, drawer, space, eyes = Exported(model), Exported(translator), FaceSpace.load(packed), Eyes()
        template = restorer.contract.template
        assert template is not None
        rows = (each for each in photos(data) if each.split == TEST and each.source.startswith("faces-id"))
        people = People.of(rows, template)
        known = eyes.known(people.known, template)

        def judged(pictures: Sequence[np.ndarray]) -> dict[str, str]:
            return {
                name: f"{value:.3f}" for name, value in recognised(eyes.seen(pictures), people.persons, known).items()
            }

        typer.echo(json.dumps({"of": "photos themselves", "people": len(known)} | judged(people.photos)))
        drawn = {drawer.name: drawer.draw(people.photos, {"strength": strength})}
        landmarks = [eyes.landmarks(each, template) for each in people.photos]
        shaped = [exaggerated(*each, space, strength) for each in zip(people.photos, landmarks, strict=True)]
        for name, look in STYLES.items():
            drawn[f"{name}, unseen" if name == UNSEEN else name] = [paint(*each, look.style()) for each in shaped]
        pairs = []
        for name, drawings in drawn.items():
            made = restorer.draw(drawings, {})
            typer.echo(json.dumps({"of": name, "drawings": judged(drawings), "photos": judged(made)}))
            pairs += [*zip(drawings, made, strict=True)][:16:2]
        if sheet:
            contact_sheet(pairs).save(sheet)
