"""training.networks.discriminators: every published discriminator is a list of views and heads."""

import pytest
import torch
from torch import nn

from training.networks import satnet
from training.networks.convolution import convolution
from training.networks.discriminators import Discriminator, Halved, Projection, Trunk, View
from training.networks.normalisation import instance_norm
from training.networks.size import parameter_count
from training.networks.ugatit import discriminator


def patch(before: int = 3, norm: type[nn.BatchNorm2d] | None = None) -> Discriminator:
    """pix2pix's and CycleGAN's, of patches of 70 pixels."""
    trunk = Trunk((2, 2, 2, 1), before=before, norm=norm or instance_norm)
    return Discriminator({"whole": View(trunk, {"patch": convolution(512, 1, 4, bias=True, edges="zeros")})})


def stargan(side: int, classes: int) -> Discriminator:
    """Real or not in patches, and which classes."""
    trunk = Trunk((2,) * 6, slope=0.01)
    heads = {
        "real": convolution(2048, 1, 3, edges="zeros"),
        "class": nn.Conv2d(2048, classes, side // 64, bias=False),
    }
    return Discriminator({"whole": View(trunk, heads)})


@pytest.mark.parametrize(
    ("make", "published"),
    [
        (patch, 2_764_737),
        (lambda: patch(before=6, norm=nn.BatchNorm2d), 2_768_705),
        (lambda: satnet.discriminator(attention=False, spectral=False), 8_271_171),
        (lambda: satnet.discriminator(scales=1), 3_085_378),
        (lambda: satnet.discriminator(layers=3, scales=1), 741_378),
        (lambda: stargan(128, 5), 44_762_048),
        (lambda: stargan(256, 5), 44_884_928),
        (lambda: stargan(256, 13), 45_147_072),
        (discriminator, 3_290_560 + 53_130_176),
        (lambda: discriminator(32), 826_080 + 13_294_048),
    ],
)
def test_published_discriminators_have_their_sizes(make, published: int) -> None:
    """PatchGAN of pictures and of pairs, MUNIT, SATNet at four and three layers, StarGAN, U-GAT-IT, Photo2Cartoon."""
    with torch.device("meta"):
        assert parameter_count(make()) == published


def test_logits_are_called_by_view_and_head() -> None:
    """Of patches: 30 x 30 at 256 pixels; of StarGAN's two heads: 2 x 2 places and one number a class, at 128."""
    with torch.no_grad():
        assert patch()(torch.zeros(1, 3, 256, 256))["whole_patch"].shape == (1, 1, 30, 30)
        small = Discriminator({"whole": View(Trunk((2,) * 6, 2), {"real": convolution(64, 1, 3)})})
        assert small(torch.zeros(1, 3, 128, 128))["whole_real"].shape == (1, 1, 2, 2)
        found = satnet.discriminator(2, 2, 3, attention=False)(torch.zeros(2, 3, 32, 32))
    assert {name: tuple(logits.shape) for name, logits in found.items()} == {
        "halved_0_patch": (2, 1, 8, 8),
        "halved_1_patch": (2, 1, 4, 4),
        "halved_2_patch": (2, 1, 2, 2),
    }


def test_a_kind_is_told_to_all_logits() -> None:
    """At first it changes nothing; then each picture's logits are moved alike, by what its own kind makes of it."""
    torch.manual_seed(0)
    trunk = Trunk((2, 2), 4)
    judge = View(trunk, {"real": nn.Conv2d(8, 1, 3, 1, 1)}, projection=Projection(3, 8))
    pictures, kind = torch.rand(2, 3, 16, 16), torch.tensor([2, 0])
    plain = judge(pictures)["real"]
    assert torch.equal(judge(pictures, kind)["real"], plain)
    judge.projection.kinds.weight.data[2] = 1
    moved = judge(pictures, kind)["real"] - plain
    assert torch.allclose(moved[0], trunk(pictures)[0].mean((1, 2)).sum().expand(1, 4, 4), atol=1e-5)
    assert not moved[1].any()


def test_a_patch_sees_seventy_pixels() -> None:
    """And none beyond: the logit in the middle follows from a square of 70 x 70."""
    pictures = torch.randn(1, 3, 128, 128, requires_grad=True)
    trunk = Trunk((2, 2, 2, 1), 4)  # an instance norm would see everything
    logits = Discriminator({"it": View(trunk, {"patch": convolution(32, 1, 4, edges="zeros")})})(pictures)["it_patch"]
    logits[0, 0, 7, 7].backward()
    seen = pictures.grad.abs().sum((0, 1)) > 0
    rows, columns = (seen.any(axis).nonzero() for axis in (0, 1))
    assert int(rows.max() - rows.min()) + 1 == 70 and int(columns.max() - columns.min()) + 1 == 70


def test_a_flat_picture_is_as_bright_at_half_its_size() -> None:
    """At its edges too, as means are over the pixels that there are."""
    assert torch.allclose(Halved(2)(torch.ones(1, 3, 18, 22)), torch.ones(1, 3, 5, 6))


def test_real_and_made_pictures_have_a_batch_norm_each() -> None:
    """Whoever judges both in one batch judges other pictures: the statistics are of all that is seen at once."""
    judge = patch(norm=nn.BatchNorm2d).train()
    real, made = torch.randn(2, 3, 64, 64), torch.randn(2, 3, 64, 64) * 0.1 + 0.5
    with torch.no_grad():
        apart, together = judge(real)["whole_patch"], judge(torch.cat([real, made]))["whole_patch"][:2]
    assert not torch.allclose(apart, together, atol=1e-2)


def test_spectral_norm_holds_still_in_inference() -> None:
    """The same picture gives the same logits twice, and weights have a largest singular value near 1 in training."""
    judge = discriminator(width=4)
    pictures = torch.randn(2, 3, 128, 128)
    with torch.no_grad():
        for _ in range(30):
            judge(pictures)
        weight = judge.views["local"].trunk[0].weight
        assert abs(torch.linalg.matrix_norm(weight.flatten(1), 2).item() - 1) < 0.05
        judge.eval()
        once, again = judge(pictures), judge(pictures)
    assert all(torch.equal(logits, again[name]) for name, logits in once.items())
