"""How well a backward displacement field [B, 2, H, W] (units of half the frame) does what a caricaturist wants."""

import torch
from torch import Tensor
from torch.nn import functional as F


def explained(displacement: Tensor, landmarks: Tensor, target: Tensor) -> float:
    """Share of the wanted energy of landmarks [B, N, 2] that the field reaches: 1 - residual / wanted.

    A face's landmark should appear at `target`, so at `target` the field must point back to `landmarks`.
    """
    residual, wanted = energies(displacement, landmarks, target).sum(0)
    return float(1 - residual / wanted)


def energies(displacement: Tensor, landmarks: Tensor, target: Tensor) -> Tensor:
    """Of each face the energy that its field misses, and the wanted one [B, 2]."""
    at = F.grid_sample(displacement, target[:, :, None], mode="bilinear", padding_mode="border", align_corners=False)
    wanted = landmarks - target
    missed = at[..., 0].transpose(1, 2) - wanted
    return torch.stack([missed.square().sum((1, 2)), wanted.square().sum((1, 2))], 1)


def folded(displacement: Tensor) -> float:
    """Share of cells in which the map turns over: those with a Jacobian of zero or less."""
    height, width = displacement.shape[2:]
    y, x = torch.meshgrid(torch.arange(height) * 2 / height, torch.arange(width) * 2 / width, indexing="ij")
    return float(turned_over(torch.stack([x, y]) + displacement).mean())


def turned_over(places: Tensor) -> Tensor:
    """The same of each map [B], whose cells [B, 2, H, W] are looked up at these places (x, y)."""
    across, down = (
        places[:, :, :-1, 1:] - places[:, :, :-1, :-1],
        places[:, :, 1:, :-1] - places[:, :, :-1, :-1],
    )
    return (across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0] <= 0).float().mean((1, 2))
