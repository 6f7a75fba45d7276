"""Adversarial objectives. Logits are what a discriminator returns, without a sigmoid: float32 [B] or [B, 1, H, W].

Means are over images and over places of a patch discriminator; several discriminators are summed by who has them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from training.engine.health import Symptom

REAL_SIGN = "real_sign"
SPREAD = "spread"
EPSILON = 1e-6
"""Beside deviations of pictures in -1..1, so that none is as much as none."""


def by_heart(figure: str = REAL_SIGN, who: str = "The discriminator") -> Symptom:
    """Of a discriminator, whose `real_sign` is logged as `figure`."""
    return Symptom(
        figure=figure,
        above=0.9,
        says=f"{who} knows nearly all real pictures by heart",
        try_="More augmentation of what it sees, a stronger penalty, or more pictures",
    )


COLLAPSE = Symptom(
    figure=SPREAD,
    below=0.1,  # of DCGAN's first thousands of faces, which are fog, it is a quarter
    says="Whatever the numbers, nearly the same picture is made of them",
    try_="Lower rates, a larger batch or a stronger penalty, from a checkpoint that was kept before",
)
SYMPTOMS = (by_heart(), COLLAPSE)
"""Of one discriminator and a generator that makes pictures of numbers."""


@dataclass(frozen=True)
class Objective:
    """What a discriminator minimises on real and on generated pictures, and what its generator minimises."""

    real: Callable[[Tensor], Tensor]
    fake: Callable[[Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss, a scalar."""
        return self.real(real.float()).mean() + self.fake(fake.float()).mean()

    def deceive(self, fake: Tensor) -> Tensor:
        """The generator's loss, a scalar."""
        return self.generator(fake.float()).mean()


def least_squares(fake: float = 0.0, real: float = 1.0, wanted: float = 1.0) -> Objective:
    """Mao et al. 2017, eq. 9, each square halved; (-1, 1, 0) minimises Pearson's chi-square."""
    return Objective(
        lambda logits: (logits - real).square() / 2,
        lambda logits: (logits - fake).square() / 2,
        lambda logits: (logits - wanted).square() / 2,
    )


NON_SATURATING = Objective(
    lambda logits: functional.softplus(-logits), functional.softplus, lambda logits: functional.softplus(-logits)
)
"""Goodfellow et al. 2014, section 3: cross-entropy, the generator maximising log D."""
SATURATING = Objective(
    lambda logits: functional.softplus(-logits), functional.softplus, lambda logits: -functional.softplus(logits)
)
"""Goodfellow et al. 2014, eq. 1, as it stands: the generator's gradient vanishes where it is worst."""
LEAST_SQUARES = least_squares()
WASSERSTEIN = Objective(lambda logits: -logits, lambda logits: logits, lambda logits: -logits)
"""Arjovsky et al. 2017; the discriminator must be kept Lipschitz by clipping or a penalty."""
HINGE = Objective(
    lambda logits: functional.relu(1 - logits), lambda logits: functional.relu(1 + logits), lambda logits: -logits
)
"""Lim and Ye 2017; Miyato et al. 2018, eq. 16."""


def relativistic(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The discriminator's and the generator's loss of pairs (Jolicoeur-Martineau 2019), as in R3GAN."""
    difference = real.float() - fake.float()
    return functional.softplus(-difference).mean(), functional.softplus(difference).mean()


def real_sign(logits: Tensor) -> Tensor:
    """Mean sign of the logits of real pictures, -1..1: near 1 where a discriminator overfits (Karras et al. 2020)."""
    return torch.sign(logits.detach().float()).mean()


def spread(made: Tensor, real: Tensor) -> Tensor:
    """How much the made pictures [B, C, H, W] of a batch differ, as a share of how much its real ones do.

    By the deviation of each value over the batch, its mean over values: about 1 where as much changes, near 0 where a
    generator has collapsed to one picture. 1 of single pictures, which say nothing.
    """
    made, real = (each.detach().float().std(0, correction=0).mean() + EPSILON for each in (made, real))
    return made / real
