"""Aligned faces with the teacher's descriptors, in one pack: all that training and judging a face encoder reads.

    LIKENESS_DATA=... python -m training.data.recognition FACES.pack

walks every photo set that comes with, or gets, five points, cuts each face to the SphereFace frame (with a margin, for
the jitter of training) and asks dlib's recogniser, the teacher, for its descriptor. A few minutes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import dlib
import numpy as np
import torch
import typer

from export.alignment import SPHEREFACE, Template, apply, cut, similarity
from training.console import told, watched
from training.data import dlib_networks, set_aside
from training.data.errors import DataError
from training.data.pack import Example, Pack, write
from training.data.pictures import read
from training.data.points import five
from training.data.portraits import Landmarker
from training.networks.dlib_recogniser import Recogniser

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


@dataclass(frozen=True)
class _Set:
    """A folder with an index of its pictures."""

    folder: str
    terms: str
    index: str = "index.csv"
    pictures: str = "img"
    person: str = ""
    """The column of who it is, where there are several photos of one person."""
    points: tuple[str, ...] = _FIVE

    @property
    def name(self) -> str:
        return Path(self.folder).name

    @property
    def source(self) -> str:
        """What a model that saw it must say."""
        return f"{self.name} ({self.terms})"


_RESEARCH = "non-commercial research"
_SETS = (
    _Set("train-research/faces-id", f"CelebA, {_RESEARCH}", person="identity", points=_FIVE_NUMBERED),
    _Set(
        "train-research/landmarks68",
        f"YouTube Faces, {_RESEARCH}",
        index="landmarks68.csv",
        pictures=".",
        person="person",
        points=_SIXTY_EIGHT,
    ),
    _Set("train-research/celeba256-attr", f"CelebA, {_RESEARCH}", index="labels.csv", points=()),
    _Set("train-research/photo128", f"CelebAMask-HQ, {_RESEARCH}"),
    _Set("train-clean/congress256", "US government works, mostly"),
    _Set("train-clean/ukparl120x160", "CC BY 3.0"),
    _Set("tests/london256", "CC BY 4.0", person="person"),
)
# Where a face may be used: to learn from, to judge and calibrate by, and to check what was calibrated.
TRAIN, TEST, CHECK = "train", "test", "check"


@dataclass(frozen=True)
class Photo:
    """One row of an index: five points [5, 2] in pixels or None, `person` "" where no other photo is known."""

    path: Path
    person: str
    points: np.ndarray | None
    split: str
    source: str


@dataclass(frozen=True)
class Sight:
    """A picture uint8 [H, W, 3] RGB, the five points [5, 2] of its face, and what is known of it."""

    image: np.ndarray
    points: np.ndarray
    person: str
    split: str
    source: str


@dataclass(frozen=True)
class Faces:
    """N faces: crops uint8 [N, 144, 128, 3] RGB in FRAME, points float32 [N, 5, 2] there, and the rest str [N].

    `descriptors` float32 [N, 128] are the teacher's ([N, 0] without one).
    """

    crops: np.ndarray
    points: np.ndarray
    descriptors: np.ndarray
    persons: np.ndarray
    splits: np.ndarray
    sources: np.ndarray

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, rows: np.ndarray) -> Faces:
        return Faces(*(getattr(self, each.name)[rows] for each in fields(self)))

    def frames(self) -> np.ndarray:
        """The crops without their margin, as the encoder sees them: uint8 [N, 112, 96, 3]."""
        return self.crops[:, MARGIN:-MARGIN, MARGIN:-MARGIN]

    def save(self, path: Path, teacher: str = "") -> None:
        """As a pack, from which `likeness train sphereface` learns; `teacher` names the network of the descriptors."""
        write(path, self.examples(teacher))

    def examples(self, teacher: str = "") -> Iterator[Example]:
        """For a pack."""
        taught = {"teacher": teacher} if teacher else {}
        names = zip(self.persons, self.splits, self.sources, strict=True)
        numbers = zip(self.points, self.descriptors, strict=True)
        for crop, (person, split, source), (points, descriptor) in zip(self.crops, names, numbers, strict=True):
            yield Example(
                crop,
                {"person": str(person), "split": str(split), "source": str(source), **taught},
                {"points": points, "descriptor": descriptor},
            )

    @classmethod
    def of(cls, pack: Pack) -> Faces:
        """The faces of a pack, whatever of the columns it has. DataError where a picture is not `aligned`."""
        found = [aligned(pack, index) for index in range(len(pack))]
        return cls(
            np.stack([crop for crop, _ in found]),
            np.stack([points for _, points in found]),
            pack.columns.get("descriptor", np.zeros((len(pack), 0), np.float32)),
            *(_texts(pack, column) for column in ("person", "split", "source")),
        )


def aligned(pack: Pack, index: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture of a pack in FRAME, uint8 [144, 128, 3], and its five points there, float32 [5, 2].

    Taken as it is if it has the frame's size, cut by its `points` otherwise, or, at 96 x 112, by the template's own.
    DataError names a picture that has none, or whose points are those of no face.
    """
    image, what = pack.image(index), f"{pack.path}: picture {pack.number(index)}"
    size = image.shape[1], image.shape[0]
    points = np.asarray(pack.columns["points"][index], float) if "points" in pack.columns else None
    if points is None and size == (FRAME.width, FRAME.height):
        return image, np.asarray(FRAME.points, np.float32)
    if points is None and size == (SPHEREFACE.width, SPHEREFACE.height):
        points = np.array(SPHEREFACE.points)
    if points is None:
        raise DataError(f"{what} is {size[0]} x {size[1]} and has no points to align it by")
    try:
        points = five(points)
        matrix = similarity(points, FRAME.points)
    except ValueError as error:
        raise DataError(f"{what} cannot be aligned: {error}") from None
    if size == (FRAME.width, FRAME.height):
        return image, points.astype(np.float32)
    return cut(image, matrix, FRAME), apply(matrix, points).astype(np.float32)


