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
from training.data.pack import Pack
from training.data.recognition import CHECK, MARGIN, TEST, Faces, Sight, Teacher, gather, photos, see
from training.evaluation.cards.arguments import Data, Model
from training.evaluation.exported import Exported
from training.metrics.encoders import Embed, against_drawings, realised, table


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
        faces, dlib = Faces.of(Pack(packed).where("split", TEST, CHECK)), Teacher()

        def embed(frames: np.ndarray) -> np.ndarray:
            margins = ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0))
            descriptors = dlib.describe([*map(chip, np.pad(frames, margins, "reflect"))])
            return descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True)

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
        drawn = gather(drawn_by(Exported(translator), see(rows), strength))
        typer.echo(against_drawings(embedding(Exported(model)), gather(see(rows)), drawn))


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
