"""The convolution of nearly all networks of pictures: what is beyond the edge, and how many rows of it."""

from __future__ import annotations

from typing import Literal

from torch import nn

Edges = Literal["reflect", "zeros"]


def convolution(
    before: int, after: int, size: int, *, stride: int = 1, bias: bool = False, edges: Edges = "reflect"
) -> nn.Conv2d:
    """[B, before, H, W] -> [B, after, H / stride, W / stride].

    Edges are half of what an odd kernel reaches over, and 1 for one of 4, which makes a picture smaller by 1 where its
    stride is 1.
    """
    edge = 1 if size == 4 else size // 2
    return nn.Conv2d(before, after, size, stride, padding=edge, padding_mode=edges, bias=bias)
