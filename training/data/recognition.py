"""Aligned faces with the teacher's descriptors: all that training and judging a face encoder reads.

    LIKENESS_DATA=... python -m training.data.recognition FACES.npz

walks every photo set that comes with, or gets, five points, cuts each face to the SphereFace frame (with a margin, for
the jitter of training) and asks dlib's recogniser, the teacher, for its descriptor. Ten minutes on one core.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import dlib
import numpy as np

from export.alignment import SPHEREFACE, Template, cut, similarity
from training.data import dlib_networks, set_aside
from training.data.portraits import Landmarker, five_points

MARGIN = 16  # pixels around the 96 x 112 frame
FRAME = Template(
    SPHEREFACE.width + 2 * MARGIN,
    SPHEREFACE.height + 2 * MARGIN,
    tuple((x + MARGIN, y + MARGIN) for x, y in SPHEREFACE.points),
)
# A photo this near (dlib's distance; 0.6 is its own limit) to someone set aside is taken for that person.
SAME_PERSON = 0.45

_FIVE = tuple(f"{point}_{axis}" for point in ("re", "le", "n", "rm", "lm") for axis in "xy")
_FIVE_NUMBERED = tuple(f"{axis}{i}" for i in range(5) for axis in "xy")
_SIXTY_EIGHT = tuple(f"{axis}{i}" for i in range(68) for axis in "xy")

# Folder, index file, folder of the pictures, column of the person (where photos of one recur), columns of points.
_SETS: tuple[tuple[str, str, str, str | None, tuple[str, ...]], ...] = (
    ("train-research/faces-id", "index.csv", "img", "identity", _FIVE_NUMBERED),
    ("train-research/landmarks68", "landmarks68.csv", ".", "person", _SIXTY_EIGHT),
    ("train-research/celeba256-attr", "labels.csv", "img", None, ()),
    ("train-research/photo128", "index.csv", "img", None, _FIVE),
    ("train-clean/congress256", "index.csv", "img", None, _FIVE),
    ("train-clean/ukparl120x160", "index.csv", "img", None, _FIVE),
    ("tests/london256", "index.csv", "img", "person", _FIVE),
)


@dataclass(frozen=True)
class Photo:
    """One row of an index: five points [5, 2] in pixels or None, `person` "" where no other photo is known."""

    path: Path
    person: str
    points: np.ndarray | None
    set_aside: bool


@dataclass(frozen=True)
class Sight:
    """A picture uint8 [H, W, 3] RGB, the five points [5, 2] of its face, and what is known of it."""

    image: np.ndarray
    points: np.ndarray
    person: str
    set_aside: bool


@dataclass(frozen=True)
class Faces:
    """crops uint8 [N, 144, 128, 3] RGB in FRAME, descriptors float32 [N, 128], persons str [N], set_aside bool [N]."""

    crops: np.ndarray
    descriptors: np.ndarray
    persons: np.ndarray
    set_aside: np.ndarray

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, rows: np.ndarray) -> Faces:
        return Faces(self.crops[rows], self.descriptors[rows], self.persons[rows], self.set_aside[rows])

    def frames(self) -> np.ndarray:
        """The crops without their margin, as the encoder sees them: uint8 [N, 112, 96, 3]."""
        return self.crops[:, MARGIN:-MARGIN, MARGIN:-MARGIN]

    def save(self, path: Path) -> None:
        np.savez(path, crops=self.crops, descriptors=self.descriptors, persons=self.persons, set_aside=self.set_aside)

    @classmethod
    def load(cls, path: Path) -> Faces:
        with np.load(path) as arrays:
            return cls(**arrays)


class Teacher:
    """dlib's recogniser (public domain): a photo and its five points [5, 2] -> the 150 x 150 chip -> 128 numbers."""

    def __init__(self) -> None:
        self.shape = dlib_networks.landmarks68()
        self.network = dlib_networks.recogniser()

    def chip(self, image: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The face as dlib's network wants it, by 68 points of dlib's own in the box that the five points imply."""
        return np.asarray(dlib.get_face_chip(image, self.shape(image, detector_box(points))))

    def describe(self, chips: list[np.ndarray]) -> np.ndarray:
        """float32 [N, 128]."""
        return np.array(self.network.compute_face_descriptor(chips), np.float32)


def detector_box(points: np.ndarray) -> dlib.rectangle:
    """The square in which dlib's detector would have found the face of these five points."""
    eye_distance = float(np.linalg.norm(points[1] - points[0]))
    centre = (points[:2].mean(0) + points[3:].mean(0)) / 2
    half = BOX_HALF_SIDE * eye_distance
    x0, y0 = np.rint(centre - half).astype(int)
    x1, y1 = np.rint(centre + half).astype(int)
    return dlib.rectangle(int(x0), int(y0), int(x1), int(y1))


BOX_HALF_SIDE = 1.19  # in eye distances, the median of the detector's boxes


def photos(root: Path) -> Iterator[Photo]:
    """Every photo of the seven sets, those set aside marked."""
    for folder, index, pictures, person, columns in _SETS:
        with (root / folder / index).open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                name = f"{Path(folder).name}/{row[person]}" if person else ""
                points = _points(row, columns)
                yield Photo(root / folder / pictures / row["file"], name, points, set_aside.is_set_aside(folder, row))


def see(rows: Iterable[Photo]) -> Iterator[Sight]:
    """Read the pictures; those in which dlib has to find the face and does not are left out."""
    landmarker = Landmarker()
    for photo in rows:
        image = cv2.cvtColor(cv2.imread(str(photo.path)), cv2.COLOR_BGR2RGB)
        points = photo.points
        if points is None:
            landmarks = landmarker(image)
            if landmarks is None:
                continue
            points = five_points(landmarks)
        yield Sight(image, points, photo.person, photo.set_aside)


def gather(sights: Iterable[Sight], batch: int = 32) -> Faces:
    """Cut and describe."""
    teacher = Teacher()
    crops, descriptors, persons, aside, chips = [], [], [], [], []
    for sight in sights:
        crops.append(cut(sight.image, similarity(sight.points, FRAME.points), FRAME))
        chips.append(teacher.chip(sight.image, sight.points))
        persons.append(sight.person)
        aside.append(sight.set_aside)
        if len(chips) == batch:
            descriptors.append(teacher.describe(chips))
            chips = []
    if chips:
        descriptors.append(teacher.describe(chips))
    return Faces(np.stack(crops), np.concatenate(descriptors), np.array(persons), np.array(aside))


def trainable(faces: Faces) -> np.ndarray:
    """bool [N]: not set aside, nor an unlabelled photo that the teacher takes for someone set aside.

    CelebA's people recur without their names in celeba256-attr and photo128, politicians in more than one set.
    """
    kept = ~faces.set_aside
    for rows in np.array_split(np.arange(len(faces)), max(1, len(faces) // 512)):
        distance = np.linalg.norm(faces.descriptors[rows, None] - faces.descriptors[faces.set_aside][None], axis=2)
        kept[rows] &= distance.min(1, initial=np.inf) > SAME_PERSON
    return kept


def _points(row: Mapping[str, str], columns: tuple[str, ...]) -> np.ndarray | None:
    if not columns:
        return None
    points = np.array([float(row[column]) for column in columns]).reshape(-1, 2)
    return five_points(points) if len(points) == 68 else points


if __name__ == "__main__":
    gather(see(photos(Path(os.environ["LIKENESS_DATA"])))).save(Path(sys.argv[1]))
