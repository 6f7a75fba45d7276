"""Landmarks of a photo in its drawing, not detected again but carried there by the warp."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training.data.caricaturist import CODE_SIZE
from training.networks.pixels import picture
from training.networks.satnet_r import Translator
from training.networks.warp import FRAME


@torch.no_grad()
def carried(network: Translator, photo: np.ndarray, landmarks: np.ndarray, strength: Tensor, parts: Tensor) -> Tensor:
    """Where the photo's landmarks come to lie in the drawing [N, 68, 2], pixels: along the inverse of the flow."""
    count, warp = len(strength), network.warp
    seen = picture(torch.from_numpy(photo)[None].expand(count, -1, -1, -1))
    forth = warp.flow(-warp.velocity(seen, strength, torch.zeros(count, CODE_SIZE), parts))
    at = torch.from_numpy(landmarks).float()[None, None].expand(count, -1, -1, -1)
    moves = F.grid_sample(forth, (at + 0.5) * 2 / FRAME - 1, padding_mode="border", align_corners=False)
    return at[:, 0] + moves[:, :, 0].transpose(1, 2) * FRAME / 2
