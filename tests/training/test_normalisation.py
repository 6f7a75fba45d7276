"""training.networks.normalisation: one family, known members."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from training.networks.normalisation import LayerInstanceNorm, ada_lin, clamp_rho, instance_norm, layer_norm, lin

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


def test_a_flat_picture_has_finite_gradients() -> None:
    """Where a channel has no variance at all."""
    x = torch.full((1, 3, 4, 4), 0.7, requires_grad=True)
    lin(3)(x).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_shares_are_clamped_where_they_are_learnt() -> None:
    """A generator's after each step; what is fixed is no parameter."""
    network = nn.Sequential(ada_lin(3), instance_norm(3))
    network[0].rho.data.copy_(torch.tensor([-0.5, 0.5, 4.0]))
    clamp_rho({"generator": network})
    assert network[0].rho.tolist() == [0, 0.5, 1]
    assert [name for name, _ in network.named_parameters()] == ["0.rho"]
