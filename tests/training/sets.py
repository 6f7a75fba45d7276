"""Small sets of pictures in every form that is known, and how each form can be broken."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

# An orderly face of WebCaricature's 17 points in a picture of 200 x 232.
SEVENTEEN = np.array(
    [
        *[(100, 20), (20, 110), (100, 220), (180, 110)],
        *[(40, 80), (80, 78), (120, 78), (160, 80)],
        *[(50, 105), (78, 105), (122, 105), (150, 105)],
        *[(100, 148), (100, 175), (71, 188), (100, 200), (130, 188)],
    ],
    float,
)


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (48, 48)) -> Path:
    """Smooth colours of their own for each seed, `size` being width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    Pillow.fromarray(coarse).resize(size, Pillow.Resampling.BICUBIC).save(path)
    return path


def folder(root: Path, count: int = 4, size: tuple[int, int] = (48, 48)) -> Path:
    """Pictures 0.png, 1.png, ..., one in a folder of its own."""
    for number in range(count):
        picture(root / ("deeper" if number == 1 else ".") / f"{number}.png", number, size)
    return root


def table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """A CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def people(root: Path, persons: int, each: int = 2) -> Path:
    """A table of `each` pictures of so many persons, and its pictures."""
    rows = [(f"{person}-{number}.png", f"p{person}") for person in range(persons) for number in range(each)]
    for seed, (file, _) in enumerate(rows):
        picture(root / "img" / file, seed)
    return table(root / "index.csv", ["file", "person"], rows)


def web_caricature(root: Path, points: np.ndarray = SEVENTEEN) -> Path:
    """Two persons, one with a space in the name, with two drawings and a photo each."""
    for seed, person in enumerate(("Ada Lovelace", "Bo")):
        for number, file in enumerate(("C00001", "C00002", "P00001")):
            picture(root / "OriginalImages" / person / f"{file}.jpg", 10 * seed + number, (200, 232))
            lines = "\n".join(f"{x:g} {y:g}" for x, y in points)
            listed = root / "FacialPoints" / person / f"{file}.txt"
            listed.parent.mkdir(parents=True, exist_ok=True)
            listed.write_text(lines + "\n")
    return root


def cartoon_set(root: Path, count: int = 3) -> Path:
    """Cartoons with two attributes."""
    for number in range(count):
        listed = picture(root / f"cs{number}.png", number).with_suffix(".csv")
        listed.write_text(f'"eye_color", {number}, 5\n"hair", {10 * number}, 111\n')
    return root


def attribute_list(path: Path, count: int = 3) -> Path:
    """CelebA's list, and its pictures in `img`."""
    lines = [str(count), "Smiling Young"]
    for number in range(count):
        picture(path.parent / "img" / f"{number:06d}.jpg", number)
        lines.append(f"{number:06d}.jpg  {1 if number % 2 else -1}  1")
    path.write_text("\n".join(lines) + "\n")
    return path
