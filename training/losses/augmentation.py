"""What a discriminator sees of real and of made pictures, so that it does not learn a small set by heart.

Zhao et al. 2020, "Differentiable augmentation": the same kind of change on both, through which gradients flow. Without
their cutout, which leaks into what is made of small sets of faces.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.engine.randomness import Random

SHIFT = 1 / 8
"""Of the side, at most."""


def augmented(pictures: Tensor, random: Random, share: float = 1.0) -> Tensor:
    """[B, 3, H, W], each picture changed with the probability `share` of each kind of change."""
    return shifted(coloured(pictures, random, share), random, share)


def coloured(pictures: Tensor, random: Random, share: float = 1.0) -> Tensor:
    """Brightness +- 0.5, saturation times 0..2, contrast times 0.5..1.5."""
    brightness, saturation, contrast = (_amount(random, share).to(pictures.dtype) for _ in range(3))
    x = pictures + (brightness - 0.5)
    grey = x.mean(1, keepdim=True)
    x = grey + 2 * saturation * (x - grey)
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (0.5 + contrast) * (x - mean)


def shifted(pictures: Tensor, random: Random, share: float = 1.0) -> Tensor:
    """By whole pixels, zeros coming in."""
    batch, _, height, width = pictures.shape
    most = [round(SHIFT * side) for side in (height, width)]
    moved = random.uniform() < share
    down, right = (torch.where(moved, random.whole(-each, each + 1), 0) for each in most)
    padded = functional.pad(pictures, (most[1], most[1], most[0], most[0]))
    rows = torch.arange(height, device=pictures.device) + (most[0] + down)[:, None]
    columns = torch.arange(width, device=pictures.device) + (most[1] + right)[:, None]
    images = torch.arange(batch, device=pictures.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[images, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _amount(random: Random, share: float) -> Tensor:
    """0..1 [B, 1, 1, 1]; 0.5, which changes nothing, where a picture is spared."""
    chosen, amount = random.uniform() < share, random.uniform()
    return torch.where(chosen, amount, 0.5)[:, None, None, None]
