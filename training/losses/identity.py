"""Whether a picture that was made still shows the person, as a frozen face encoder sees it."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def similarity(made: Tensor, original: Tensor) -> Tensor:
    """Cosines [B] of features [B, D], each row with its own."""
    return functional.cosine_similarity(made.float(), original.float(), dim=1)


def identity_hinge(cosine: Tensor, wanted: float) -> Tensor:
    """Mean of what the cosines [B] lack to `wanted` (SATNet): 0 from there on, and so is the gradient."""
    return functional.relu(wanted - cosine).mean()
