"""Of a face encoder, beside dlib's recogniser: people set aside, and drawings of some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from export.alignment import cut, similarity
from training.console import told
from training.data.blends import chip
from training.data.drawn import drawings as drawn
from training.data.pack import Pack
from training.data.recognition import CHECK, MARGIN, TEST, Faces, Sight, Teacher, gather, photos, see
from training.evaluation.cards.arguments import Data, Model
from training.exported import Exported
from training.metrics.encoders import Embed, against_drawings, against_others, realised, table, unit


def people(
    model: Model,
    packed: Annotated[Path, typer.Argument(help="a pack with people set aside")],
    pairs: Annotated[
        int | None,
        typer.Option(min=4, help="judge by so many pairs of each set, the same for all models; by default by all"),
    ] = None,
) -> None:
    """People who were in no training, and what the thresholds do to them."""
    with told():
        encoder, faces = Exported(model), Faces.of(Pack(packed).where("split", TEST, CHECK))
        typer.echo(table(embedding(encoder), faces, pairs))
        typer.echo(realised(embedding(encoder), faces, encoder.contract.thresholds))


def teacher(packed: Annotated[Path, typer.Argument(help="a pack with people set aside")]) -> None:
    """What the teacher makes of the pixels that its student sees: the most that can be learnt of it."""
    with told():
        faces = Faces.of(Pack(packed).where("split", TEST, CHECK))

        def embed(frames: np.ndarray) -> np.ndarray:
            margins = ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0))
            return unit(np.concatenate([*described(np.pad(frames, margins, "reflect"))]))

        typer.echo(table(embed, faces))


def drawings(
    model: Model,
    translator: Model,
    data: Data,
    strength: float = 1.0,
) -> None:
    """Photos of the people of congress256 who are set aside, against a translator's drawings of them."""
    with told():
        rows = [photo for photo in photos(data) if photo.split == TEST and photo.source.startswith("congress256")]
        made = gather(drawn_by(Exported(translator), see(rows), strength))
        typer.echo(against_drawings(embedding(Exported(model)), gather(see(rows)), made))


def caricatures(
    model: Model,
    translator: Model,
    packed: Annotated[Path, typer.Argument(help="a pack with people set aside")],
    seed: int = 0,
) -> None:
    """Photos of people set aside against a translator's drawings of other photos of them, in looks drawn at random."""
    with told():
        encoder, photos = Exported(model), Faces.of(Pack(packed).where("split", TEST, CHECK))
        made = drawn(Exported(translator), photos, seed)
        seen = replace(made, descriptors=np.concatenate([*described(made.crops)]))
        typer.echo(against_others(embedding(encoder), photos, seen))


def described(crops: np.ndarray) -> Iterator[np.ndarray]:
    """What dlib's recogniser says of faces uint8 [N, 144, 128, 3] in FRAME, in parts."""
    teacher = Teacher()
    for some in np.array_split(crops, -(-len(crops) // 64)):
        yield teacher.describe([*map(chip, some)])


def embedding(encoder: Exported) -> Embed:
    """uint8 [N, 112, 96, 3] -> float32 [N, 512]."""
    return lambda frames: encoder.run(list(frames), [{}] * len(frames))


def drawn_by(translator: Exported, sights: Iterator[Sight], strength: float) -> Iterator[Sight]:
    """Drawings in the translator's own frame, where the template says what stands where."""
    template = translator.contract.template
    assert template is not None
    for sight in sights:
        crop = cut(sight.image, similarity(sight.points, template.points), template)
        (drawing,) = translator.draw([crop], {"strength": strength})
        yield replace(sight, image=drawing, points=np.array(template.points))
