"""What a classifier says of pictures, against what it says of their originals."""

import pytest
import torch

from training.losses.attributes import attribute_loss, shown


def test_the_same_answers_cost_nothing():
    """However uncertain they are; a constant added to logits changes nothing."""
    said = {"glasses": torch.tensor([[0.3, -0.1], [4.0, -4.0]]), "hair": torch.randn(2, 6)}
    assert attribute_loss({name: logits + 3 for name, logits in said.items()}, said).item() == pytest.approx(
        0, abs=1e-6
    )


def test_the_loss_has_a_known_value():
    """Half and half where the original was sure: log 2 of one attribute of two, of one face of two."""
    sure, torn, none = torch.tensor([[50.0, 0.0], [0.0, 0.0]]), torch.zeros(2, 2), torch.zeros(2, 3)
    found = attribute_loss({"glasses": torn, "hair": none}, {"glasses": sure, "hair": none})
    assert found.item() == pytest.approx(torch.log(torch.tensor(2.0)).item() / 4, rel=1e-5)


def test_pictures_are_pulled_towards_their_originals_answers():
    """A step down the gradient makes the answers more alike; what was wanted gets none."""
    made, wanted = torch.zeros(1, 3, requires_grad=True), torch.tensor([[2.0, 0.0, -1.0]], requires_grad=True)
    loss = attribute_loss({"hair": made}, {"hair": wanted.detach()})
    loss.backward()
    assert wanted.grad is None
    assert attribute_loss({"hair": made - 0.1 * made.grad}, {"hair": wanted}) < loss


def test_what_a_classifier_sees_is_the_mean_of_the_pixels():
    """Smaller pictures of the same light."""
    pictures = torch.rand(2, 3, 256, 256)
    small = shown(pictures, 64)
    assert small.shape == (2, 3, 64, 64)
    torch.testing.assert_close(small[0, 0, 3, 5], pictures[0, 0, 12:16, 20:24].mean())
