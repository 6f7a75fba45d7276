"""VGG-16 as far as relu5_3: what domain-invariant perceptual losses compare.

Simonyan & Zisserman 2015. The weights are the user's to bring, in one of two layouts, and the layout tells what the
network was trained to see: torchvision's `features.N` see RGB of deviation 1, the authors' own from Caffe, `convS_I`,
see BGR less the means of their channels. Layers of the classifier are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and convolutions of each; a maximum of 2 x 2 between two."""
_RGB = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # means and deviations of 0..1
_BGR = ((103.939, 116.779, 123.68), (1.0, 1.0, 1.0))  # of 0..255


class Vgg16(nn.Module):
    """Pictures [B, 3, H, W], RGB in -1..1 -> relu5_3 [B, 512, H / 16, W / 16]."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, *, caffe: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for channels, count in STAGES:
            layers += [nn.MaxPool2d(2)] if layers else []
            for _ in range(count):
                layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
                before = channels
        self.features = nn.Sequential(*layers)
        self.caffe = caffe
        for name, values in zip(("mean", "deviation"), _BGR if caffe else _RGB, strict=True):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        seen = (pictures.flip(1) + 1) * 127.5 if self.caffe else (pictures + 1) / 2
        features: Tensor = self.features((seen - self.mean) / self.deviation)
        return features


def from_state(state: Mapping[str, Tensor]) -> Vgg16:
    """The network of these weights. RuntimeError, naming the keys, if layers are missing or of another shape."""
    caffe = "conv1_1.weight" in state
    network = Vgg16(caffe=caffe)
    theirs = _caffe_names() if caffe else {key: key for key in network.state_dict()}
    network.load_state_dict({ours: state[name] for ours, name in theirs.items() if name in state})
    return network.eval().requires_grad_(False)


def _caffe_names() -> dict[str, str]:
    """features.0.weight: conv1_1.weight, and so on."""
    names, place = dict[str, str](), 0
    for stage, (_, count) in enumerate(STAGES, 1):
        for number in range(1, count + 1):
            names |= {f"features.{place}.{kind}": f"conv{stage}_{number}.{kind}" for kind in ("weight", "bias")}
            place += 2
        place += 1
    return names
