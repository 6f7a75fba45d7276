"""Between pixels, uint8 [B, H, W, 3] RGB, and what networks of pictures read and write: float [B, 3, H, W] in -1..1."""

import torch
from torch import Tensor, nn


def signed(levels: Tensor) -> Tensor:
    """Levels, 0..255, to float32 in -1..1."""
    return levels.float() / 127.5 - 1


def picture(pixels: Tensor) -> Tensor:
    """uint8 [B, H, W, 3] to float32 [B, 3, H, W] in -1..1."""
    return signed(pixels.permute(0, 3, 1, 2))


def pixels(pictures: Tensor) -> Tensor:
    """float [B, 3, H, W], about -1..1, to the nearest uint8 [B, H, W, 3]."""
    levels = ((pictures.float() + 1) * 127.5 + 0.5).clamp(0, 255)
    return levels.permute(0, 2, 3, 1).to(torch.uint8)


class PixelTranslator(nn.Module):
    """A network of pictures as it is exported: `image` uint8 [B, S, S, 3] in, and out; of several outputs the first."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        made = self.network(picture(image))
        return pixels(made[0] if isinstance(made, tuple) else made)
