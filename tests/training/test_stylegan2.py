"""training.networks.stylegan2: the published networks, and that they are what the paper writes."""

import pytest
import torch

from training.networks.size import parameter_count
from training.networks.stylegan2 import Discriminator, Mapping, Synthesis, spread


@pytest.mark.parametrize(
    ("size", "base", "generator", "discriminator"),
    [
        (64, 16384, 23.82, 23.41),
        (128, 16384, 24.53, 23.88),
        (256, 16384, 24.77, 24.00),
        (512, 16384, 24.86, 24.03),
        (64, 32768, 27.03, 26.49),
        (128, 32768, 29.33, 28.39),
        (256, 32768, 30.03, 28.86),
        (512, 32768, 30.28, 28.98),
        (1024, 32768, 30.370060, 29.012513),
    ],
)
def test_the_networks_have_the_published_sizes(size: int, base: int, generator: float, discriminator: float) -> None:
    """Millions of parameters with a mapping of eight layers; at 1024 pixels to the last one."""
    exact = 5e-7 if size == 1024 else 5e-3
    with torch.device("meta"):
        assert parameter_count(Mapping()) == 2_101_248
        found = parameter_count(Mapping()) + parameter_count(Synthesis(size, base))
        assert found / 1e6 == pytest.approx(generator, abs=exact)
        assert parameter_count(Discriminator(size, base)) / 1e6 == pytest.approx(discriminator, abs=exact)


def test_shapes_and_the_sharing_of_vectors() -> None:
    """Two vectors a resolution; the last one colours alone."""
    synthesis = Synthesis(16, base=256, style=8, most=16)
    assert synthesis.layers == 6 and synthesis.noise_sides == [4, 8, 8, 16, 16]
    w = torch.randn(2, synthesis.layers, 8)
    with torch.no_grad():
        assert synthesis(w).shape == (2, 3, 16, 16)
        assert Discriminator(16, base=256, most=16)(synthesis(w)).shape == (2,)


def test_without_given_noise_a_picture_is_always_the_same() -> None:
    """With other noise it is another one, once noise counts."""
    synthesis = Synthesis(8, base=128, style=8, most=16)
    for module in synthesis.modules():
        if hasattr(module, "strength"):
            module.strength.data.fill_(1.0)
    w = torch.randn(1, synthesis.layers, 8)
    with torch.no_grad():
        assert torch.equal(synthesis(w), synthesis(w))
        noises = [torch.randn(1, 1, side, side) for side in synthesis.noise_sides]
        assert not torch.allclose(synthesis(w), synthesis(w, noises), atol=1e-3)


def test_spread_tells_copies_from_a_crowd() -> None:
    """0 where all are the same, with finite gradients; each group has its own, and odd batches have groups too."""
    x = torch.ones(4, 3, 2, 2, requires_grad=True)
    flat = spread(x, 4)
    flat.sum().backward()
    assert flat.abs().max() < 1e-3 and torch.isfinite(x.grad).all()
    assert spread(torch.randn(8, 3, 2, 2), 4)[:, 0, 0, 0].unique().numel() == 2
    assert spread(torch.randn(7, 3, 2, 2), 4).shape == (7, 1, 2, 2)
