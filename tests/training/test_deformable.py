"""training.networks.deformable: a plain convolution at first, and then one that looks elsewhere."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.alignment import Template
from export.contract import Contract
from export.to_onnx import export_model
from training.networks.deformable import REACH, SLOW, DeformableConvolution, sampled
from training.networks.pixels import picture, pixels


@pytest.mark.parametrize(("size", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (1, 1, 0), (5, 2, 2)])
def test_it_begins_as_a_plain_convolution(size: int, stride: int, padding: int) -> None:
    """Of any size and stride, at the edges too, under the same names of its weights."""
    torch.manual_seed(0)
    plain, layer = (kind(5, 7, size, stride, padding) for kind in (nn.Conv2d, DeformableConvolution))
    assert layer.load_state_dict(plain.state_dict(), strict=False).missing_keys == ["head.weight", "head.bias"]
    x = torch.randn(2, 5, 9, 8)
    torch.testing.assert_close(layer(x), plain(x), rtol=0, atol=1e-6)


def test_between_pixels_is_between_their_values() -> None:
    """Bilinear inside, half of the edge's value half a pixel outside, nothing from a pixel outside on."""
    ramp = torch.arange(4.0) + 10 * torch.arange(3.0)[:, None]
    rows = torch.tensor([0.0, 0.5, 1.25, 2.5, 0.0, 2.0, -1.0, 9.0])
    columns = torch.tensor([0.0, 1.0, 0.5, 1.0, -0.5, 3.0, 1.0, -9.0])
    found = sampled(ramp[None, None], rows[None, None, None], columns[None, None, None])
    assert found.flatten().tolist() == pytest.approx([0, 6, 13, 10.5, 0, 23, 0, 0])


def test_an_offset_moves_what_is_seen() -> None:
    """A head that says one pixel to the right makes of the layer the plain one over the picture moved to the left."""
    torch.manual_seed(0)
    layer, x = DeformableConvolution(2, 3), torch.randn(1, 2, 8, 8)
    with torch.no_grad():
        layer.head.bias[9:18] = np.arctanh(1 / (8 * REACH)) / SLOW
        found = layer(x)
        wanted = F.conv2d(F.pad(x, (0, 1))[..., 1:], layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(found[..., 1:, 1:-1], wanted[..., 1:, 1:-1], rtol=1e-4, atol=1e-4)


def test_no_tap_goes_farther_than_its_reach() -> None:
    """Whatever the head says: of one bright pixel only what is within a quarter of the side sees anything."""
    layer, x = DeformableConvolution(1, 1), torch.zeros(1, 1, 16, 16)
    x[..., 0, 0] = 1
    with torch.no_grad():
        layer.head.bias[:18] = -1e6
        seen = layer(x)[0, 0].abs() > layer.bias.abs() + 1e-6
    assert seen.any() and not seen[6:].any() and not seen[:, 6:].any()


def test_a_gradient_comes_to_the_weights_and_to_the_head() -> None:
    """From the first step on, and to what was looked at."""
    torch.manual_seed(0)
    layer, x = DeformableConvolution(2, 3), torch.randn(1, 2, 6, 6, requires_grad=True)
    layer(x).square().sum().backward()
    assert all(each.grad is not None and each.grad.any() for each in (*layer.parameters(), x))


class Drawn(nn.Module):
    """A graph of one deformable layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = DeformableConvolution(3, 3)
        nn.init.normal_(self.layer.head.weight, std=2)

    def forward(self, image: Tensor) -> Tensor:
        return pixels(self.layer(picture(image)))


def test_onnx_runtime_computes_the_same(tmp_path: Path) -> None:
    """It is made of operations that a runtime without one for deformable convolutions has."""
    torch.manual_seed(0)
    template = Template(16, 16, ((4, 5), (12, 5), (8, 8), (5, 12), (11, 12)))
    contract = Contract("translator", template, (), {}, "image", (16, 16, 3))
    written = export_model(Drawn(), contract, tmp_path / "model.onnx")
    assert max(written.parity.values()) <= 1
