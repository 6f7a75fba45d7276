"""dlib's face recogniser as a network of PyTorch, for teaching on a device, in batches and with gradients.

A residual network of 29 convolutions (dlib's own, 2017, after He et al. 2016), whose weights are in the public domain.
They are read from `dlib_face_recognition_resnet_model_v1.dat` as dlib wrote them. Other than PyTorch has it,
convolutions with a stride and all pooling have no padding, and what a residual block adds is made as large as the
larger of both by zeros, in places and in channels.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.data.errors import DataError

CHIP = 150
"""Pixels of a side of what it sees."""
DESCRIPTOR = 128
MEAN = (122.782, 117.001, 104.298)
LEVELS = ((32, False, 3), (64, True, 4), (128, True, 3), (256, True, 3), (256, True, 1))
"""Of each level: channels, whether its first block halves the picture, and blocks."""


class Convolution(nn.Module):
    """A convolution and the gain and shift of each channel that its normalisation had become."""

    def __init__(self, before: int, after: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        padding = kernel // 2 if stride == 1 else 0
        self.convolution = nn.Conv2d(before, after, kernel, stride, padding)
        self.gain = nn.Parameter(torch.ones(after))
        self.shift = nn.Parameter(torch.zeros(after))

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(x) * self.gain[:, None, None] + self.shift[:, None, None]


class Block(nn.Module):
    """Two convolutions beside what comes in, or beside its mean over squares of two."""

    def __init__(self, before: int, after: int, *, halved: bool) -> None:
        super().__init__()
        self.halved = halved
        self.first = Convolution(before, after, stride=2 if halved else 1)
        self.second = Convolution(after, after)

    def forward(self, x: Tensor) -> Tensor:
        beside = functional.avg_pool2d(x, 2) if self.halved else x
        return (_added(self.second(self.first(x).relu()), beside)).relu()


class Recogniser(nn.Module):
    """Chips [B, 3, 150, 150] RGB, 0..255, cut as dlib's `get_face_chip` cuts them -> descriptors [B, 128].

    Two chips of one person are nearer than 0.6 to each other.
    """

    def __init__(self) -> None:
        super().__init__()
        channels = LEVELS[0][0]
        self.begin = Convolution(3, channels, 7, 2)
        blocks = []
        for after, halved, count in LEVELS:
            for number in range(count):
                blocks.append(Block(channels, after, halved=halved and not number))
                channels = after
        self.blocks = nn.Sequential(*blocks)
        self.end = nn.Linear(channels, DESCRIPTOR, bias=False)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)

    def forward(self, chips: Tensor) -> Tensor:
        x = self.begin((chips - self.mean) / 256).relu()
        x = self.blocks(functional.max_pool2d(x, 3, 2))
        descriptors: Tensor = self.end(x.mean((2, 3)))
        return descriptors

    @torch.no_grad()
    def read(self, path: Path) -> None:
        """The weights out of dlib's file, in the order in which a picture meets them. DataError if it is another."""
        content = path.read_bytes()
        convolutions = [each for each in self.modules() if isinstance(each, Convolution)]
        weights, scales = _tensors(content, b"con_4"), _tensors(content, b"affine_")
        ends = _tensors(content, b"fc_2", numbers=2)
        fitting = [each.convolution.weight.numel() + len(each.gain) for each in convolutions]
        sizes = [[*map(len, tensors)] for tensors in (weights, scales, ends)]
        if sizes != [fitting, [2 * len(each.gain) for each in convolutions], [self.end.weight.numel()]]:
            raise DataError(f"{path} is not dlib's face recogniser")
        for each, weight, scale in zip(convolutions, weights, scales, strict=True):
            channels = len(each.gain)
            each.convolution.weight.copy_(weight[:-channels].view_as(each.convolution.weight))
            each.convolution.bias.copy_(weight[-channels:])  # type: ignore[union-attr]
            each.gain.copy_(scale[:channels])
            each.shift.copy_(scale[channels:])
        self.end.weight.copy_(ends[0].view(self.end.in_features, DESCRIPTOR).T)


def _added(x: Tensor, beside: Tensor) -> Tensor:
    """Their sum, each widened by zeros at the end of its channels, rows and columns to the larger."""
    sizes = [max(pair) for pair in zip(x.shape[1:], beside.shape[1:], strict=True)]
    return _widened(x, sizes) + _widened(beside, sizes)


def _widened(x: Tensor, sizes: list[int]) -> Tensor:
    missing = [size - had for size, had in zip(sizes, x.shape[1:], strict=True)]
    return functional.pad(x, [each for count in reversed(missing) for each in (0, count)]) if any(missing) else x


def _tensors(content: bytes, layer: bytes, numbers: int = 0) -> list[Tensor]:
    """The parameters of each layer of a name: dlib's tensor of version 2, behind so many numbers of the layer's own."""
    found, place, marked = list[Tensor](), 0, bytes([1, len(layer)]) + layer
    while (place := content.find(marked, place)) >= 0:
        place += len(marked)
        header = []
        for _ in range(numbers + 5):
            number, place = _whole(content, place)
            header.append(number)
        version, *sizes = header[numbers:]
        count = math.prod(sizes)
        if version != 2 or not 0 < count <= (len(content) - place) // 4:
            return []
        found.append(torch.frombuffer(bytearray(content[place : place + 4 * count]), dtype=torch.float32))
        place += 4 * count
    return found


def _whole(content: bytes, place: int) -> tuple[int, int]:
    """A number, and where the next thing stands: in front of it dlib writes how many bytes it takes."""
    first = place + 1
    following = first + (content[place] & 0x0F)
    return int.from_bytes(content[first:following], "little"), following
