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
from training.engine.phase import Step

REAL_SIGN, MADE_SIGN, TOLD_APART = "real_sign", "made_sign", "told_apart"
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


def always_wins(figure: str = TOLD_APART, who: str = "The discriminator") -> Symptom:
    """Of a discriminator, whose `told_apart` is logged as `figure`."""
    return Symptom(
        figure=figure,
        above=0.95,
        says=f"{who} tells nearly every real picture from nearly every made one, which teaches its generator little",
        try_="A lower rate for it, a stronger penalty, or more augmentation of what it sees",
    )


def of_domain(domain: str) -> tuple[Symptom, Symptom]:
    """Of the discriminator of one of several domains, with its name behind those of the figures."""
    who = f"The discriminator of the domain {domain}"
    return by_heart(f"{REAL_SIGN}_{domain}", who), always_wins(f"{TOLD_APART}_{domain}", who)


def collapse(figure: str = SPREAD, of: str = "the numbers") -> Symptom:
    """Of a generator, the spread of whose pictures is logged as `figure`."""
    return Symptom(
        figure=figure,
        below=0.1,  # of DCGAN's first thousands of faces, which are fog, it is a quarter
        says=f"Whatever {of}, nearly the same picture is made of them",
        try_="Lower rates, a larger batch or a stronger penalty, from a checkpoint that was kept before",
    )


COLLAPSE = collapse()
SYMPTOMS = (by_heart(), always_wins(), COLLAPSE)
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


def note_signs(step: Step, real: Tensor, made: Tensor, of: str = "") -> None:
    """Note what a discriminator's logits say, less the logit that says nothing: 0, or the middle of least squares.

    `real_sign` and `made_sign`, -1..1, and `told_apart`, how far both are right: 1 where no picture is mistaken, 0
    where one of both signs is a guess. `of` is put behind their names.
    """
    right, wrong = real_sign(real), real_sign(made)
    for name, value in ((REAL_SIGN, right), (MADE_SIGN, wrong), (TOLD_APART, torch.minimum(right, -wrong))):
        step.note(name + of, value)


class Wandering:
    """The spread of made pictures where a batch is too small to have one: over about the last hundred steps.

    How far pictures are from the running mean of those before them. What is kept of them is small, and belongs to no
    checkpoint: a run that goes on begins to look anew.
    """

    SIDE, KEEP = 8, 0.99

    def __init__(self) -> None:
        self._means: tuple[Tensor, Tensor] | None = None

    def spread(self, made: Tensor, real: Tensor) -> Tensor:
        """Of made pictures as a share of that of real ones, both [B, C, H, W]; 1 of the first ones."""
        small = [functional.adaptive_avg_pool2d(each.detach().float(), self.SIDE) for each in (made, real)]
        now = [each.mean(0) for each in small]
        means = now if self._means is None else self._means
        away = [(each - mean).abs().mean() + EPSILON for each, mean in zip(small, means, strict=True)]
        made_mean, real_mean = (mean.lerp(each, 1 - self.KEEP) for mean, each in zip(means, now, strict=True))
        self._means = made_mean, real_mean
        return away[0] / away[1]


def spread(made: Tensor, real: Tensor) -> Tensor:
    """How much the made pictures [B, C, H, W] of a batch differ, as a share of how much its real ones do.

    By the deviation of each value over the batch, its mean over values: about 1 where as much changes, near 0 where a
    generator has collapsed to one picture. 1 of single pictures, which say nothing.
    """
    made, real = (each.detach().float().std(0, correction=0).mean() + EPSILON for each in (made, real))
    return made / real
