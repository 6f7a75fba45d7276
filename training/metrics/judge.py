"""Judge a photo-to-caricature system from the outside, with dlib's networks, which are in none of its losses.

    python -m training.metrics.judge PHOTOS OUTPUTS [--sheet sheet.png] [--json out.json]

PHOTOS/x.jpg is the photo, OUTPUTS/x.png (any image suffix, same stem) what the system made of it: one face each, the
aligned crop or the whole picture. Prints one JSON line:

    n            pairs judged
    detected     share of outputs in which dlib's HOG detector still finds a face
    id_distance  mean distance of dlib's 128-d descriptors photo to output (0.6 is dlib's own same-person limit)
    id_kept      share of outputs with distance < 0.6 (an undetected output counts as lost)
    id_margin    share whose own photo is nearer than every other person's photo (rank-1 among the set)
    exaggeration slope of the outputs' landmark deviation from the mean face on the photos' (1 = as in the photo, 2 =
    doubled) repaint      mean absolute colour change against the photo after both are aligned by landmarks, 0..1
    flatness     share of neighbouring pixels that differ by < 3/255 in the output, minus the same in the photo
    sharpness    mean absolute Laplacian of the outputs, levels of 255
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from PIL import Image, ImageOps

from export.alignment import invert, similarity
from training.data import dlib_networks
from training.data.pictures import read
from training.data.portraits import LEFT_EYE, RIGHT_EYE, Landmarker
from training.metrics.interval import Interval, mean, resampled, share

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
SAME_PERSON = 0.6
FEWEST = 3
"""Faces in outputs, below which there is no more to say than how many there are."""
ANCHORS = [*range(36, 48), 30, 48, 54]  # eyes, nose tip, mouth corners hold the frame
SIDE = 512
CROP = 128


@dataclass(frozen=True)
class Face:
    """One picture uint8 [H, W, 3] with what dlib sees in it: landmarks [68, 2] and descriptor [128]."""

    image: np.ndarray
    landmarks: np.ndarray
    descriptor: np.ndarray


class Judge:
    """dlib's detector, 68-point network and recogniser."""

    def __init__(self) -> None:
        self.landmarker = Landmarker()
        self.recogniser = dlib_networks.recogniser()

    def face(self, image: np.ndarray) -> Face | None:
        """The largest face of a picture, or None."""
        parts = self.landmarker.parts(image)
        if parts is None:
            return None
        points = np.array([(part.x, part.y) for part in parts.parts()], float)
        return Face(image, points, np.array(self.recogniser.compute_face_descriptor(image, parts, 5)))


def load(path: Path) -> np.ndarray:
    """A picture as uint8 RGB with its long side at most 512 pixels, small ones enlarged to that."""
    return sized(read(path))


def sized(picture: np.ndarray) -> np.ndarray:
    """The picture with its long side at most 512 pixels, or exactly that where it is small."""
    image = Image.fromarray(picture)
    scale = SIDE / max(image.size)
    if scale < 1 or max(image.size) < SIDE // 2:
        image = image.resize([max(1, round(length * scale)) for length in image.size], Image.Resampling.LANCZOS)
    return np.asarray(image)


def in_eye_frame(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks in a frame of size 1 given by the eyes' distance and direction."""
    left, right = landmarks[LEFT_EYE].mean(0), landmarks[RIGHT_EYE].mean(0)
    x, y = right - left
    return (landmarks - (left + right) / 2) @ (np.array([[x, y], [-y, x]]) / (x * x + y * y)).T


def aligned(face: Face, template: np.ndarray) -> np.ndarray:
    """The face resampled to the template's anchors: float [128, 128, 3], 0..1."""
    inverse = invert(similarity(face.landmarks[ANCHORS], template[ANCHORS]))
    crop = Image.fromarray(face.image).transform(
        (CROP, CROP), Image.Transform.AFFINE, tuple(inverse.ravel()), Image.Resampling.BILINEAR
    )
    return np.asarray(crop, float) / 255


def flat(image: np.ndarray) -> float:
    """Share of neighbouring pixels that differ by less than 3 levels, of a picture 0..1."""
    grey = image.mean(-1)
    steps = np.concatenate([np.abs(np.diff(grey, axis=axis)).ravel() for axis in (0, 1)])
    return float((steps < 3 / 255).mean())


def sharpness(image: np.ndarray) -> float:
    """Mean absolute Laplacian of the grey picture, levels of 255."""
    return float(np.abs(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_32F)).mean())


