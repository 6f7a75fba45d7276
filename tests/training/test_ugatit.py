"""training.networks.ugatit: the published networks."""

import torch

from training.networks.sphereface import parameter_count
from training.networks.ugatit import ClassActivation, Discriminator, Generator


def test_the_networks_have_the_published_sizes() -> None:
    """Parameters of the light generator and of both discriminators, as the authors' version has them."""
    assert parameter_count(Generator()) == 10_589_888
    assert parameter_count(Discriminator(5)) == 3_290_560
    assert parameter_count(Discriminator(7)) == 53_130_176


def test_shapes_are_the_papers() -> None:
    """Pictures of any size that is a multiple of 4; patches of 30 x 30 and 6 x 6 at 256 pixels."""
    with torch.no_grad():
        picture, logits = Generator(width=4)(torch.zeros(2, 3, 36, 44))
        assert picture.shape == (2, 3, 36, 44) and logits.shape == (2, 2) and picture.abs().max() <= 1
        for layers, side in ((5, 30), (7, 6)):
            patches, logits = Discriminator(layers, width=4)(torch.zeros(1, 3, 256, 256))
            assert patches.shape == (1, 1, side, side) and logits.shape == (1, 2)


def test_attention_weighs_channels_by_what_they_tell() -> None:
    """A channel that the classifiers do not look at goes nowhere."""
    attention = ClassActivation(3)
    with torch.no_grad():
        attention.mean.weight[0, 1] = attention.maximum.weight[0, 1] = 0
    x = torch.randn(1, 3, 4, 4)
    changed = x.clone()
    changed[:, 1] = 9
    for before, after in zip(attention(x), attention(changed), strict=True):
        assert torch.equal(before, after)


def test_spectral_norm_holds_still_in_inference() -> None:
    """The same picture gives the same logits twice, and weights have a largest singular value near 1 in training."""
    network = Discriminator(5, width=8)
    pictures = torch.randn(2, 3, 64, 64)
    for _ in range(30):
        network(pictures)
    weight = network.trunk[0].weight
    assert abs(torch.linalg.matrix_norm(weight.flatten(1), 2).item() - 1) < 0.05
    network.eval()
    with torch.no_grad():
        assert torch.equal(network(pictures)[0], network(pictures)[0])
