"""training.networks.modulated: the form that exports is the paper's."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from export.contract import Contract, Control
from export.to_onnx import export_model
from training.networks.modulated import ModulatedConv
from training.networks.pixels import pixels


def fused(conv: ModulatedConv, x: Tensor, w: Tensor) -> Tensor:
    """The paper's form: weights of each image's own, eq. 1 to 3."""
    style = conv.style(w)
    weight = (conv.weight * conv.scale)[None] * style[:, None, :, None, None]
    if conv.demodulate:
        weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    rows = []
    for image, own in zip(x, weight, strict=True):
        if conv.blur is None:
            rows.append(functional.conv2d(image[None], own, padding=conv.size // 2))
        else:
            rows.append(conv.blur(functional.conv_transpose2d(image[None], own.transpose(0, 1), stride=2)))
    return torch.cat(rows)


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
def test_scaled_activations_are_scaled_weights(up: bool, demodulate: bool) -> None:
    """For every image its own style."""
    conv = ModulatedConv(6, 5, 3, 8, demodulate=demodulate, up=up)
    x, w = torch.randn(3, 6, 8, 8), torch.randn(3, 8)
    assert torch.allclose(conv(x, w), fused(conv, x, w), atol=1e-5)


def test_a_style_of_nothing_has_finite_gradients() -> None:
    """Where all weights of an image are 0, so is the norm that they are divided by."""
    conv = ModulatedConv(4, 3, 3, 8)
    nn.init.zeros_(conv.style.weight)
    nn.init.zeros_(conv.style.bias)
    conv(torch.randn(2, 4, 5, 5), torch.randn(2, 8)).square().sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in conv.parameters())


class Styled(nn.Module):
    """A picture that is a modulated convolution of a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.randn(1, 4, 8, 8))
        self.conv = ModulatedConv(4, 3, 3, 5, up=True)

    def forward(self, z: Tensor) -> Tensor:
        return pixels(self.conv(self.start.expand(z.shape[0], -1, -1, -1), z))


def test_it_exports_for_batches_of_any_size(tmp_path: Path) -> None:
    """ONNX Runtime agrees at 1, 2 and 5 rows, and every row is what it is alone; else the export is refused."""
    z = Control("z", (5,), None, None, (0.0,) * 5, "a style")
    contract = Contract("generator", None, (z,), {}, "image", (16, 16, 3))
    assert max(export_model(Styled(), contract, tmp_path / "model.onnx").parity.values()) <= 1
