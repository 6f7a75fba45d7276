"""training.networks.ugatit: the published networks."""

import torch

from training.networks.size import parameter_count
from training.networks.ugatit import Generator, discriminator


def test_the_networks_have_the_published_sizes() -> None:
    """Parameters of the light generator and of both views of the discriminator, as the authors' version has them."""
    assert parameter_count(Generator()) == 10_589_888
    with torch.device("meta"):
        views = discriminator().views
    assert {name: parameter_count(view) for name, view in views.items()} == {"local": 3_290_560, "global": 53_130_176}


def test_shapes_are_the_papers() -> None:
    """Pictures of any size that is a multiple of 4; patches of 30 x 30 and 6 x 6 at 256 pixels."""
    with torch.no_grad():
        picture, logits = Generator(width=4)(torch.zeros(2, 3, 36, 44))
        assert picture.shape == (2, 3, 36, 44) and logits.shape == (2, 2) and picture.abs().max() <= 1
        judged = discriminator(width=4)(torch.zeros(1, 3, 256, 256))
    assert {name: tuple(each.shape) for name, each in judged.items()} == {
        "local_attention": (1, 2),
        "local_patch": (1, 1, 30, 30),
        "global_attention": (1, 2),
        "global_patch": (1, 1, 6, 6),
    }
