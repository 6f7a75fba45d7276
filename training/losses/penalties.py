"""What keeps a discriminator or a generator smooth. All of it in float32, whatever the networks run in."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from training.engine.phase import Optimiser, adam

EPSILON = 1e-12
"""Within roots: the gradient of a root at zero is infinite."""

Critic = Callable[[Tensor], Tensor]


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, mixture: Tensor, target: float = 1.0) -> Tensor:
    """Mean (||grad|| - target)^2 between real and fake pictures [B, C, H, W] (Gulrajani et al. 2017, eq. 3).

    `mixture` [B], uniform in 0..1, is the share of the real picture. The norm is over all axes of an image, of each
    image for itself.
    """
    share = mixture.view(-1, 1, 1, 1)
    between = (share * real.detach().float() + (1 - share) * fake.detach().float()).requires_grad_()
    return (_norms(_gradient(critic, between)) - target).square().mean()


def r1(critic: Critic, real: Tensor) -> Tensor:
    """Half of the mean squared gradient at real pictures [B, C, H, W] (Mescheder et al. 2018, eq. 9), without gamma."""
    gradient = _gradient(critic, real.detach().float().requires_grad_())
    return gradient.square().flatten(1).sum(1).mean() / 2


@torch.no_grad()
def clip_weights(network: nn.Module, limit: float = 0.01) -> None:
    """Every parameter into -limit..limit (Arjovsky et al. 2017), those of normalisations too."""
    for parameter in network.parameters():
        parameter.clamp_(-limit, limit)


class PathLength(nn.Module):
    """How far a step in w moves the picture, beside the running mean of that (Karras et al. 2020, section 3.2).

    The mean is the one before the step, and whoever trains moves it: the parts of a step cannot know that of the whole.
    """

    mean: Tensor

    def __init__(self, decay: float = 0.01) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, pictures: Tensor, w: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The penalty, and the mean length, which `mean` is to follow by `decay`.

        Pictures [B, C, H, W] come of w [B, layers, D]; noise is N(0, 1) of their shape.
        """
        with torch.autocast(pictures.device.type, enabled=False):
            projected = (pictures.float() * noise / math.sqrt(pictures[0, 0].numel())).sum()
            (gradient,) = torch.autograd.grad(projected, w, create_graph=True)
            lengths = (gradient.square().sum(2).mean(1) + EPSILON).sqrt()
        return (lengths - self.mean).square().mean(), lengths.detach().mean()


def lazy(rate: float, betas: tuple[float, float], every: int) -> Optimiser:
    """Adam for a loss with a regulariser that comes only every so many steps (Karras et al. 2020, appendix B).

    The regulariser makes steps of its own, so that all of them are a little smaller and remember a little less.
    """
    share = every / (every + 1)
    return adam(rate * share, (betas[0] ** share, betas[1] ** share))


def _gradient(critic: Critic, pictures: Tensor) -> Tensor:
    """Of the sum of all logits, so that every image has its own."""
    with torch.autocast(pictures.device.type, enabled=False):
        logits = critic(pictures)
        (gradient,) = torch.autograd.grad(logits.sum(), pictures, create_graph=True)
    return gradient


def _norms(gradient: Tensor) -> Tensor:
    return (gradient.square().flatten(1).sum(1) + EPSILON).sqrt()
