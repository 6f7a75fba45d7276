"""Five points of a face by an ensemble of regression trees: what the service aligns every photo with.

Method   Kazemi & Sullivan 2014, One Millisecond Face Alignment with an Ensemble of Regression Trees, as dlib has it.
Points   those of the alignment template: eye centre left of the picture, eye centre right, nose tip, mouth corner left,
         mouth corner right.
Data     train-clean alone (congress256 without the people set aside, ukparl120x160). The label is dlib's 68-point
         network, averaged over the photo and its mirror image, where the points of the index file agree with it.
Command  python -m training.recipes.landmarks train          (about ten minutes on one core)
         python -m training.recipes.landmarks evaluate
"""

import csv
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import cv2
import dlib
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from export.alignment import apply
from export.repository import Repository, publish
from training.data import set_aside
from training.data.points import five
from training.data.portraits import Landmarker

NAME, VERSION, FILE = "landmarks", 1, "model.dat"
MIRROR = [1, 0, 2, 4, 3]  # where each of the five points stands in a mirrored picture

INDEX_COLUMNS = [("re_x", "re_y"), ("le_x", "le_y"), ("n_x", "n_y"), ("rm_x", "rm_y"), ("lm_x", "lm_y")]


@dataclass(frozen=True)
class Config:
    """One training run; the names of the second block are dlib's."""

    copies: int = 4  # turned, rotated, scaled and relit copies of each photo, besides itself and its mirror image
    rotation: float = 12.0  # degrees in the plane, standard deviation
    turn: float = 18.0  # degrees to the side, half of it up or down, standard deviation
    length: float = 0.08  # log of a face's length against its width, standard deviation: children's are short
    box_shift: float = 0.05  # of the box's side, standard deviation
    box_scale: float = 0.06  # log, standard deviation
    agreement: float = 0.14  # of the eye distance: how far the index file's points may be from the label

    cascade_depth: int = 10
    tree_depth: int = 4
    num_trees_per_cascade_level: int = 500
    nu: float = 0.1
    oversampling_amount: int = 4
    oversampling_translation_jitter: float = 0.05
    feature_pool_size: int = 400
    feature_pool_region_padding: float = 0.05
    lambda_param: float = 0.1
    num_test_splits: int = 20
    seed: int = 0

    def options(self) -> dlib.shape_predictor_training_options:
        """The second block, as dlib wants it."""
        options = dlib.shape_predictor_training_options()
        for name, value in asdict(self).items():
            if hasattr(options, name):
                setattr(options, name, value)
        options.random_seed = str(self.seed)
        options.num_threads = 1
        return options


@dataclass(frozen=True)
class Example:
    """A face: grey picture uint8 [H, W], the detector's box as x0, y0, x1, y1, five points float64 [5, 2] in pixels."""

    image: np.ndarray
    box: np.ndarray
    points: np.ndarray


def grey(image: np.ndarray) -> np.ndarray:
    """The mean of the channels: the intensity that dlib's predictor reads from an RGB picture."""
    return np.rint(image.mean(2)).astype(np.uint8)


def mirrored(points: np.ndarray, width: int) -> np.ndarray:
    """The five points in the mirrored picture: left and right change their names, too."""
    return (points * (-1, 1) + (width - 1, 0))[MIRROR]


def read(path: Path) -> np.ndarray:
    """A photo as uint8 RGB [H, W, 3], twice as large if it is small: the detector wants faces of 80 pixels."""
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    if image.shape[1] < 256:
        image = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    return image


