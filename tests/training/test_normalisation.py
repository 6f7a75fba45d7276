"""training.networks.normalisation: one family, known members."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional

from training.networks.normalisation import (
    LayerInstanceNorm,
    ada_in,
    ada_lin,
    clamp_shares,
    instance_norm,
    layer_norm,
    lin,
    munit_layer_norm,
    soft_ada_lin,
)
from training.networks.size import parameter_count

X = torch.randn(2, 5, 7, 6, generator=torch.Generator().manual_seed(0)) * 3 + 1


def test_its_ends_are_instance_and_layer_norm() -> None:
    """With all of the instance's statistics it is torch's instance norm, with none its group norm of one group."""
    assert torch.allclose(instance_norm(5)(X), functional.instance_norm(X), atol=1e-5)
    assert torch.allclose(layer_norm(5)(X), functional.group_norm(X, 1), atol=1e-5)


@pytest.mark.parametrize("unbiased", [False, True])
def test_between_its_ends_it_is_the_formula(unbiased: bool) -> None:
    """Values and gradients of the one-pass form are those of the paper's equation, gain and shift of each image."""
    gain, shift = torch.randn(2, 5), torch.randn(2, 5)
    rho = torch.linspace(0, 1, 5)

    def paper(x: torch.Tensor) -> torch.Tensor:
        def normalised(axes: tuple[int, ...]) -> torch.Tensor:
            variance = x.var(axes, unbiased=unbiased, keepdim=True)
            return (x - x.mean(axes, keepdim=True)) / (variance + 1e-5).sqrt()

        share = rho[:, None, None]
        mixed = share * normalised((2, 3)) + (1 - share) * normalised((1, 2, 3))
        return gain[:, :, None, None] * mixed + shift[:, :, None, None]

    norm = LayerInstanceNorm(5, rho=0.5, learnt=True, own=False, unbiased=unbiased)
    norm.rho.data.copy_(rho)
    ours, theirs = X.clone().requires_grad_(), X.clone().requires_grad_()
    assert torch.allclose(norm(ours, gain, shift), paper(theirs), atol=1e-5)
    weight = torch.randn(X.shape)
    (norm(ours, gain, shift) * weight).sum().backward()
    (paper(theirs) * weight).sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-4)


@pytest.mark.parametrize("make", [lin, munit_layer_norm])
def test_a_flat_picture_has_finite_gradients(make: Callable[[int], LayerInstanceNorm]) -> None:
    """Where a channel has no variance at all."""
    x = torch.full((1, 3, 4, 4), 0.7, requires_grad=True)
    make(3)(x).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_munits_layer_norm_divides_by_the_deviation() -> None:
    """The unbiased one of all channels and places, epsilon beside it: what is nearly flat stays small."""
    norm = munit_layer_norm(5)
    assert 0 <= norm.gain.min() < norm.gain.max() <= 1 and not norm.shift.any()
    norm.gain.data.copy_(torch.arange(5.0))
    for x in (X, 1e-5 * X):
        deviation = x.flatten(1).std(1)[:, None, None, None]
        mean = x.mean((1, 2, 3), keepdim=True)
        wanted = torch.arange(5.0)[:, None, None] * (x - mean) / (deviation + 1e-5)
        assert torch.allclose(norm(x), wanted, atol=1e-5)


def test_adain_is_an_instance_norm_with_a_code() -> None:
    """Gain and shift are a linear layer's each; every image has its own."""
    norm, code = ada_in(5, code=3), torch.randn(2, 3)
    gain, shift = norm.affine.gain(code), norm.affine.shift(code)
    wanted = gain[:, :, None, None] * functional.instance_norm(X) + shift[:, :, None, None]
    assert torch.allclose(norm(X, code), wanted, atol=1e-5)


def test_soft_adalin_goes_from_the_style_to_the_content() -> None:
    """At shares of 0, which it begins with, it is AdaLIN by the style; at 1 by the content; half-way half of both."""
    norm, plain = soft_ada_lin(5), ada_lin(5)
    content, style = torch.randn(2, 5), torch.randn(2, 5)
    affine = norm.affine
    of_style = affine.style(style)
    of_content = (affine.content_gain(content), affine.content_shift(content))
    for share in (0.0, 0.5, 1.0):
        wanted = plain(X, *(left.lerp(right, share) for left, right in zip(of_style, of_content, strict=True)))
        assert torch.allclose(norm(X, content, style), wanted, atol=1e-5)
        for each in (affine.gain_share, affine.shift_share):
            each.data.fill_(share + 0.5)


def test_soft_adalin_has_the_published_size() -> None:
    """Photo2Cartoon's: six linear layers of 128 channels, two shares and rho."""
    assert parameter_count(soft_ada_lin(128)) == 6 * (128 * 128 + 128) + 3 * 128


def test_there_are_no_running_statistics() -> None:
    """Every image is normalised by itself, in training and after it: nothing that only training knows is exported."""
    for norm, given in ((instance_norm(5, own=True), ()), (lin(5), ()), (soft_ada_lin(5), (torch.ones(2, 5),) * 2)):
        trained = norm(X, *given)
        assert torch.equal(norm.eval()(X, *given), trained)
        assert torch.allclose(norm(X[:1], *(each[:1] for each in given)), trained[:1], atol=1e-6)
        assert norm.state_dict().keys() == dict(norm.named_parameters()).keys()


def test_shares_are_clamped_where_they_are_learnt() -> None:
    """A generator's after each step, those of statistics and of gains; what is fixed is no parameter."""
    network = nn.Sequential(ada_lin(3), instance_norm(3), soft_ada_lin(3))
    beyond = torch.tensor([-0.5, 0.5, 4.0])
    shares = [network[0].rho, network[2].norm.rho, network[2].affine.gain_share, network[2].affine.shift_share]
    for share in shares:
        share.data.copy_(beyond)
    clamp_shares({"generator": network})
    assert all(share.tolist() == [0, 0.5, 1] for share in shares)
    assert [name for name, _ in network[:2].named_parameters()] == ["0.rho"]
