"""training.losses.perceptual: what two domains differ in anyway costs nothing."""

import torch

from training.losses.perceptual import domain_invariant

FEATURES = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def test_means_and_deviations_of_channels_do_not_count() -> None:
    """Each channel of each picture may be of another mean and deviation; its sign may not."""
    gain, shift = torch.rand(2, 3, 1, 1) + 0.5, torch.randn(2, 3, 1, 1)
    assert domain_invariant(gain * FEATURES + shift, FEATURES) < 1e-6
    assert domain_invariant(-FEATURES, FEATURES) > 1


def test_it_is_a_mean_square() -> None:
    """Of features that are normalised already: channels of opposite sign differ by twice themselves, 4 on average."""
    assert abs(domain_invariant(-FEATURES, FEATURES).item() - 4) < 1e-3
