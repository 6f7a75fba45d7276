"""Whether a picture that was made still shows the person, as a frozen face encoder sees it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from export.alignment import SPHEREFACE, SQUARE_256, apply
from export.alignment import similarity as fitted
from training.networks.sphereface import HEIGHT, WIDTH, pictures_to_faces


def similarity(made: Tensor, original: Tensor) -> Tensor:
    """Cosines [B] of features [B, D], each row with its own."""
    return functional.cosine_similarity(made.float(), original.float(), dim=1)


def identity_hinge(cosine: Tensor, wanted: float) -> Tensor:
    """Mean of what the cosines [B] lack to `wanted` (SATNet): 0 from there on, and so is the gradient."""
    return functional.relu(wanted - cosine).mean()


def contrast(made: Tensor, original: Tensor, temperature: float = 0.07) -> Tensor:
    """Whose picture it is, of all persons of the batch: InfoNCE of features [B, D] (van den Oord et al. 2018).

    The cosines of what was made of a person with all originals, divided by the temperature, are the logits of its own;
    log(B) where nobody is told from anybody, 0 where all are.
    """
    rows, columns = (functional.normalize(each.float(), dim=1) for each in (made, original))
    own = torch.arange(len(made), device=made.device)
    return functional.cross_entropy(rows @ columns.T / temperature, own)


def prototypes(features: Tensor, persons: Tensor) -> Tensor:
    """What is known of each person from all of its features: [P, D], rows of length 1.

    The mean of its rows of features [N, D], each of length 1, so that one photo says as much as another; `persons` [N]
    are codes of 0..P-1. Of a person without a row it is 0.
    """
    rows = functional.normalize(features.float(), dim=1)
    sums = rows.new_zeros(int(persons.max()) + 1, rows.shape[1]).index_add(0, persons, rows)
    return functional.normalize(sums, dim=1)


def faces_of_square(pictures: Tensor) -> Tensor:
    """What a face encoder reads of pictures [B, 3, S, S] in -1..1 that are aligned to SQUARE_256, of whatever size.

    [B, 3, 112, 96] as training.networks.sphereface has it; gradients flow through it.
    """
    at = torch.from_numpy(_places()).float().to(pictures.device).expand(len(pictures), -1, -1, -1)
    cut = functional.grid_sample(pictures, at, mode="bilinear", padding_mode="border", align_corners=False)
    return pictures_to_faces(cut)


def _places() -> np.ndarray:
    """Where the pixels of a frame of twice SphereFace's size are in the square [1, 224, 192, 2], -1..1 edge to edge."""
    y, x = (np.mgrid[: 2 * HEIGHT, : 2 * WIDTH] + 0.5) / 2 - 0.5
    to_square = fitted(SPHEREFACE.points, SQUARE_256.points)
    places = apply(to_square, np.stack([x, y], -1).reshape(-1, 2)).reshape(1, 2 * HEIGHT, 2 * WIDTH, 2)
    return np.asarray((places + 0.5) * 2 / SQUARE_256.width - 1)
