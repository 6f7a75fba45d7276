"""Whether two pictures of different domains show the same things, as a frozen classifier sees them."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def domain_invariant(made: Tensor, original: Tensor) -> Tensor:
    """Mean square between features [B, C, H, W], each channel of each picture of mean 0 and deviation 1.

    Huang et al. 2018 ("MUNIT", section 5.1): what tells domains apart is mostly in these means and deviations.
    """
    first, second = (functional.instance_norm(each.float()) for each in (made, original))
    return (first - second).square().mean()
