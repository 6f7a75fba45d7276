"""Pictures as vectors of a frozen network, whose name every distance between them carries: `kid@dlib`.

FID and KID without more are those of Inception-v3 with the weights of Google's graph of 2015, which papers report; the
weights are brought by the user. Without them a distance by a face recogniser says whether faces look like faces of
the other set, and is comparable with no published figure.

A network is shown the part of a picture that it was made for. Where that is follows from the template of the pictures'
frame, never from a detector: a drawing in which no face is found counts as well.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow
from safetensors import SafetensorError
from safetensors.torch import load_file

from export.alignment import SPHEREFACE, Image, Matrix, Template, cut, similarity
from training.data import dlib_networks
from training.data.errors import DataError
from training.metrics.distances import Features
from training.networks import inception
from training.networks.pixels import picture

BATCH = 32
# Where dlib's recogniser expects the centres of the eyes in its chip of 150 pixels: those of dlib's mean face with a
# padding of a quarter.
CHIP = Template(150, 150, ((47.7, 47.1), (100.3, 47.1)))


class Network(Protocol):
    """A frozen network."""

    name: str
    """Empty where its figures are those of the papers."""

    def __call__(self, pictures: Sequence[Image]) -> Features:
        """Pictures uint8 [H, W, 3], each as `frame` cut it -> [N, D], about 1 in square on average."""

    def frame(self, image: Image, template: Template | None) -> Image:
        """What the network looks at in a picture that shows a template's frame, at any size; None: an unknown one."""


class Dlib:
    """dlib's face recogniser (public domain): 128 numbers."""

    name = "dlib"

    def __init__(self) -> None:
        self._network = dlib_networks.recogniser()

    def __call__(self, pictures: Sequence[Image]) -> Features:
        found = np.array(self._network.compute_face_descriptor(list(pictures)), np.float32)
        return found * np.float32(np.sqrt(found.shape[1]))

    def frame(self, image: Image, template: Template | None) -> Image:
        return framed(image, template, CHIP)


class Encoder:
    """An encoder of the project's own contract: `run` takes uint8 [N, 112, 96, 3] to unit rows [N, 512]."""

    def __init__(self, name: str, run: Any, limit: float | None = None) -> None:
        """`limit`: the distance below which two faces are one person's, if that is known."""
        self.name = name
        self.limit = limit
        self._run = run

    def apart(self, left: Sequence[Image], right: Sequence[Image]) -> NDArray[np.float32]:
        """The distance, 1 - cosine, of each face from each of the others, [N, M]."""
        return np.asarray(1 - self._run(np.stack(left)) @ self._run(np.stack(right)).T)

    def __call__(self, pictures: Sequence[Image]) -> Features:
        found: NDArray[np.float32] = self._run(np.stack(pictures))
        return found * np.float32(np.sqrt(found.shape[1]))

    def frame(self, image: Image, template: Template | None) -> Image:
        return framed(image, template, SPHEREFACE)


class Inception:
    """Inception-v3 with the user's weights, in torchvision's layout; whole pictures, bicubic to 299 pixels."""

    def __init__(self, weights: Path) -> None:
        """DataError if the file has no such weights; a .pth file is read as tensors alone."""
        try:
            state = load_file(weights) if weights.suffix == ".safetensors" else torch.load(weights, weights_only=True)
            self._network, of_2015 = inception.from_state(state)
        except (OSError, KeyError, TypeError, RuntimeError, SafetensorError, pickle.UnpicklingError) as error:
            raise DataError(f"{weights} has no weights of Inception-v3: {type(error).__name__}: {error}") from error
        self.name = "" if of_2015 else "inception-torchvision"

    @torch.inference_mode()
    def __call__(self, pictures: Sequence[Image]) -> Features:
        return np.asarray(self._network(picture(torch.from_numpy(np.stack(pictures)))).numpy())

    def frame(self, image: Image, template: Template | None) -> Image:
        # Pillow's filter is wide enough not to alias, which is where most figures of others differ.
        side = (inception.SIDE, inception.SIDE)
        return np.asarray(Pillow.fromarray(image).resize(side, Pillow.Resampling.BICUBIC))


def described(images: Iterable[Image], network: Network, template: Template | None) -> Features:
    """Features [N, D] of pictures that show the frame of a template, or of unaligned ones."""
    frames: Iterator[Image] = (network.frame(image, template) for image in images)
    batches = iter(lambda: list(islice(frames, BATCH)), [])
    return np.concatenate([network(some) for some in batches])


def labelled(figure: str, network: Network) -> str:
    """`kid` by dlib: kid@dlib."""
    return f"{figure}@{network.name}" if network.name else figure


def framed(image: Image, template: Template | None, target: Template) -> Image:
    """The target's frame, cut out of a picture of the template's; of an unknown one the middle, as large as it goes."""
    return cut(image, _matrix(image.shape, template, target), target)


def _matrix(shape: Sequence[int], template: Template | None, target: Template) -> Matrix:
    height, width = shape[:2]
    if template is None:
        scale = max(target.width / width, target.height / height)
        shift = [(target.width - 1 - scale * (width - 1)) / 2, (target.height - 1 - scale * (height - 1)) / 2]
        return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    factors = np.array([width / template.width, height / template.height])
    points = (np.array(template.points) + 0.5) * factors - 0.5
    return similarity(points[: len(target.points)], target.points)
