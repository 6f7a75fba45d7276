"""An exported encoder by the protocols of face recognition, on people whom it was not trained on."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from export.alignment import DegeneratePoints, Image, Template, cut, similarity
from training.console import watched
from training.data import sources
from training.data.errors import DataError
from training.data.pack import Pack
from training.data.pictures import read
from training.data.points import Points, five
from training.data.portraits import Landmarker
from training.data.recognition import TRAIN
from training.data.sources import Picture
from training.evaluation.faces import look
from training.evaluation.findings import meaning
from training.exported import Exported
from training.metrics.protocols import Embeddings, Fold, Search, Spread, named, refuse_known

F = TypeVar("F", Fold, Search)
Measure = Callable[[Sequence[F], Embeddings, Collection[str]], Mapping[str, Spread]]


@dataclass(frozen=True)
class Judgement:
    """What an encoder reaches by a protocol."""

    name: str
    counts: Mapping[str, int]
    figures: Mapping[str, Spread]
    remarks: Sequence[str]


def judged(
    measure: Measure[F], folder: Path, folds: Sequence[F], images: Path, trained_on: Collection[str]
) -> Judgement:
    """The figures of an encoder, models/NAME/VERSION, by a measure of training.metrics.protocols.

    `images` has the pictures that the folds name. DataError names a person of them who is in `trained_on`, before any
    picture is looked at; also one that is missing, and a model that is no encoder.
    """
    refuse_known(folds, trained_on)
    encoder = Exported(folder)
    if encoder.contract.role != "encoder":
        raise DataError(f"{folder} is no encoder but a {encoder.contract.role}")
    pictures = list(dict.fromkeys(each for fold in folds for each in fold.pictures))
    embeddings, lost = embedded(encoder, pictures, images)
    figures = measure(folds, embeddings, trained_on)
    remarks = []
    if lost:
        remarks.append(f"No face is found in {lost} of the pictures; they are cut where the others have theirs")
    if "accuracy" in figures and len(folds) == 1:
        remarks.append("One fold alone: its accuracy is at the threshold that is best on itself")
    people = {person for fold in folds for person in fold.people}
    counts = {"folds": len(folds), "pictures": len(pictures), "people": len(people)}
    return Judgement(encoder.name, counts, figures, remarks)


def known(files: Iterable[Path]) -> frozenset[str]:
    """Whom an encoder knows that has learnt from these: people of packs who are not set aside, and of lists (.txt).

    DataError, also if a pack does not say who is in it.
    """
    return frozenset[str]().union(*(named(path) if path.suffix == ".txt" else _learnt(path) for path in files))


def embedded(encoder: Exported, wanted: Sequence[str], images: Path) -> tuple[dict[str, NDArray[np.float32]], int]:
    """The embedding of every picture PERSON/PICTURE that is wanted, and in how many of them no face is found.

    Faces are cut by the points that their set has, else by those that dlib finds. A protocol leaves no picture out: if
    there are none, the face is taken to stand where the others have theirs (in the median), as its pictures are cut
    alike. DataError.
    """
    there = {f"{each.person}/{each.path.stem}": each for each in _pictures(images)}
    if missing := [name for name in wanted if name not in there]:
        raise DataError(f"{images} lacks {len(missing)} pictures of the protocol, {missing[0]} among them")
    template, landmarker = encoder.contract.template, Landmarker()
    assert template is not None
    found, places, lost = dict[str, NDArray[np.float32]](), list[Points](), list[str]()
    for name in watched(wanted, "Faces", len(wanted)):
        image, points = read(there[name].path), there[name].points
        points = look(image, landmarker) if points is None else five(points)
        crop = None if points is None else _crop(image, points, template)
        if points is None or crop is None:
            lost.append(name)
            continue
        found[name] = encoder.run([crop], [{}])[0]
        places.append((points + 0.5) / _size(image))
    if not places:
        raise DataError(f"{images}: a face is found in none of {len(wanted)} pictures")
    usual = np.median(places, axis=0)
    for name in lost:
        image = read(there[name].path)
        crop = cut(image, similarity(usual * _size(image) - 0.5, template.points), template)
        found[name] = encoder.run([crop], [{}])[0]
    return found, len(lost)


def table(found: Judgement) -> Table:
    """For a terminal."""
    counts = ", ".join(f"{count:,} {what}" for what, count in found.counts.items())
    caption = "\n".join(found.remarks) or None
    shown = Table(title=f"{found.name}: {counts}", caption=caption, caption_justify="left")
    shown.add_column("figure")
    shown.add_column("mean", justify="right")
    shown.add_column("deviation of a fold", justify="right")
    shown.add_column("what it is")
    for name, value in found.figures.items():
        shown.add_row(name, f"{value.mean:.4f}", f"{value.deviation:.4f}", meaning(name))
    return shown


def line(found: Judgement) -> str:
    """JSON without a line break; each figure as [mean, deviation]."""
    figures = {name: [round(value.mean, 5), round(value.deviation, 5)] for name, value in found.figures.items()}
    return json.dumps({"model": found.name, "counts": found.counts, "figures": figures, "remarks": list(found.remarks)})


def _pictures(images: Path) -> list[Picture]:
    if images.suffix == ".csv":
        return sources.table(images)
    if (images / "OriginalImages").is_dir():
        return sources.web_caricature(images)
    return sources.classes(images)


def _learnt(path: Path) -> frozenset[str]:
    pack = Pack(path)
    if "person" not in pack.names:
        raise DataError(f"{path} does not say who is in it; a list of its people would")
    pack = pack.where("split", TRAIN) if "split" in pack.names else pack
    return frozenset(pack.names["person"][code] for code in np.unique(pack.columns["person"])) - {""}


def _crop(image: Image, points: Points, template: Template) -> Image | None:
    """The face, or nothing where the points determine none."""
    try:
        return cut(image, similarity(points, template.points), template)
    except DegeneratePoints:
        return None


def _size(image: Image) -> NDArray[np.int64]:
    """Width and height."""
    return np.array([image.shape[1], image.shape[0]])
