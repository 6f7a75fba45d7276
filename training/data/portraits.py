"""Portraits with 68 landmarks, cut to the translator's frame: what the caricaturist draws and the networks learn from.

The landmarks come from dlib's 68-point network, which is a label-maker here and never part of what is served.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import cv2
import dlib
import numpy as np
import typer

from export.alignment import SQUARE_256, Template, apply, cut, similarity
from training.data import dlib_networks, set_aside
from training.data.points import five
from training.data.sources import table
from training.data.terms import foreign

LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
LABEL = "label/"

# Where each of the 68 points stands in a mirrored picture.
MIRROR = np.array(
    [
        *range(16, -1, -1),
        *range(26, 16, -1),
        *range(27, 31),
        *range(35, 30, -1),
        45,
        44,
        43,
        42,
        47,
        46,
        39,
        38,
        37,
        36,
        41,
        40,
    ]
    + [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)


@dataclass(frozen=True)
class Portraits:
    """Aligned photos and their landmarks: images uint8 [N, 256, 256, 3] RGB, landmarks float32 [N, 68, 2] in pixels."""

    images: np.ndarray
    landmarks: np.ndarray
    names: np.ndarray
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    """What a table says of them, by column: `person`, `source`, attributes."""

    def __len__(self) -> int:
        return len(self.images)

    def save(self, path: Path) -> None:
        """Pack to one .npz file, the only thing that a training run reads."""
        labels = {f"{LABEL}{name}": values for name, values in self.labels.items()}
        np.savez_compressed(path, images=self.images, landmarks=self.landmarks, names=self.names, **labels)

    @classmethod
    def load(cls, path: Path) -> "Portraits":
        """Read what `save` wrote."""
        with np.load(path) as arrays:
            labels = {name.removeprefix(LABEL): arrays[name] for name in arrays if name.startswith(LABEL)}
            return cls(arrays["images"], arrays["landmarks"], arrays["names"], labels)


class Landmarker:
    """dlib's face detector and 68-point network: float64 [68, 2] in pixels of the picture, or None without a face."""

    def __init__(self) -> None:
        self.detector = dlib.get_frontal_face_detector()
        self.shape = dlib_networks.landmarks68()

    def parts(self, image: np.ndarray) -> "dlib.full_object_detection | None":
        """dlib's own landmarks of the largest face."""
        boxes = self.detector(image, 1)
        return self.shape(image, max(boxes, key=lambda box: box.area())) if boxes else None

    def __call__(self, image: np.ndarray) -> np.ndarray | None:
        parts = self.parts(image)
        return None if parts is None else np.array([(part.x, part.y) for part in parts.parts()], float)


def aligned(image: np.ndarray, landmarks: np.ndarray, template: Template = SQUARE_256) -> tuple[np.ndarray, np.ndarray]:
    """The crop of a photo in the template's frame and its landmarks there."""
    matrix = similarity(five(landmarks), np.array(template.points))
    return cut(image, matrix, template), apply(matrix, landmarks)


def clean_photos(root: Path) -> Iterator[tuple[str, Path]]:
    """Names and files of the photos that shippable weights may see, those set aside left out."""
    for folder in ("train-clean/congress256", "train-clean/ukparl120x160"):
        with open(root / folder / "index.csv", newline="") as index:
            for row in csv.DictReader(index):
                if not set_aside.is_set_aside(folder, row):
                    yield f"{folder}/{Path(row['file']).stem}", root / folder / "img" / row["file"]


def set_aside_photos(root: Path) -> Iterator[tuple[str, Path]]:
    """The 100 people of congress256 that no model trains on."""
    for stem in sorted(set_aside.ids("congress256")):
        yield f"congress256/{stem}", root / "train-clean" / "congress256" / "img" / f"{stem}.webp"


def set_aside_drawings(root: Path) -> Iterator[tuple[str, Path]]:
    """The 400 drawings of the Cartoon Set that no model trains on."""
    for path in sorted((root / "train-clean" / "cartoonset256" / "img").iterdir()):
        if path.stem in set_aside.ids("cartoonset"):
            yield f"cartoonset256/{path.stem}", path


def labelled(listed: Path) -> Portraits:
    """The photos of a table, with all that it says of them; whoever it does not name has a `person` of "".

    Without a `source` in it, their terms are those of its authors. DataError where the table is none.
    """
    told = {str(picture.path): picture for picture in table(listed)}
    found = gather((name, picture.path) for name, picture in told.items())
    pictures = [told[name] for name in found.names]
    labels = {"person": np.array([picture.person for picture in pictures])}
    labels["source"] = np.array([picture.source or foreign(str(listed.absolute().parent)) for picture in pictures])
    for name in sorted(set().union(*(picture.attributes for picture in pictures))):
        labels[name] = np.array([picture.attributes.get(name, np.nan) for picture in pictures])
    return replace(found, labels=labels)


def gather(photos: Iterator[tuple[str, Path]]) -> Portraits:
    """Detect, align and stack; photos without a face for dlib are left out."""
    landmarker = Landmarker()
    names, images, landmarks = [], [], []
    for name, path in photos:
        image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        if image.shape[1] < 256:  # small portraits: the detector wants faces of 80 pixels and more
            image = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        points = landmarker(image)
        if points is None:
            continue
        crop, moved = aligned(image, points)
        names.append(name)
        images.append(crop)
        landmarks.append(moved)
    return Portraits(np.stack(images), np.stack(landmarks).astype(np.float32), np.array(names))


def artists(root: Path) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks float32 [N, 68, 2] of the AutoToon photos and of what artists made of them, in the translator's frame.

    Read off the pictures themselves, which the published 32 x 32 warps do not reproduce.
    """
    folder = root / "geometry" / "artist-warps"
    landmarker = Landmarker()
    before, after = [], []
    for path in sorted((folder / "photos").iterdir()):
        pair = [
            cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
            for file in (path, folder / "caricatures" / path.name)
        ]
        photo, caricature = (landmarker(image) for image in pair)
        if photo is None or caricature is None:
            continue
        matrix = similarity(five(photo), np.array(SQUARE_256.points))
        before.append(apply(matrix, photo))
        after.append(apply(matrix, caricature))
    return np.array(before, np.float32), np.array(after, np.float32)


def main(
    data: Annotated[Path, typer.Argument(envvar="LIKENESS_DATA", help="the data folder")],
    packed: Annotated[Path, typer.Argument(help="where train.npz, set-aside.npz and artists.npz go")],
    listed: Annotated[
        Path | None, typer.Option("--table", help="of the photos, instead of the portraits that anybody may learn from")
    ] = None,
) -> None:
    """Detect, align and pack everything that the caricaturist draws from."""
    packed.mkdir(parents=True, exist_ok=True)
    before, after = artists(data)
    np.savez_compressed(packed / "artists.npz", before=before, after=after)
    photos = labelled(listed) if listed else gather(clean_photos(data))
    photos.save(packed / "train.npz")
    gather(set_aside_photos(data)).save(packed / "set-aside.npz")


if __name__ == "__main__":
    typer.run(main)
