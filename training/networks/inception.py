"""Inception-v3, as far as its pooled features: what FID and KID are computed on.

Szegedy et al. 2016, "Rethinking the Inception Architecture". Layers and state-dict keys are those of torchvision's
`inception_v3`; the weights are the user's to bring. The graph that Google published in 2015, which FID is defined on
(Heusel et al. 2017), has the same layers with 1,008 classes, averages without its padding, and in the last block takes
the maximum.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 299
FEATURES = 2048
CLASSES_OF_2015 = 1008

# A block's branches: layers NAME:CHANNELS:HEIGHTxWIDTH one after the other, with stride 2 if they end in "/"; layers
# that a bar parts look at the same input. A branch may begin with, or be, a pooling.


def _a(pooled: int) -> list[str]:
    return [
        "branch1x1:64:1x1",
        "branch5x5_1:48:1x1 branch5x5_2:64:5x5",
        "branch3x3dbl_1:64:1x1 branch3x3dbl_2:96:3x3 branch3x3dbl_3:96:3x3",
        f"average branch_pool:{pooled}:1x1",
    ]


def _c(width: int) -> list[str]:
    return [
        "branch1x1:192:1x1",
        f"branch7x7_1:{width}:1x1 branch7x7_2:{width}:1x7 branch7x7_3:192:7x1",
        f"branch7x7dbl_1:{width}:1x1 branch7x7dbl_2:{width}:7x1 branch7x7dbl_3:{width}:1x7"
        f" branch7x7dbl_4:{width}:7x1 branch7x7dbl_5:192:1x7",
        "average branch_pool:192:1x1",
    ]


def _e(pooling: str) -> list[str]:
    return [
        "branch1x1:320:1x1",
        "branch3x3_1:384:1x1 branch3x3_2a:384:1x3|branch3x3_2b:384:3x1",
        "branch3x3dbl_1:448:1x1 branch3x3dbl_2:384:3x3 branch3x3dbl_3a:384:1x3|branch3x3dbl_3b:384:3x1",
        f"{pooling} branch_pool:192:1x1",
    ]


_B = ["branch3x3:384:3x3/", "branch3x3dbl_1:64:1x1 branch3x3dbl_2:96:3x3 branch3x3dbl_3:96:3x3/", "shrink"]
_D = [
    "branch3x3_1:192:1x1 branch3x3_2:320:3x3/",
    "branch7x7x3_1:192:1x1 branch7x7x3_2:192:1x7 branch7x7x3_3:192:7x1 branch7x7x3_4:192:3x3/",
    "shrink",
]


class Inception(nn.Module):
    """Pictures float32 [B, 3, 299, 299] in -1..1 -> pooled features [B, 2048]."""

    def __init__(self, *, of_2015: bool = False) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, (3, 3), stride=2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, (3, 3))
        self.Conv2d_2b_3x3 = Convolution(32, 64, (3, 3), padding=(1, 1))
        self.Conv2d_3b_1x1 = Convolution(64, 80, (1, 1))
        self.Conv2d_4a_3x3 = Convolution(80, 192, (3, 3))
        tables = {"5b": _a(32), "5c": _a(64), "5d": _a(64), "6a": _B}
        tables |= {"6b": _c(128), "6c": _c(160), "6d": _c(160), "6e": _c(192)}
        tables |= {"7a": _D, "7b": _e("average"), "7c": _e("most" if of_2015 else "average")}
        channels = 192
        for name, branches in tables.items():
            block = Mixed(channels, branches, padding_counts=not of_2015)
            self.add_module(f"Mixed_{name}", block)
            channels = block.channels

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(pictures)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(functional.max_pool2d(x, 3, 2)))
        x = functional.max_pool2d(x, 3, 2)
        for name, block in self.named_children():
            if name.startswith("Mixed"):
                x = block(x)
        return torch.mean(x, (2, 3))


class Convolution(nn.Module):
    """Convolution, normalisation, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, size: tuple[int, int], *, stride: int = 1, padding: tuple[int, int] = (0, 0)
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Branches side by side; `channels` come out."""

    def __init__(self, inputs: int, branches: list[str], *, padding_counts: bool) -> None:
        super().__init__()
        self._padding_counts = padding_counts
        self._branches = [branch.split() for branch in branches]
        self.channels = sum(self._add(branch, inputs) for branch in self._branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self._through(branch, x) for branch in self._branches], 1)

    def _add(self, branch: list[str], channels: int) -> int:
        for stage in branch:
            added = [self._layer(layer, channels) for layer in stage.split("|") if ":" in layer]
            channels = sum(added) if added else channels
        return channels

    def _layer(self, layer: str, inputs: int) -> int:
        name, outputs, size = layer.split(":")
        height, width = (int(side) for side in size.removesuffix("/").split("x"))
        shrinks = size.endswith("/")
        padding = (0, 0) if shrinks else (height // 2, width // 2)
        stride = 2 if shrinks else 1
        self.add_module(name, Convolution(inputs, int(outputs), (height, width), stride=stride, padding=padding))
        return int(outputs)

    def _through(self, branch: list[str], x: Tensor) -> Tensor:
        for stage in branch:
            match stage:
                case "average":
                    x = functional.avg_pool2d(x, 3, 1, 1, count_include_pad=self._padding_counts)
                case "most":
                    x = functional.max_pool2d(x, 3, 1, 1)
                case "shrink":
                    x = functional.max_pool2d(x, 3, 2)
                case layers:
                    x = torch.cat([self.get_submodule(layer.split(":")[0])(x) for layer in layers.split("|")], 1)
        return x


def from_state(state: Mapping[str, Tensor]) -> tuple[Inception, bool]:
    """The network of these weights, and whether they are of the graph of 2015: the number of classes tells.

    KeyError without `fc.weight`; RuntimeError, naming the keys, if layers are missing.
    """
    of_2015 = len(state["fc.weight"]) == CLASSES_OF_2015
    network = Inception(of_2015=of_2015)
    heads = ("fc.", "AuxLogits.")
    network.load_state_dict({key: value for key, value in state.items() if not key.startswith(heads)})
    return network.eval().requires_grad_(False), of_2015
