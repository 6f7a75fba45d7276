"""Milliseconds from the bytes of a photo to the crop of its face, and from a drawing to the bytes of an answer.

    python -m benchmarks.photo_path

Photo to crop: with every pixel decoded first, and as the service does it, at the scale that search and crop need; with
one and two threads of OpenCV; alone, and with one photo on each of two cores at a time, where the figure is the time
per photo. What that changes: in the crop of the same points, in levels, and in the points, in shares of the distance
between the eyes. Drawing to bytes: every format's settings. Prints three tables, then one JSON line.
"""

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from PIL import Image as Pillow
from rich.console import Console
from rich.table import Table

from benchmarks.machine import ROOT, machine
from benchmarks.pictures import PORTRAITS, photos
from export.alignment import SQUARE_256, Image
from export.repository import Repository
from service.faces import FaceFinder
from service.photo import Photo

CORES = 2
ROUNDS = 7
SIZES = {"12 MP": (4000, 3000), "2 MP": (1600, 1200), "VGA": (640, 480)}
FINEST = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
Encoder = Callable[[Image], bytes]


def pillow(format: str, **options: object) -> Encoder:
    """Pillow's encoder."""

    def encode(image: Image) -> bytes:
        buffer = BytesIO()
        Pillow.fromarray(image).save(buffer, format, **options)
        return buffer.getvalue()

    return encode


def opencv(suffix: str, *options: int) -> Encoder:
    """OpenCV's encoder."""
    return lambda image: cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)[1].tobytes()


ENCODERS: dict[str, Encoder] = {
    "JPEG q90 4:4:4, OpenCV": opencv(".jpg", cv2.IMWRITE_JPEG_QUALITY, 90, *FINEST),
    "JPEG q90 4:4:4, Pillow": pillow("JPEG", quality=90, subsampling=0),
    "JPEG q90 4:2:0, Pillow": pillow("JPEG", quality=90, subsampling=2),
    "JPEG q90 4:4:4 optimized, Pillow": pillow("JPEG", quality=90, subsampling=0, optimize=True),
    "JPEG q90 4:4:4 progressive, Pillow": pillow("JPEG", quality=90, subsampling=0, progressive=True),
    **{f"PNG level {level}, OpenCV": opencv(".png", cv2.IMWRITE_PNG_COMPRESSION, level) for level in (1, 3, 6)},
    **{f"PNG level {level}, Pillow": pillow("PNG", compress_level=level) for level in (1, 6)},
    "WebP q90, OpenCV": opencv(".webp", cv2.IMWRITE_WEBP_QUALITY, 90),
    **{f"WebP q90 method {each}, Pillow": pillow("WEBP", quality=90, method=each) for each in (0, 2, 4, 6)},
    "WebP lossless, Pillow": pillow("WEBP", lossless=True, quality=90),
}


@dataclass(frozen=True)
class Cut:
    """A photo and the milliseconds to its crop."""

    photo: str
    decode: str
    threads: int  # of OpenCV
    alone: float
    per_photo: float  # with a photo on each core


@dataclass(frozen=True)
class Difference:
    """Between full decode and the scaled one, the mean over the portraits."""

    photo: str
    crop: float  # levels of 255, mean of all pixels
    points: float  # per cent of the distance between the eyes


@dataclass(frozen=True)
class Encoding:
    """A way to write a drawing: milliseconds and kilobytes of a crop of 256 x 256, milliseconds of 2 megapixels."""

    settings: str
    crop: float
    crop_size: float
    photo: float
    per_photo: float  # with a photo on each core: as long as one alone where the encoder keeps the interpreter


def files() -> dict[str, bytes]:
    """One JPEG of every size, and the middle one as PNG."""
    jpegs = {f"{name} JPEG": photos({size: 1})[0] for name, size in SIZES.items()}
    png = BytesIO()
    Pillow.open(BytesIO(jpegs["2 MP JPEG"])).save(png, "PNG")
    return {**jpegs, "2 MP PNG": png.getvalue()}


