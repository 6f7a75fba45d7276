"""A small face encoder learns from the descriptors of a large one (Hinton et al. 2015; Park et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def descriptor_loss(predicted: Tensor, descriptors: Tensor) -> Tensor:
    """Mean 1 - cosine between predicted [B, D] and the teacher's (centred) descriptors [B, D]; in 0..2."""
    return (1 - functional.cosine_similarity(predicted, descriptors, dim=1)).mean()


def relational_loss(embeddings: Tensor, descriptors: Tensor) -> Tensor:
    """How far the students' cosines of all pairs in the batch are from the teacher's: root mean square, in 0..2.

    "Relational knowledge distillation": what counts for verification is who is near whom, not the coordinates. The
    students' [B, E] and the teacher's [B, D] spaces may differ in dimension.
    """
    others = ~torch.eye(len(embeddings), dtype=torch.bool, device=embeddings.device)
    difference = _cosines(embeddings)[others] - _cosines(descriptors)[others]
    return difference.square().mean().sqrt()


def _cosines(rows: Tensor) -> Tensor:
    unit = functional.normalize(rows, dim=1)
    return unit @ unit.T