def realigned(face: np.ndarray, given: Template, wanted: Template) -> np.ndarray:
    """A face that is aligned to one template, cut as another has it."""
    return cut(face, similarity(given.points, wanted.points), wanted)


def _texts(pack: Pack, column: str) -> np.ndarray:
    if column not in pack.names:
        return np.full(len(pack), "")
    return np.array(pack.names[column])[pack.columns[column]]


class Teacher:
    """dlib's recogniser (public domain): a photo and its five points [5, 2] -> the 150 x 150 chip -> 128 numbers.

    In PyTorch, which takes a tenth of the time that dlib takes on a CPU.
    """

    def __init__(self, device: str = "cpu") -> None:
        self.shape = dlib_networks.landmarks68()
        network = Recogniser()
        network.read(dlib_networks.recogniser_file())
        self._network = network.eval().to(device, memory_format=torch.channels_last)
        self._device = device

    def chip(self, image: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The face as dlib's network wants it, by 68 points of dlib's own in the box that the five points imply."""
        return np.asarray(dlib.get_face_chip(image, self.shape(image, detector_box(points))))

    @torch.inference_mode()
    def describe(self, chips: Sequence[np.ndarray]) -> np.ndarray:
        """What it says of each, float32 [N, 128]."""
        pixels = torch.from_numpy(np.stack(chips)).to(self._device).permute(0, 3, 1, 2)
        descriptors: np.ndarray = self._network(pixels.float()).cpu().numpy()
        return descriptors


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
    """Every photo of the seven sets, those set aside marked. DataError where an index lacks a column."""
    for each in _SETS:
        index = root / each.folder / each.index
        with index.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                try:
                    photo = _photo(each, root / each.folder / each.pictures, row)
                except KeyError as error:
                    raise DataError(f"{index} lacks the column {error}") from None
                yield photo


def _photo(of: _Set, pictures: Path, row: Mapping[str, str]) -> Photo:
    name = f"{of.name}/{row[of.person]}" if of.person else ""
    return Photo(pictures / row["file"], name, _points(row, of.points), _split(of.folder, row), of.source)


def see(rows: Iterable[Photo]) -> Iterator[Sight]:
    """Read the pictures; those in which dlib has to find the face and does not are left out. DataError."""
    landmarker = Landmarker()
    for photo in rows:
        image = read(photo.path)
        points = photo.points
        if points is None:
            landmarks = landmarker(image)
            if landmarks is None:
                continue
            points = five(landmarks)
        yield Sight(image, points, photo.person, photo.split, photo.source)


def gather(sights: Iterable[Sight], batch: int = 32) -> Faces:
    """Cut and describe."""
    teacher = Teacher()
    crops, points, known, descriptors, chips = [], [], [], [], []
    for sight in sights:
        matrix = similarity(sight.points, FRAME.points)
        crops.append(cut(sight.image, matrix, FRAME))
        points.append(apply(matrix, sight.points))
        known.append((sight.person, sight.split, sight.source))
        chips.append(teacher.chip(sight.image, sight.points))
        if len(chips) == batch:
            descriptors.append(teacher.describe(chips))
            chips = []
    if chips:
        descriptors.append(teacher.describe(chips))
    return Faces(np.stack(crops), np.array(points, np.float32), np.concatenate(descriptors), *np.array(known).T)


def without_doubles(faces: Faces) -> Faces:
    """Less the photos to learn from that the teacher takes for someone set aside.

    CelebA's people recur without their names in celeba256-attr and photo128, politicians in more than one set.
    """
    kept, learnt = np.ones(len(faces), bool), faces.splits == TRAIN
    for rows in np.array_split(np.flatnonzero(learnt), max(1, len(faces) // 512)):
        distance = np.linalg.norm(faces.descriptors[rows, None] - faces.descriptors[~learnt][None], axis=2)
        kept[rows] = distance.min(1, initial=np.inf) > SAME_PERSON
    return faces[kept]


def _split(folder: str, row: Mapping[str, str]) -> str:
    if not set_aside.is_set_aside(folder, row):
        return TRAIN
    return CHECK if folder.startswith("tests/") else TEST


def _points(row: Mapping[str, str], columns: tuple[str, ...]) -> np.ndarray | None:
    if not columns:
        return None
    points = np.array([float(row[column]) for column in columns]).reshape(-1, 2)
    return five(points)


def main(
    packed: Annotated[Path, typer.Argument(help="the pack that is written")],
    data: Annotated[Path, typer.Option(envvar="LIKENESS_DATA", help="the data folder")],
) -> None:
    """Pack all photos that the bundled encoder learns from and is judged by."""
    with told():
        faces = gather(see(watched(list(photos(data)), "describing")))
        kept = without_doubles(faces)
        kept.save(packed, dlib_networks.recogniser_name())
        typer.echo(f"{len(kept)} faces; {len(faces) - len(kept)} left out, as doubles of people set aside")


if __name__ == "__main__":
    typer.run(main)
