"""A-Softmax, the angular margin of SphereFace (Liu et al. 2017, eq. 7 and 8), with the annealing that trains it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

MARGIN = 4


def psi(cosine: Tensor) -> Tensor:
    """(-1)^k cos(4 t) - 2 k, with t = arccos(cosine) in [k pi / 4, (k + 1) pi / 4]: cos made steeper, still monotone.

    From 1 at t = 0 to -7 at t = pi, never above the cosine. cos(4 t) is the polynomial 8 c^4 - 8 c^2 + 1 and k is
    constant for the gradient, so that it is finite at cosine = +-1, where arccos has none.
    """
    square = cosine * cosine
    cos_4t = 8 * square * square - 8 * square + 1
    k = (MARGIN * cosine.detach().clamp(-1, 1).acos() / math.pi).floor().clamp(max=MARGIN - 1)
    sign = 1 - 2 * (k % 2)
    return sign * cos_4t - 2 * k


def annealing(iteration: int, floor: float = 5.0) -> float:
    """lambda = max(floor, 1500 / (1 + 0.1 iteration)): the share of the plain cosine in the target's logit."""
    return max(floor, 1500 / (1 + 0.1 * iteration))


class AngleLinear(nn.Module):
    """Features [B, in_features] -> cosines with each class [B, classes] and the features' lengths [B, 1].

    Weight (in_features, classes), its columns taken at unit length, no bias: sphere20a's `fc6`.
    """

    def __init__(self, in_features: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(in_features, classes).uniform_(-1, 1))
        functional.normalize(self.weight.data, dim=0, out=self.weight.data)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        length = features.norm(dim=1, keepdim=True)
        cosine = features @ functional.normalize(self.weight, dim=0) / length.clamp(min=1e-12)
        return cosine.clamp(-1, 1), length


def angular_softmax(cosine: Tensor, length: Tensor, labels: Tensor, lam: float) -> Tensor:
    """Mean cross-entropy where the target's logit is |x| (psi + lam cos) / (1 + lam), every other |x| cos.

    `cosine` [B, classes] and `length` [B, 1] come from AngleLinear, `labels` int64 [B].
    """
    target = functional.one_hot(labels, cosine.shape[1]).bool()
    steeper = (psi(cosine) + lam * cosine) / (1 + lam)
    return functional.cross_entropy(length * torch.where(target, steeper, cosine), labels)
