"""training.networks.attributes: a head for each attribute, and its form out of its weights."""

import pytest
import torch

from training.data.attributes import ANSWERS
from training.networks.attributes import Attributes, form
from training.networks.size import parameter_count

HEADS = {name: len(answers) for name, answers in ANSWERS.items()}


def test_it_is_as_small_as_it_says() -> None:
    """Half a million numbers at most, so that it can stand in a loss."""
    assert parameter_count(Attributes(20, HEADS)) == 434_910


def test_each_head_answers() -> None:
    """Of pictures of any size that can be halved four times; gradients come through to the picture."""
    network = Attributes(4, HEADS).eval()
    for side in (32, 64):
        pictures = torch.randn(2, 3, side, side, requires_grad=True)
        found = network(pictures)
        assert {name: each.shape for name, each in found.items()} == {name: (2, count) for name, count in HEADS.items()}
        (gradient,) = torch.autograd.grad(sum(each[:, 0].sum() for each in found.values()), pictures)
        assert gradient.abs().max() > 0


def test_its_form_follows_from_its_weights() -> None:
    """Width and heads; those of another network have none."""
    assert form(Attributes(6, HEADS).state_dict()) == (6, HEADS)
    with pytest.raises(ValueError, match="no classifier"):
        form(torch.nn.Linear(2, 2).state_dict())
