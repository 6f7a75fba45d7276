"""Of a caricature, beside the procedural caricaturist: every strength and look of people set aside."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from training.console import told
from training.data.caricaturist import FaceSpace, artists_slope
from training.data.looks import DEFAULT
from training.data.painter import paint
from training.data.pairs import exaggerated
from training.data.portraits import Portraits
from training.data.portraits import gather as gather_portraits
from training.evaluation.cards.arguments import Model, Packed
from training.exported import Exported
from training.metrics.judge import Face, Judge, measure
from training.metrics.judge import sheet as contact_sheet
from training.metrics.lips import reddened_rate, redness

STRENGTHS = (0.0, 0.5, 1.0, 2.0, 3.0)


def caricature(
    model: Model,
    packed: Packed,
    sheet: Annotated[Path | None, typer.Option(help="picture of the first 24 people, photo above drawing")] = None,
) -> None:
    """Judged by dlib: every strength in the default look, every look; last what the procedural caricaturist reaches.

    That one has the photos' landmarks. The first line is about the artists, the slope of whose moves on what is
    particular about a face would be 1 if they doubled it.
    """
    with told():
        people, space, judge = Portraits.load(packed / "set-aside.npz"), FaceSpace.load(packed), Judge()
        translator, photos = Exported(model), [*people.images]
        with np.load(packed / "artists.npz") as artists:
            slope = artists_slope(space, artists["before"], artists["after"])
        typer.echo(json.dumps({"slope of the artists' moves on the deviation": round(slope, 3)}))
        show = reporter(judge, photos)
        for strength in STRENGTHS:
            show(f"strength {strength:g}", translator.draw(photos, {"strength": strength}))
        for style in translator.contract.styles:
            show(f"style {style}", translator.draw(photos, {"style": style}))
        show("procedural caricaturist, strength 1", [*taught(people, space)])
        if sheet:
            contact_sheet([*zip(photos[:24], translator.draw(photos[:24], {}), strict=True)]).save(sheet)


def beside(
    model: Model,
    packed: Packed,
    photos: Annotated[list[Path], typer.Argument(help="of anybody, a face each")],
    sheet: Annotated[Path | None, typer.Option(help="picture: photo, procedural drawing, the model's")] = None,
) -> None:
    """A caricature beside the procedural caricaturist, who has the photos' landmarks: at every strength."""
    with told():
        people, space = gather_portraits((path.stem, path) for path in photos), FaceSpace.load(packed)
        translator, faces = Exported(model), [*people.images]
        show = reporter(Judge(), faces)
        for strength in STRENGTHS[1:]:
            show(f"procedural caricaturist, strength {strength:g}", [*taught(people, space, strength)])
            show(f"{translator.name}, strength {strength:g}", translator.draw(faces, {"strength": strength}))
        if sheet:
            groups = zip(faces, taught(people, space), translator.draw(faces, {}), strict=True)
            contact_sheet([*groups], columns=10).save(sheet, quality=88)


def reporter(judge: Judge, photos: Sequence[np.ndarray]) -> Callable[[str, Sequence[np.ndarray]], None]:
    """Prints the figures of drawings of the photos, under a label."""
    seen = [judge.face(photo) for photo in photos]

    def show(label: str, drawn: Sequence[np.ndarray]) -> None:
        pairs = [(photo, judge.face(each)) for photo, each in zip(seen, drawn, strict=True) if photo is not None]
        figures = measure(pairs) | reddened(pairs)
        typer.echo(json.dumps({"of": label} | {name: round(value, 4) for name, value in figures.items()}))

    return show


def reddened(pairs: Sequence[tuple[Face, Face | None]]) -> dict[str, float]:
    """`reddened_rate` of the drawings in which dlib sees a face, if there are any."""
    red = [[redness(face.image, face.landmarks) for face in (photo, drawn)] for photo, drawn in pairs if drawn]
    return {"reddened": reddened_rate(*np.array(red).T).value} if red else {}


def taught(people: Portraits, space: FaceSpace, strength: float = 1.0) -> Iterator[np.ndarray]:
    """The procedural caricaturist's drawings in the default look."""
    for photo, landmarks in zip(people.images, people.landmarks.astype(float), strict=True):
        yield paint(*exaggerated(photo, landmarks, space, strength), DEFAULT.style())
