"""How large a network is."""

from torch import nn


def parameter_count(network: nn.Module) -> int:
    """All numbers that are trained: those of frozen parts are not."""
    return sum(each.numel() for each in network.parameters() if each.requires_grad)
