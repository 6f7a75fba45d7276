"""training.engine.phase: what weight decay is for, and what it is not for."""

import torch
from torch import nn

from training.engine.phase import Optimiser, adam, adamw
from training.networks.attention import SelfAttention


def kept(optimiser: Optimiser, parameters: dict[str, nn.Parameter]) -> set[str]:
    """Those that a step without a gradient leaves as they are."""
    before = {name: each.detach().clone() for name, each in parameters.items()}
    for each in parameters.values():
        each.grad = torch.zeros_like(each)
    optimiser(parameters.items()).step()
    return {name for name, each in parameters.items() if torch.equal(each, before[name])}


def test_the_strength_of_attention_does_not_decay() -> None:
    """SATNet's decay was of gamma too, which begins at 0 and hardly grew; biases decay, as the papers have it."""
    attention = SelfAttention(8)
    attention.strength.data.fill_(0.5)
    for name, each in attention.named_parameters():
        if name.endswith("bias"):
            each.data.fill_(0.5)
    named = dict(attention.named_parameters())
    assert kept(adam(1e-2, decay=0.1), named) == {"strength"}
    assert kept(adam(1e-2), named) == named.keys()


def test_decoupled_decay_spares_all_that_is_no_matrix() -> None:
    """Gains, biases, slopes, strengths."""
    layer = nn.ParameterDict({"matrix": torch.ones(2, 2), "bias": torch.ones(2), "strength": torch.ones(())})
    assert kept(adamw(1e-2, decay=0.1), dict(layer.named_parameters())) == {"bias", "strength"}
