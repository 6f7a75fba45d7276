"""The caricaturist network."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from training.networks.caricature import Caricaturist
from training.networks.pixels import picture


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = Caricaturist()
    for layer in (model.warp_head.field, model.warp_head.judge[-1]):
        torch.nn.init.normal_(layer.weight, std=0.02)
    return model.eval()


@pytest.fixture(scope="module")
def images():
    """Smooth coloured pictures uint8 [3, 256, 256, 3]."""
    torch.manual_seed(1)
    small = torch.rand(3, 3, 9, 9)
    return (
        (torch.nn.functional.interpolate(small, (256, 256), mode="bicubic").clamp(0, 1) * 255)
        .permute(0, 2, 3, 1)
        .to(torch.uint8)
    )


def test_size(model):
    """At most 4 M parameters."""
    assert sum(parameter.numel() for parameter in model.parameters()) == 2_949_539


def test_work():
    """At most 6 GMAC a face."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        Caricaturist().eval()(torch.zeros(1, 256, 256, 3, dtype=torch.uint8), torch.ones(1), torch.zeros(1, 6))
    assert counter.get_total_flops() / 2 == pytest.approx(1.98e9, rel=0.01)


def test_strength_zero_leaves_the_photo(model, images):
    """Without strength the warp is the identity."""
    with torch.no_grad():
        warped = model.warp(picture(images), torch.zeros(3))
    assert (warped - picture(images)).abs().max() < 1e-4


def test_every_strength_moves_further(model, images):
    """The displacement grows with the strength."""
    with torch.no_grad():
        sizes = [model.displacement(picture(images), torch.full((3,), s)).abs().mean().item() for s in (0.5, 1, 2, 3)]
    assert sizes == sorted(sizes) and sizes[0] > 0


def test_a_row_does_not_depend_on_its_neighbours(model, images):
    """Each row of a batch equals the row alone within one level of rounding."""
    style, strength = torch.randn(3, 6), torch.tensor([0.0, 1.0, 2.0])
    with torch.no_grad():
        together = model(images, strength, style)
        for row in range(3):
            alone = model(images[row : row + 1], strength[row : row + 1], style[row : row + 1])
            assert (together[row].int() - alone[0].int()).abs().max() <= 1


def test_output_is_uint8_of_the_same_shape(model, images):
    """uint8 in, uint8 out."""
    with torch.no_grad():
        drawn = model(images, torch.ones(3), torch.zeros(3, 6))
    assert drawn.dtype == torch.uint8 and drawn.shape == images.shape


def test_the_gradient_reaches_every_parameter(images):
    """No part of the network is idle."""
    model = Caricaturist().train()
    (model.painter(model.warp(picture(images), torch.ones(3)), torch.randn(3, 6)) ** 2).mean().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
