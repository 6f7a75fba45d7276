"""training.networks.vgg: layers and names are those of the files that people have."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from training.networks.size import parameter_count
from training.networks.vgg import STAGES, Vgg16, from_state

NAMES = [f"conv{stage}_{number}" for stage, (_, count) in enumerate(STAGES, 1) for number in range(1, count + 1)]


def caffe() -> dict[str, Tensor]:
    """A state dict of the authors' layout, with small weights."""
    torch.manual_seed(0)
    shapes = [weight.shape for name, weight in Vgg16().named_parameters() if name.endswith("weight")]
    state = {}
    for name, shape in zip(NAMES, shapes, strict=True):
        state |= {f"{name}.weight": torch.randn(shape) / shape[1:].numel() ** 0.5, f"{name}.bias": torch.rand(shape[0])}
    return state


def test_it_has_the_published_size() -> None:
    """Thirteen convolutions, without the classifier; the last of them is torchvision's features.28."""
    with torch.device("meta"):
        network = Vgg16()
    assert parameter_count(network) == 14_714_688
    assert max(int(name.split(".")[1]) for name, _ in network.named_parameters()) == 28


def test_each_layout_sees_what_it_was_trained_on() -> None:
    """By the layers' definition: Caffe's BGR of 0..255 less means, torchvision's RGB of deviation 1."""
    theirs = caffe()
    ours = Vgg16().state_dict()
    torchvisions = dict(zip(ours, theirs.values(), strict=True)) | {"classifier.0.weight": torch.ones(2, 2)}
    pictures = torch.rand(1, 3, 32, 32) * 2 - 1
    bgr = (pictures[:, [2, 1, 0]] + 1) * 127.5 - torch.tensor([103.939, 116.779, 123.68])[:, None, None]
    means, deviations = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    rgb = ((pictures + 1) / 2 - means[:, None, None]) / deviations[:, None, None]
    with torch.no_grad():
        for state, seen in ((theirs, bgr), (torchvisions, rgb)):
            x = seen
            for name in NAMES:
                x = functional.max_pool2d(x, 2) if name.endswith("_1") and name != "conv1_1" else x
                x = functional.conv2d(x, theirs[f"{name}.weight"], theirs[f"{name}.bias"], padding=1).relu()
            found = from_state(state)(pictures)
            assert found.shape == (1, 512, 2, 2) and torch.allclose(found, x, rtol=1e-3, atol=1e-4)


def test_a_layer_that_is_missing_is_named() -> None:
    """Of either layout, by torchvision's name."""
    state = caffe()
    del state["conv5_3.bias"]
    with pytest.raises(RuntimeError, match=r"features\.28\.bias"):
        from_state(state)
