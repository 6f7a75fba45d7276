"""Faces of nobody, for a face encoder that has a teacher: more people than any set has, and what is said of them.

    python -m training.data.blends FACES.pack MORE.pack --count 60000

What a student of a teacher needs is not names but many different faces, seen by both as they are ("Knowledge
distillation: a good teacher is patient and consistent", Beyer et al. 2022). Each blend is a mixture of two aligned
faces that may be learnt from, bent a little; dlib's recogniser looks at its very pixels.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

from export.alignment import Template
from training.console import told, watched
from training.data import dlib_networks
from training.data.disguise import Rng, moved
from training.data.pack import Example, Pack, write
from training.data.recognition import FRAME, TRAIN, Faces, Teacher, realigned
from training.networks.dlib_recogniser import CHIP

SHARES = 0.25, 0.75
"""Of the first face in a blend; beyond, it is that face."""
BENT_PIXELS = 6.0
SCALE, CENTRE = CHIP / 92.7, (64.0, 87.0)
"""Of the square in FRAME that dlib would cut, the median over faces that are aligned to it."""
CHIPS = Template(
    CHIP, CHIP, tuple((SCALE * (x - CENTRE[0]) + CHIP / 2, SCALE * (y - CENTRE[1]) + CHIP / 2) for x, y in FRAME.points)
)
BATCH = 64


def chip(face: np.ndarray) -> np.ndarray:
    """A face in FRAME as dlib's network wants it, uint8 [150, 150, 3]."""
    return realigned(face, FRAME, CHIPS)


def blend(first: np.ndarray, second: np.ndarray, rng: Rng) -> np.ndarray:
    """A face between two of one size, uint8 [H, W, 3], the second perhaps mirrored, bent by a smooth random field."""
    share = rng.uniform(*SHARES)
    second = second[:, ::-1] if rng.random() < 0.5 else second
    mixed = cv2.addWeighted(first, share, np.ascontiguousarray(second), 1 - share, 0)
    height, width = mixed.shape[:2]
    return moved(mixed, width, height, rng.uniform(0, BENT_PIXELS), rng, jitter=0.0)


def blends(faces: Faces, count: int, device: str, seed: int = 0) -> Iterator[Example]:
    """So many faces of nobody, from those that may be learnt from; each says the source of the first of its two."""
    rng, teacher = np.random.default_rng(seed), Teacher(device)
    name = dlib_networks.recogniser_name()
    learnt = np.flatnonzero(faces.splits == TRAIN)
    pairs = (rng.choice(learnt, 2, replace=False) for _ in range(count))
    while batch := list(itertools.islice(pairs, BATCH)):
        made = np.stack([blend(*faces.crops[pair], rng) for pair in batch])
        for (first, _), face, descriptor in zip(batch, made, teacher.describe([*map(chip, made)]), strict=True):
            names = {"person": "", "split": TRAIN, "source": str(faces.sources[first]), "teacher": name}
            points = np.array(FRAME.points, np.float32)
            yield Example(face, names, {"points": points, "descriptor": descriptor})


def main(
    packed: Annotated[Path, typer.Argument(help="by training.data.recognition")],
    into: Annotated[Path, typer.Argument(help="the pack that is written: all of that one, and the blends")],
    count: Annotated[int, typer.Option(min=1)] = 100_000,
    device: str = "cpu",
    seed: int = 0,
) -> None:
    """Pack faces with as many blends of them as are asked for."""
    with told():
        faces = Faces.of(Pack(packed))
        more = watched(blends(faces, count, device, seed), "blending", count)
        write(into, itertools.chain(faces.examples(dlib_networks.recogniser_name()), more))


if __name__ == "__main__":
    typer.run(main)
