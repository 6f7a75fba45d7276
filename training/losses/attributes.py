"""Whether a picture that was made still shows what a classifier of attributes sees in the original."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional


def attribute_loss(made: Mapping[str, Tensor], original: Mapping[str, Tensor]) -> Tensor:
    """The divergence of what is said of pictures from what is said of their originals, mean of all attributes.

    Logits by name [B, answers]; 0 where the same is said with the same certainty. Answers weigh what the classifier
    gives them for the original, so that what it does not know it does not ask for.
    """
    apart = [
        functional.kl_div(
            functional.log_softmax(made[name].float(), 1),
            functional.log_softmax(logits.float(), 1),
            log_target=True,
            reduction="batchmean",
        )
        for name, logits in original.items()
    ]
    return torch.stack(apart).mean()


def shown(pictures: Tensor, size: int) -> Tensor:
    """Pictures [B, 3, S, S] as a classifier sees them that learnt on squares of `size` pixels."""
    return functional.interpolate(pictures, size=(size, size), mode="area")
