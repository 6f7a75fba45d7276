"""Convolutions whose normalisation is folded."""

import torch

from training.networks.folded import Convolution


def test_the_normalisation_is_part_of_the_weights() -> None:
    """Out of training a convolution gives what convolving, normalising and rectifying one after the other give."""
    torch.manual_seed(2)
    for layer in (Convolution(5, 7, 2), Convolution(5, 7, linear=True)):
        x = torch.randn(16, 5, 9, 9)
        torch.nn.init.uniform_(layer[1].weight, 0.5, 2)
        torch.nn.init.normal_(layer[1].bias)
        with torch.no_grad():
            layer(x)  # moves the running statistics
            wanted = torch.nn.Sequential(*layer.eval())(x)
            torch.testing.assert_close(layer(x), wanted, rtol=1e-5, atol=1e-5)