def measure(pairs: list[tuple[Face, Face | None]]) -> dict[str, float]:
    """The figures of the module's docstring for photos and outputs (None where no face was found in the output)."""
    return {"n": len(pairs)} | {name: found.value for name, found in estimates(pairs).items()}


def estimates(pairs: list[tuple[Face, Face | None]]) -> dict[str, Interval]:
    """The same with their intervals, were other people photographed."""
    found = np.array([output is not None for _, output in pairs])
    report = {"detected": share(found)}
    good = [(photo, output) for photo, output in pairs if output is not None]
    if len(good) < FEWEST:
        return report
    photos, outputs = (np.array([side.descriptor for side in column]) for column in zip(*good, strict=True))
    apart = np.linalg.norm(outputs[:, None] - photos[None], axis=-1)
    before, after = (np.array([in_eye_frame(side.landmarks) for side in column]) for column in zip(*good, strict=True))
    deviation, exaggerated = before - before.mean(0), after - after.mean(0)
    products = np.stack([(deviation * exaggerated).sum((1, 2)), (deviation * deviation).sum((1, 2))], axis=1)
    template = before.mean(0) * 44 + [64, 52]
    crops = [(aligned(photo, template), aligned(output, template)) for photo, output in good]
    return report | {
        **identity(apart, found, SAME_PERSON),
        "exaggeration": resampled(lambda sums: float(sums[:, 0].sum() / sums[:, 1].sum()), products),
        "repaint": mean([np.abs(x - y).mean() for x, y in crops]),
        "flatness": mean([flat(y) - flat(x) for x, y in crops]),
        "sharpness": mean([sharpness(output.image) for _, output in good]),
    }


def identity(apart: np.ndarray, found: np.ndarray, limit: float | None) -> dict[str, Interval]:
    """The figures of that name, by whichever recogniser.

    `apart` [K, K]: how far each output with a face is from each of their photos; `found` bool [N]: whether an output
    has one, which K do; `limit`: below it two faces are one person's. Where none is known there is no `id_kept`.
    """
    own = apart.diagonal()

    def of_all(right: np.ndarray) -> Interval:
        counted = np.zeros(len(found), bool)
        counted[found] = right
        return share(counted)

    kept = {} if limit is None else {"id_kept": of_all(own < limit)}
    return {"id_distance": mean(own), **kept, "id_margin": of_all(apart.argmin(1) == np.arange(len(own)))}


def matched(photos: Path, outputs: Path) -> Iterator[tuple[Path, Path | None]]:
    """Photos and the output of the same stem, None where it is missing."""
    for photo in sorted(photos.iterdir()):
        if photo.suffix.lower() in SUFFIXES:
            yield photo, next((path for suffix in SUFFIXES if (path := outputs / (photo.stem + suffix)).exists()), None)


def sheet(groups: Sequence[Sequence[np.ndarray]], columns: int = 8, tile: int = 192) -> Image.Image:
    """Groups of as many pictures each, as columns: photos above what became of them."""
    rows, height = -(-len(groups) // columns), len(groups[0])
    page = Image.new("RGB", (min(columns, len(groups)) * tile, rows * height * tile), "white")
    for index, group in enumerate(groups):
        for place, image in enumerate(group):
            thumbnail = ImageOps.pad(Image.fromarray(image), (tile, tile), color="white")
            page.paste(thumbnail, (index % columns * tile, (index // columns * height + place) * tile))
    return page


def main(
    photos: Path,
    outputs: Path,
    sheet_path: Annotated[Path | None, typer.Option("--sheet")] = None,
    json_path: Annotated[Path | None, typer.Option("--json")] = None,
) -> None:
    """Judge a folder of outputs against a folder of photos."""
    judge = Judge()
    pairs, pictures = [], []
    for photo_path, output_path in matched(photos, outputs):
        photo = judge.face(load(photo_path))
        if photo is None:
            continue  # dlib must see the photo's face: nothing to judge otherwise
        output = load(output_path) if output_path else None
        pairs.append((photo, judge.face(output) if output is not None else None))
        if output is not None:
            pictures.append((photo.image, output))
    if not pairs:
        raise typer.BadParameter("no photo with a face that dlib finds")
    line = json.dumps({name: round(value, 4) for name, value in measure(pairs).items()})
    if sheet_path:
        sheet(pictures[:48]).save(sheet_path)
    if json_path:
        json_path.write_text(line + "\n")
    typer.echo(line)


if __name__ == "__main__":
    typer.run(main)
