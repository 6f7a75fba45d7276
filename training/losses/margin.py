"""Margins between people: A-Softmax of SphereFace (Liu et al. 2017, eq. 7 and 8) with its annealing, and later ones."""

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


def additive_cosine(cosine: Tensor, labels: Tensor, scale: float = 30.0, margin: float = 0.35) -> Tensor:
    """CosFace (Wang et al. 2018, eq. 4): cross-entropy of `scale` times the cosines, the target's less `margin`."""
    target = functional.one_hot(labels, cosine.shape[1])
    return functional.cross_entropy(scale * (cosine - margin * target), labels)


def additive_angle(cosine: Tensor, labels: Tensor, scale: float = 64.0, margin: float = 0.5) -> Tensor:
    """ArcFace (Deng et al. 2019, eq. 3): the target's angle is widened by `margin`.

    Beyond pi - margin, where that would come down again on the other side, the cosine goes on falling as a line. The
    sine is never exactly 0, where the gradient of its root is infinite.
    """
    sine = (1 - cosine.square()).clamp(min=1e-12).sqrt()
    wider = cosine * math.cos(margin) - sine * math.sin(margin)
    beyond = cosine - margin * math.sin(margin)
    steeper = torch.where(cosine > math.cos(math.pi - margin), wider, beyond)
    target = functional.one_hot(labels, cosine.shape[1]).bool()
    return functional.cross_entropy(scale * torch.where(target, steeper, cosine), labels)


class BinaryMargin(nn.Module):
    """SphereFace2 (Wen et al. 2022, eq. 6): one question for each class, is it this person?

    Cosines [B, classes] and labels int64 [B] -> the mean over the batch of all classes' logistic losses. `balance` is
    the weight of the right class against that of all others together. The bias begins where, with features that know
    nothing (cosine 0), both sides pull equally.
    """

    def __init__(
        self, classes: int, *, balance: float = 0.7, scale: float = 40.0, margin: float = 0.4, power: float = 3.0
    ) -> None:
        super().__init__()
        self.balance, self.scale, self.margin, self.power = balance, scale, margin, power
        odds = balance / ((1 - balance) * (classes - 1))
        middle = 2 * 0.5**power - 1
        own, other = scale * (middle - margin), scale * (middle + margin)
        root = math.sqrt((1 - odds) ** 2 + 4 * odds * math.exp(own - other))
        self.bias = nn.Parameter(torch.tensor(math.log(2 * odds) - other - math.log(1 - odds + root)))

    def forward(self, cosine: Tensor, labels: Tensor) -> Tensor:
        target = functional.one_hot(labels, cosine.shape[1]).bool()
        spread = 2 * ((cosine + 1) / 2).pow(self.power) - 1
        own = functional.softplus(-self.scale * (spread - self.margin) - self.bias)
        other = functional.softplus(self.scale * (spread + self.margin) + self.bias)
        losses = torch.where(target, self.balance * own, (1 - self.balance) * other)
        return losses.sum(1).mean() / self.scale
