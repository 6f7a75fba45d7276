"""training.networks.resampling: filters at known pictures."""

import torch
from torch.nn import functional

from training.networks.resampling import Fir, Upsample


def test_filters_keep_the_brightness() -> None:
    """Of a flat picture, away from its edges; and they are bilinear there."""
    flat = torch.ones(1, 2, 8, 8)
    assert torch.allclose(Upsample()(flat)[:, :, 2:-2, 2:-2], torch.ones(1, 2, 12, 12))
    assert torch.allclose(Fir((2, 1))(flat)[:, :, 2:-2, 2:-2], torch.ones(1, 2, 4, 4))
    x = torch.randn(1, 2, 8, 8)
    bilinear = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    assert torch.allclose(Upsample()(x)[:, :, 1:-1, 1:-1], bilinear[:, :, 1:-1, 1:-1], atol=1e-6)
