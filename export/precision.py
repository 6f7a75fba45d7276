"""How a file stores weights: in float32, in float16, or in int8 with a scale for each output and small ones in float16.

Shortened are parameters of two axes and more, which are nearly all numbers of a network. The graph widens them where it
begins, and the runtime does so once, when it loads the file: the file is smaller, to a half or a quarter, and what is
computed, in float32, takes as long as before.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Stored = Literal["float32", "float16", "int8"]
STORED: tuple[Stored, ...] = get_args(Stored)
SMALL = 16_384
"""Fewer numbers than that save no room worth an error: first and last layers are small, and tell the most."""
LEVELS = 127
"""Of int8, to either side of 0."""
WIDENED, WHOLE, SCALE = ".float32", ".whole", ".scale"
"""Suffixes of a weight's name in the graph: of its float32 value, and of what that is the product of in int8."""

Scales = Mapping[str, NDArray[np.float32] | None]
"""Of each weight that is shortened: a scale for each output, which broadcasts; None for float16."""


def rounded(module: torch.nn.Module, stored: Stored) -> torch.nn.Module:
    """A copy on the CPU, in eval mode, that computes what a file with weights like that does."""
    network = copy.deepcopy(module).cpu().eval()
    shorten(network, stored)
    return network


@torch.no_grad()
def shorten(network: torch.nn.Module, stored: Stored) -> Scales:
    """Round the weights of the network to the values that are stored."""
    scales: dict[str, NDArray[np.float32] | None] = {}
    for name, parameter in network.named_parameters():
        if parameter.ndim < 2 or stored == "float32":
            continue
        if stored == "float16" or parameter.numel() < SMALL:
            parameter.copy_(parameter.half())
            scales[name] = None
        else:
            largest = parameter.abs().amax(tuple(range(1, parameter.ndim)), keepdim=True)
            scale = torch.where(largest > 0, largest / LEVELS, 1.0)
            parameter.copy_((parameter / scale).round() * scale)
            scales[name] = scale.numpy()
    return scales


def store(graph: onnx.ModelProto, scales: Scales) -> None:
    """Shorten these initialisers under their names, and let all nodes read the widened values."""
    for tensor in graph.graph.initializer:
        if tensor.name in scales:
            tensor.CopyFrom(numpy_helper.from_array(_short(tensor, scales[tensor.name]), tensor.name))
    for node in graph.graph.node:
        for place, name in enumerate(node.input):
            if name in scales:
                node.input[place] = name + WIDENED
    for name in sorted(scales):
        for node in reversed(_widening(name, scales[name])):
            graph.graph.node.insert(0, node)


def load(graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    """The initialisers by name; shortened ones come back in float32."""
    scales = {
        node.output[0]: numpy_helper.to_array(node.attribute[0].t)
        for node in graph.node
        if node.op_type == "Constant" and node.output[0].endswith(SCALE)
    }
    found = {}
    for tensor in graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype == np.float16:
            value = value.astype(np.float32)
        elif tensor.name + SCALE in scales:
            value = value * scales[tensor.name + SCALE]
        found[tensor.name] = value
    return found


def _short(tensor: onnx.TensorProto, scale: NDArray[np.float32] | None) -> NDArray[Any]:
    value = numpy_helper.to_array(tensor)
    return value.astype(np.float16) if scale is None else np.rint(value / scale).astype(np.int8)


def _widening(name: str, scale: NDArray[np.float32] | None) -> list[onnx.NodeProto]:
    """The nodes that make a stored weight float32."""
    if scale is None:
        return [helper.make_node("Cast", [name], [name + WIDENED], to=onnx.TensorProto.FLOAT)]
    return [
        helper.make_node("Constant", [], [name + SCALE], value=numpy_helper.from_array(scale)),
        helper.make_node("Cast", [name], [name + WHOLE], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", [name + WHOLE, name + SCALE], [name + WIDENED]),
    ]
