"""training.networks.inception: the published network, and which of its two kinds a file's weights are of."""

import pytest
import torch
from torch import nn

from training.networks.inception import FEATURES, SIDE, Convolution, Inception, Mixed, from_state
from training.networks.size import parameter_count


def test_the_network_has_the_published_size() -> None:
    """23,834,568 parameters less the 2,049,000 of a thousand classes."""
    with torch.device("meta"):
        assert parameter_count(Inception()) == parameter_count(Inception(of_2015=True)) == 21_785_568


def test_shapes_are_the_papers() -> None:
    """35, 17 and 8 pixels with 288, 768 and 2,048 channels."""
    shapes = {}
    with torch.device("meta"):
        network = Inception()
        for name in ("Mixed_5d", "Mixed_6e", "Mixed_7c"):
            network.get_submodule(name).register_forward_hook(
                lambda _, __, made, name=name: shapes.update({name: made.shape[1:]})
            )
        assert network(torch.zeros(1, 3, SIDE, SIDE)).shape == (1, FEATURES)
    assert shapes == {"Mixed_5d": (288, 35, 35), "Mixed_6e": (768, 17, 17), "Mixed_7c": (2048, 8, 8)}


def test_the_keys_are_torchvisions() -> None:
    """Some of each kind of block."""
    with torch.device("meta"):
        keys = Inception().state_dict().keys()
    assert {
        "Conv2d_1a_3x3.conv.weight",
        "Mixed_5b.branch5x5_2.bn.running_var",
        "Mixed_6a.branch3x3dbl_3.conv.weight",
        "Mixed_6c.branch7x7dbl_5.bn.weight",
        "Mixed_7a.branch7x7x3_4.conv.weight",
        "Mixed_7c.branch3x3dbl_3b.bn.bias",
        "Mixed_7b.branch_pool.conv.weight",
    } <= keys


def test_averages_count_their_padding_or_not() -> None:
    """Of ones, a corner with four neighbours of nine is 4/9 with torchvision's weights and 1 with those of 2015."""
    for counts, corner in ((True, 4 / 9), (False, 1.0)):
        block = Mixed(1, ["average"], padding_counts=counts)
        assert block(torch.ones(1, 1, 4, 4))[0, 0, 0, 0].item() == pytest.approx(corner)


def test_the_number_of_classes_tells_which_weights_they_are() -> None:
    """1,008 are those of 2015, whose last block takes the maximum; heads are passed over, a missing layer is named."""
    with torch.device("meta"):
        state = Inception().state_dict()
    state = {key: torch.zeros(value.shape, dtype=value.dtype) for key, value in state.items()}
    heads = {"AuxLogits.fc.weight": torch.zeros(1), "fc.bias": torch.zeros(1)}
    for classes, of_2015 in ((1000, False), (1008, True)):
        network, found = from_state({**state, **heads, "fc.weight": torch.zeros(classes, 1)})
        assert found == of_2015 and not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())
    del state["Mixed_6b.branch1x1.conv.weight"]
    with pytest.raises(RuntimeError, match=r"Mixed_6b\.branch1x1\.conv\.weight"):
        from_state({**state, "fc.weight": torch.zeros(1000, 1)})


def test_a_layer_is_convolution_normalisation_relu() -> None:
    """Without a bias of its own, and never negative."""
    layer = Convolution(2, 3, (1, 7), padding=(0, 3)).eval()
    assert layer.conv.bias is None and isinstance(layer.bn, nn.BatchNorm2d) and layer.bn.eps == 1e-3
    assert (layer(torch.randn(1, 2, 9, 9)) >= 0).all() and layer(torch.randn(1, 2, 9, 9)).shape == (1, 3, 9, 9)
