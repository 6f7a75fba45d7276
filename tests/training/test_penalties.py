"""training.losses.penalties: known values, and the traps that others fell into."""

import torch
from torch import Tensor, nn

from training.losses.penalties import PathLength, clip_weights, gradient_penalty, lazy, r1

PICTURES = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))


def steep(slope: float) -> nn.Module:
    """A critic whose gradient has that norm everywhere."""
    critic = nn.Sequential(nn.Flatten(), nn.Linear(75, 1))
    critic[1].weight.data *= slope / critic[1].weight.norm().item()
    return critic


def test_penalties_of_a_linear_critic_are_known() -> None:
    """(slope - 1)^2, and half of slope^2, for whatever pictures."""
    fake, mixture = torch.zeros_like(PICTURES), torch.rand(4)
    assert torch.allclose(gradient_penalty(steep(3), PICTURES, fake, mixture), torch.tensor(4.0), atol=1e-4)
    assert torch.allclose(r1(steep(3), PICTURES), torch.tensor(4.5), atol=1e-4)


def test_the_norm_is_of_each_image() -> None:
    """Over all of its axes, and over no other image's: a batch has the mean of its images' penalties."""

    def critic(pictures: Tensor) -> Tensor:
        return (pictures.flatten(1) ** 2).sum(1)

    fake, mixture = torch.zeros_like(PICTURES), torch.rand(4)
    alone = [
        gradient_penalty(critic, *(each[index : index + 1] for each in (PICTURES, fake, mixture))) for index in range(4)
    ]
    assert torch.allclose(gradient_penalty(critic, PICTURES, fake, mixture), torch.stack(alone).mean())


def test_a_flat_critic_has_finite_gradients() -> None:
    """Where the norm is 0 its root's gradient would be infinite."""
    critic = steep(1.0)
    nn.init.zeros_(critic[1].weight)
    gradient_penalty(critic, PICTURES, PICTURES, torch.rand(4)).backward()
    assert torch.isfinite(critic[1].weight.grad).all()


def test_penalties_are_in_float32_within_autocast() -> None:
    """A critic is asked in full precision."""
    seen = []

    def critic(pictures: Tensor) -> Tensor:
        seen.append(torch.is_autocast_enabled("cpu"))
        return pictures.flatten(1).sum(1)

    with torch.autocast("cpu", torch.bfloat16):
        assert r1(critic, PICTURES.bfloat16()).dtype == torch.float32
    assert seen == [False]


def test_weights_are_clipped_all() -> None:
    """Those of normalisations too."""
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    clip_weights(network, 0.01)
    assert all(parameter.abs().max() <= 0.01 for parameter in network.parameters())


def test_the_path_length_of_a_linear_generator_is_known() -> None:
    """Pictures that are w times one image a have the length |a . noise| / sqrt(pixels), held against its mean."""
    image = torch.randn(3, 4, 4)
    w = torch.randn(2, 1, 1, requires_grad=True)
    noise = torch.randn(2, 3, 4, 4)
    path = PathLength()
    path.mean.fill_(0.25)
    expected = (image * noise).sum((1, 2, 3)).abs() / 4
    penalty, length = path(w[:, :, :, None] * image, w, noise)
    assert torch.allclose(length, expected.mean(), atol=1e-5) and path.mean == 0.25
    assert torch.allclose(penalty, (expected - 0.25).square().mean(), atol=1e-5)


def test_a_generator_that_ignores_w_has_finite_gradients() -> None:
    """The path length is then 0, under a root."""
    image, w = torch.randn(3, 4, 4, requires_grad=True), torch.randn(2, 1, 1, requires_grad=True)
    penalty, _ = PathLength()(0 * w[:, :, :, None] * image, w, torch.randn(2, 3, 4, 4))
    penalty.backward()
    assert torch.isfinite(image.grad).all()


def test_a_lazy_regulariser_corrects_its_optimiser() -> None:
    """Rate and memory of 16 / 17 of the plain ones: beta to that power, not times it."""
    optimiser = lazy(0.002, (0.5, 0.99), every=16)([("w", nn.Parameter(torch.zeros(1)))])
    group = optimiser.param_groups[0]
    assert abs(group["lr"] - 0.002 * 16 / 17) < 1e-12 and abs(group["betas"][1] - 0.99 ** (16 / 17)) < 1e-12
