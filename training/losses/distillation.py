"""A small face encoder learns from the descriptors of a large one (Hinton et al. 2015; Park et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

EPSILON = 1e-12
"""Within the root: its gradient at zero is infinite."""


def descriptor_loss(predicted: Tensor, descriptors: Tensor) -> Tensor:
    """Mean 1 - cosine between predicted [B, D] and the teacher's (centred) descriptors [B, D]; in 0..2."""
    return (1 - functional.cosine_similarity(predicted, descriptors, dim=1)).mean()


def relational_loss(embeddings: Tensor, descriptors: Tensor) -> Tensor:
    """How far the students' cosines of all pairs in the batch are from the teacher's: root mean square, in 0..2.

    "Relational knowledge distillation": what counts for verification is who is near whom, not the coordinates. The
    students' [B, E] and the teacher's [B, D] spaces may differ in dimension. It is 0, but for a millionth, where there
    is nothing to learn: of a student who agrees, or of a batch without a pair.
    """
    others = ~torch.eye(len(embeddings), dtype=torch.bool, device=embeddings.device)
    difference = _cosines(embeddings)[others] - _cosines(descriptors)[others]
    return (difference.square().sum() / max(len(difference), 1) + EPSILON).sqrt()


def neighbour_loss(embeddings: Tensor, descriptors: Tensor, temperature: float = 0.1) -> Tensor:
    """Who of the batch looks like whom, as the teacher would say it: 0 where the student says the same.

    For every row the cosines with all other rows, divided by the temperature, are a distribution over them. The
    divergence of the student's [B, E] from the teacher's [B, D], times the temperature squared, so that its gradient
    does not depend on that (Hinton et al. 2015, section 2; over neighbours as Passalis and Tefas 2018). A low
    temperature looks at the nearest alone, a high one at all alike, as `relational_loss` does.
    """
    itself = torch.eye(len(embeddings), dtype=torch.bool, device=embeddings.device)
    student, teacher = (
        functional.log_softmax((_cosines(rows) / temperature).masked_fill(itself, -1e4), dim=1)
        for rows in (embeddings, descriptors)
    )
    return temperature**2 * functional.kl_div(student, teacher, log_target=True, reduction="batchmean")


def _cosines(rows: Tensor) -> Tensor:
    unit = functional.normalize(rows, dim=1)
    return unit @ unit.T
