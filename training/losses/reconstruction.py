"""How far a picture is from the one it should be: colour, edges, fine lines."""

from torch import Tensor
from torch.nn import functional as F


def edges(a: Tensor, b: Tensor, scales: int = 2) -> Tensor:
    """Mean absolute difference of the first differences of two pictures [B, C, H, W], over `scales` octaves."""
    total = a.new_zeros(())
    for _ in range(scales):
        for axis in (-1, -2):
            total = total + (a.diff(dim=axis) - b.diff(dim=axis)).abs().mean()
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return total / (2 * scales)


def laplacian(picture: Tensor) -> Tensor:
    """The 5-point Laplacian of a picture [B, C, H, W]: [B, C, H - 2, W - 2]."""
    centre = picture[..., 1:-1, 1:-1]
    across = picture[..., 1:-1, :-2] + picture[..., 1:-1, 2:]
    down = picture[..., :-2, 1:-1] + picture[..., 2:, 1:-1]
    return across + down - 4 * centre


def fine_lines(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of the Laplacians: what blurs or invents lines costs."""
    return (laplacian(a) - laplacian(b)).abs().mean()


def landmark_error(displacement: Tensor, landmarks: Tensor, target: Tensor) -> Tensor:
    """How far a backward field misses landmarks that it should carry, per point [B, N], in the field's units.

    displacement [B, 2, h, w] and points [B, N, 2] in units of half the frame. A face's landmark should appear at
    `target`, so at `target` the field must point back to `landmarks`.
    """
    at = F.grid_sample(displacement, target[:, :, None], mode="bilinear", padding_mode="border", align_corners=False)
    return (at[..., 0].transpose(1, 2) - (landmarks - target)).abs().sum(-1)