def cuts(finder: FaceFinder) -> list[Cut]:
    """Every photo in every way."""

    def scaled(file: bytes) -> None:
        photo = Photo(file, None, 40_000_000)
        finder.largest(photo).crop(photo, SQUARE_256)

    def full(file: bytes) -> None:
        photo = Photo(file, None, 40_000_000)
        photo.full()
        finder.largest(photo).crop(photo, SQUARE_256)

    rows = []
    with ThreadPoolExecutor(CORES) as pool:
        for name, file in files().items():
            for decode, to_crop in (("full", full), ("scaled", scaled)):
                for threads in (1, 2):
                    cv2.setNumThreads(threads)
                    alone = best(lambda to_crop=to_crop, file=file: to_crop(file))
                    together = best(lambda to_crop=to_crop, file=file: list(pool.map(to_crop, [file] * 2 * CORES)))
                    rows.append(Cut(name, decode, threads, alone, round(together / (2 * CORES), 1)))
    return rows


def differences(finder: FaceFinder) -> list[Difference]:
    """For the sizes at which the two decodes differ."""
    rows = []
    for name in ("12 MP", "2 MP"):
        crops, points = [], []
        for file in photos({SIZES[name]: len(PORTRAITS)}):
            scaled, full = Photo(file, None, 40_000_000), Photo(file, None, 40_000_000)
            full.full()
            face, reference = finder.largest(scaled), finder.largest(full)
            crop, expected = face.crop(scaled, SQUARE_256), face.crop(full, SQUARE_256)
            crops.append(np.abs(crop.astype(int) - expected).mean())
            distances = np.linalg.norm(face.points - reference.points, axis=1)
            points.append(100 * distances.mean() / reference.eye_distance)
        rows.append(Difference(f"{name} JPEG", round(float(np.mean(crops)), 2), round(float(np.mean(points)), 2)))
    return rows


def encodings() -> list[Encoding]:
    """Every setting, of a portrait."""
    portrait = Pillow.open(ROOT / "demo" / "photo.jpg").convert("RGB").resize((256, 256), Pillow.Resampling.LANCZOS)
    crop, photo = np.asarray(portrait), np.asarray(portrait.resize((1600, 1200), Pillow.Resampling.BICUBIC))
    rows = []
    with ThreadPoolExecutor(CORES) as pool:
        for name, encode in ENCODERS.items():
            alone = [best(lambda encode=encode, image=image: encode(image)) for image in (crop, photo)]
            together = best(lambda encode=encode: list(pool.map(encode, [photo] * CORES)))
            size = round(len(encode(crop)) / 1e3, 1)
            rows.append(Encoding(name, alone[0], size, alone[1], round(together / CORES, 2)))
    return rows


def best(work: Callable[[], object]) -> float:
    """Milliseconds in the best of all rounds: everything else on the machine only adds to it."""
    rounds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        rounds.append(time.perf_counter() - started)
    return round(1000 * min(rounds), 2)


def table(title: str, rows: Sequence[Any]) -> Table:
    """A column for every field."""
    printed = Table(title=title)
    for index, name in enumerate(asdict(rows[0])):
        printed.add_column(name, justify="right" if index else "left")
    for row in rows:
        printed.add_row(*map(str, asdict(row).values()))
    return printed


def main() -> None:
    """Print the figures."""
    landmarks = Repository(ROOT / "models").resolve("landmarks").path("model.dat")
    finder = FaceFinder(landmarks, searches=CORES)
    tables = {
        "Photo to crop, ms": cuts(finder),
        "Scaled instead of full": differences(finder),
        "Drawing to bytes, ms and kB": encodings(),
    }
    Console().print(*(table(title, rows) for title, rows in tables.items()))
    print(
        json.dumps({"machine": machine(), **{title: [asdict(row) for row in rows] for title, rows in tables.items()}})
    )


if __name__ == "__main__":
    main()