def photos(root: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every photo that may be trained on, and the five points [5, 2] that its index file has for it."""
    for folder in ("train-clean/congress256", "train-clean/ukparl120x160"):
        with open(root / folder / "index.csv", newline="", encoding="utf-8-sig") as index:
            for row in csv.DictReader(index):
                if set_aside.is_set_aside(folder, row):
                    continue
                points = np.array([(float(row[x]), float(row[y])) for x, y in INDEX_COLUMNS])
                path = root / folder / "img" / row["file"]
                image = read(path)
                factor = 2 if folder.endswith("120x160") else 1
                yield image, factor * points + (factor - 1) / 2


class Labeller:
    """Box and five points by dlib's detector and 68-point network."""

    def __init__(self) -> None:
        landmarker = Landmarker()
        self.detector, self.shape = landmarker.detector, landmarker.shape

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """The largest face's box [4] and points [5, 2], or None where there is no face."""
        boxes = self.detector(image)
        if not boxes:
            return None
        box = max(boxes, key=lambda box: box.area())
        parts = self.shape(image, box).parts()
        return _edges(box), five(np.array([(part.x, part.y) for part in parts], float))

    def both_sides(self, image: np.ndarray) -> tuple[Example, Example] | None:
        """A photo and its mirror image under one label, or None where a face is found on one side only."""
        flipped = np.ascontiguousarray(image[:, ::-1])
        here, there = self(image), self(flipped)
        if here is None or there is None:
            return None
        width = image.shape[1]
        points = (here[1] + mirrored(there[1], width)) / 2
        return Example(grey(image), here[0], points), Example(grey(flipped), there[0], mirrored(points, width))


def examples(labelled: Iterable[tuple[np.ndarray, np.ndarray]], config: Config) -> Iterator[Example]:
    """Photo, mirror image and copies of every photo on whose face the index file and the network agree."""
    labeller, rng = Labeller(), np.random.default_rng(config.seed)
    for image, expected in labelled:
        sides = labeller.both_sides(image)
        if sides is None or error(sides[0].points, expected).mean() > config.agreement:
            continue
        yield from sides
        for copy in range(config.copies):
            yield disturbed(sides[copy % 2], config, rng)


def disturbed(example: Example, config: Config, rng: np.random.Generator) -> Example:
    """The example turned, rotated, scaled and relit, its box moved as the detector's boxes move."""
    angles = np.radians(rng.normal(0, [config.turn, config.turn / 2])).clip(-0.7, 0.7)
    example = turned(example, angles, np.exp(rng.normal(0, config.length)))
    x0, y0, x1, y1 = example.box
    centre, side = np.array([(x0 + x1) / 2, (y0 + y1) / 2]), x1 - x0
    height, width = example.image.shape
    scale = rng.uniform(0.5, 1.1)
    matrix = cv2.getRotationMatrix2D(tuple(centre), rng.normal(0, config.rotation), scale)
    matrix[:, 2] += (scale - 1) * centre
    size = (round(width * scale), round(height * scale))
    image = cv2.warpAffine(example.image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    light = np.exp(rng.normal(0, 0.15)) * np.arange(256) / 255
    image = np.rint(255 * np.clip(light, 0, 1) ** np.exp(rng.normal(0, 0.2))).astype(np.uint8)[image]
    side *= scale * np.exp(rng.normal(0, config.box_scale))
    centre = apply(matrix, [centre])[0] + rng.normal(0, config.box_shift, 2) * side
    return Example(image, np.hstack([centre - side / 2, centre + side / 2]), apply(matrix, example.points))


def turned(example: Example, angles: np.ndarray, length: float = 1.0) -> Example:
    """The head turned by `angles` (to the side, down; radians): under orthography p' = p cos a + z(p) sin a.

    Before it turns, the face is made `length` times as long as it is.

    The depth z is a nose alone, a bell of 0.45 eye distances on a plane: most of what moves the five points apart.
    """
    nose, eye_distance = example.points[2], np.linalg.norm(example.points[1] - example.points[0])
    shift, shrink = np.sin(angles), np.cos(angles) * (1, length)

    def depth(offset: np.ndarray) -> np.ndarray:
        return 0.45 * eye_distance * np.exp(-(offset**2).sum(-1, keepdims=True) / (2 * (0.3 * eye_distance) ** 2))

    height, width = example.image.shape
    target = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1) - nose
    source = target
    for _ in range(4):  # the inverse by fixed-point iteration: the bell's slope times sin a is below 1
        source = (target - depth(source) * shift) / shrink
    where = (source + nose).astype(np.float32)
    image = cv2.remap(example.image, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    points = example.points - nose
    return Example(image, example.box, points * shrink + depth(points) * shift + nose)


def error(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Distance of each point [5] from the true one, as a share of the distance between the true eyes."""
    return np.linalg.norm(points - truth, axis=-1) / np.linalg.norm(truth[1] - truth[0])


def train(faces: Iterable[Example], config: Config) -> bytes:
    """The shape predictor as the bytes of its file."""
    images: list[np.ndarray] = []
    objects: list[list[dlib.full_object_detection]] = []
    for face in faces:
        points = [dlib.point(*map(int, np.rint(point))) for point in face.points]
        images.append(face.image)
        objects.append([dlib.full_object_detection(_rectangle(face.box), points)])
    predictor = dlib.train_shape_predictor(images, objects, config.options())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        predictor.save(str(path))
        return path.read_bytes()


def predict(predictor: dlib.shape_predictor, image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The five points [5, 2] of the face in the box."""
    return np.array([(part.x, part.y) for part in predictor(image, _rectangle(box)).parts()], float)


def evaluation_photos(root: Path) -> Mapping[str, list[Path]]:
    """Photos that nothing is trained on, by the name of their set."""
    stems = sorted(set_aside.ids("congress256"))
    return {
        "congress256, set aside": [root / "train-clean/congress256/img" / f"{stem}.webp" for stem in stems],
        "london256, neutral": sorted((root / "tests/london256/img/neutral_front").glob("*.jpg")),
        "london256, smiling": sorted((root / "tests/london256/img/smiling_front").glob("*.jpg")),
        "synth512": sorted((root / "tests/synth512/img").glob("*.jpg")),
        "landmarks68, test": sorted((root / "train-research/landmarks68/test").glob("*.webp")),
    }


def errors(predictor: dlib.shape_predictor, paths: Iterable[Path]) -> np.ndarray:
    """Errors [N, 5] against the 68-point network, of the photos in which dlib finds a face."""
    labeller, found = Labeller(), []
    for path in paths:
        image = read(path)
        label = labeller(image)
        if label is not None:
            found.append(error(predict(predictor, image, label[0]), label[1]))
    return np.array(found).reshape(-1, 5)


def _edges(box: dlib.rectangle) -> np.ndarray:
    return np.array([box.left(), box.top(), box.right(), box.bottom()], float)


def _rectangle(box: np.ndarray) -> dlib.rectangle:
    return dlib.rectangle(*map(int, np.rint(box)))


app = typer.Typer(add_completion=False, help=__doc__)
Data = Annotated[Path, typer.Option(envvar="LIKENESS_DATA", help="the folder of the data sets")]
Models = Annotated[Path, typer.Option(envvar="LIKENESS_MODELS", help="the model repository")]


@app.command("train")
def train_command(data: Data, models: Models = Path("models")) -> None:
    """Train, and publish as models/landmarks/1."""
    config = Config()
    faces = list(examples(photos(data), config))
    started = time.monotonic()
    model = train(faces, config)
    entry = publish(models, NAME, VERSION, {FILE: model})
    print(f"{entry.folder}: {len(model) / 1e6:.1f} MB, {len(faces)} faces, {time.monotonic() - started:.0f} s")


@app.command("evaluate")
def evaluate_command(data: Data, models: Models = Path("models")) -> None:
    """Print the error on people who were not in training, in % of the distance between the eyes."""
    predictor = dlib.shape_predictor(str(Repository(models).resolve(NAME).path(FILE)))
    table = Table("photos", "faces", "mean", "median", "90 %", "eye", "eye", "nose", "mouth", "mouth", box=None)
    for name, paths in evaluation_photos(data).items():
        shares = 100 * errors(predictor, paths)
        a_face = shares.mean(1)
        figures = [a_face.mean(), np.median(a_face), np.percentile(a_face, 90), *shares.mean(0)]
        table.add_row(name, f"{len(shares)} of {len(paths)}", *(f"{figure:.2f}" for figure in figures))
    Console(width=110).print(table)


if __name__ == "__main__":
    app()
