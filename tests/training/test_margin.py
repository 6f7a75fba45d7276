import math

import pytest
import torch

from training.losses.margin import AngleLinear, angular_softmax, annealing, psi


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
