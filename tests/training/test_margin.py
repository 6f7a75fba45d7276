import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch.nn import functional

from training.losses.margin import (
    AngleLinear,
    BinaryMargin,
    additive_angle,
    additive_cosine,
    angular_softmax,
    annealing,
    psi,
)


def test_psi_has_known_values():
    """psi is 1, -1, -3, -5, -7 at the multiples of pi/4, where its pieces meet."""
    angles = torch.arange(5, dtype=torch.float64) * math.pi / 4
    assert torch.allclose(psi(angles.cos()), torch.tensor([1.0, -1, -3, -5, -7], dtype=torch.float64), atol=1e-9)


def test_psi_is_the_definition_between_its_joints():
    """(-1)^k cos(4 t) - 2 k, with cos(4 t) computed from the angle itself."""
    angles = torch.linspace(0.001, math.pi - 0.001, 997, dtype=torch.float64)
    k = (4 * angles / math.pi).floor()
    assert torch.allclose(psi(angles.cos()), (-1) ** k * (4 * angles).cos() - 2 * k, atol=1e-9)


def test_psi_falls_and_never_exceeds_the_cosine():
    """The margin only ever makes the target harder, and monotonically so."""
    cosine = torch.linspace(1, -1, 2001, dtype=torch.float64)
    values = psi(cosine)
    assert (values[1:] - values[:-1] <= 1e-12).all()
    assert (values <= cosine + 1e-12).all()
    assert values[0] == cosine[0] == 1


@pytest.mark.parametrize("iteration, expected", [(0, 1500), (10, 750), (2990, 5), (100_000, 5)])
def test_annealing_has_known_values(iteration, expected):
    """lambda falls from 1500 to its floor of 5, which it reaches at iteration 2990."""
    assert annealing(iteration) == pytest.approx(expected)


def test_annealing_has_not_reached_its_floor_before():
    """One iteration earlier lambda is still above 5."""
    assert annealing(2989) > 5


def test_gradient_is_finite_where_the_cosine_is_one():
    """Features that lie on, or opposite to, a class's weight give finite gradients for features and weights."""
    layer = AngleLinear(3, 2)
    layer.weight.data = torch.tensor([[1.0, 0], [0, 1], [0, 0]])
    features = torch.tensor([[2.0, 0, 0], [-2, 0, 0], [0, 1, 0]], requires_grad=True)
    cosine, length = layer(features)
    angular_softmax(cosine, length, torch.tensor([0, 0, 1]), lam=5.0).backward()
    assert torch.isfinite(features.grad).all() and torch.isfinite(layer.weight.grad).all()
    edge = torch.tensor([1.0, -1.0], requires_grad=True)
    psi(edge).sum().backward()
    assert torch.isfinite(edge.grad).all()


def test_cosines_do_not_depend_on_lengths():
    """AngleLinear takes weights at unit length and reports the features' own length apart."""
    torch.manual_seed(0)
    layer = AngleLinear(8, 5)
    features = torch.randn(4, 8)
    cosine, length = layer(features)
    layer.weight.data *= 3
    again, twice = layer(2 * features)
    assert torch.allclose(cosine, again, atol=1e-6)
    assert torch.allclose(2 * length, twice)


def test_without_margin_it_is_softmax_of_scaled_cosines():
    """For lambda towards infinity the loss is plain cross-entropy; with lambda 5 it is larger."""
    torch.manual_seed(0)
    cosine, length = AngleLinear(8, 5)(torch.randn(16, 8))
    labels = torch.randint(5, (16,))
    plain = torch.nn.functional.cross_entropy(cosine * length, labels)
    assert angular_softmax(cosine, length, labels, 1e9).item() == pytest.approx(plain.item(), abs=1e-5)
    assert angular_softmax(cosine, length, labels, 5.0) > plain


def test_without_a_margin_all_are_the_softmax_of_cosines() -> None:
    """Of the scaled cosines."""
    cosine, labels = torch.rand(6, 5) * 2 - 1, torch.arange(6) % 5
    plain = functional.cross_entropy(30 * cosine, labels)
    assert torch.allclose(additive_cosine(cosine, labels, 30, 0.0), plain)
    assert torch.allclose(additive_angle(cosine, labels, 30, 0.0), plain, atol=1e-4)


def test_a_margin_is_subtracted_from_the_cosine_or_added_to_the_angle() -> None:
    """Known values of the target's logit; the loss rises with the margin."""
    angle = torch.tensor(0.7)
    cosine = torch.stack([angle.cos(), torch.tensor(0.1)])[None]
    for loss, target in ((additive_cosine, angle.cos() - 0.3), (additive_angle, (angle + 0.3).cos())):
        expected = functional.cross_entropy(10 * torch.stack([target, torch.tensor(0.1)])[None], torch.tensor([0]))
        assert torch.allclose(loss(cosine, torch.tensor([0]), 10, 0.3), expected)


@pytest.mark.parametrize("loss", [additive_cosine, additive_angle, BinaryMargin(3)])
def test_margin_losses_fall_with_the_cosine_and_have_finite_gradients(loss: Callable[..., torch.Tensor]) -> None:
    """From pointing away to pointing at the person, both ends included."""
    labels, values = torch.tensor([0]), []
    for own in torch.linspace(-1, 1, 41):
        cosine = torch.stack([own, torch.tensor(0.0), torch.tensor(0.1)])[None].requires_grad_()
        value = loss(cosine, labels)
        value.backward()
        assert torch.isfinite(cosine.grad).all()
        values.append(value.item())
    assert all(later <= earlier + 1e-6 for earlier, later in pairwise(values))


def test_the_binary_bias_begins_in_balance() -> None:
    """Where all cosines are 0, the pull of the right class is that of all wrong ones together, and the bias rests."""
    loss = BinaryMargin(100)
    cosine = torch.zeros(4, 100, requires_grad=True)
    loss(cosine, torch.arange(4)).backward()
    own, other = cosine.grad[0, 0], cosine.grad[0].sum() - cosine.grad[0, 0]
    assert own < 0 and torch.allclose(own, -other, rtol=1e-4) and abs(loss.bias.grad.item()) < 1e-6
