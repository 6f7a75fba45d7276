"""From a trained network to `model.onnx`: uint8 in, contract in the metadata, weights under their torch names.

The initialisers of the file are exactly the network's parameters and buffers (every other constant is a node), so that
`export.weights` gets the trained network back out of it.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from export.contract import Contract
from export.parity import Feed, compare, draw_feed, open_session

OPSET = 18
WIDENED = ".float32"  # suffix of the float32 value of a weight that is stored as float16


class ExportError(ValueError):
    """The network cannot be written so that it could be read back."""


def export_model(
    module: torch.nn.Module, contract: Contract, path: Path, example: Feed | None = None, *, float16: bool = False
) -> Contract:
    """Write `module` to `path` and return the contract as written, with the deviations measured in `parity`.

    `module` takes the contract's inputs in order (`image` uint8 [B, H, W, 3], then the controls float32) and returns
    its output; it is exported in eval mode from the CPU. `example` gives inputs by name, 5 different rows or more;
    without it they are drawn at random. With `float16` the parameters of two and more axes are stored in half
    precision and widened in the graph, and the graph is held against the network with weights rounded like that.
    Raises ParityError or ContractError where the graph is not the network or not what the contract says, ExportError
    where a weight would lose its name or its value; `path` is written only when all is well.
    """
    network = copy.deepcopy(module).cpu().eval()
    feed = _ordered(draw_feed(contract) if example is None else example, contract)
    halved = {name for name, parameter in network.named_parameters() if float16 and parameter.ndim >= 2}
    _round(network, halved)
    graph = _trace(network, feed, contract)
    _keep_names(graph, network)
    _halve(graph, halved)
    session = open_session(graph.SerializeToString())
    inputs, outputs = (
        [(port.name, port.type, port.shape) for port in side] for side in (session.get_inputs(), session.get_outputs())
    )
    contract.check(inputs, outputs, source=str(path))
    written = replace(contract, parity=compare(network, graph.SerializeToString(), contract, feed))
    helper.set_model_props(graph, written.to_metadata())
    onnx.checker.check_model(graph)
    path.write_bytes(graph.SerializeToString())
    return written


def _ordered(feed: Feed, contract: Contract) -> Feed:
    names = (["image"] if contract.template is not None else []) + [control.name for control in contract.controls]
    return {name: np.asarray(feed[name]) for name in names}


def _round(network: torch.nn.Module, names: Collection[str]) -> None:
    """Round these parameters to what float16 can hold."""
    for name, parameter in network.named_parameters():
        if name in names:
            parameter.data = parameter.data.half().float()
            if not parameter.data.isfinite().all():
                raise ExportError(f"{name} has values beyond float16")


def _trace(network: torch.nn.Module, feed: Feed, contract: Contract) -> onnx.ModelProto:
    arguments = tuple(torch.from_numpy(np.ascontiguousarray(value[:2])) for value in feed.values())
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    registration.setLevel(logging.ERROR)  # it reports that torchvision is not there
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            network,
            arguments,
            input_names=list(feed),
            output_names=[contract.output_name],
            opset_version=OPSET,
            dynamic_shapes=tuple({0: torch.export.Dim("batch")} for _ in arguments),
            dynamo=True,
            optimize=False,  # folding would rename weights and merge normalisation into them; the runtime folds anyway
            verbose=False,
        )
    if program is None:
        raise ExportError("the exporter returned no graph")
    return program.model_proto


def _keep_names(graph: onnx.ModelProto, network: torch.nn.Module) -> None:
    """The initialisers are the state of the network, by name and value; constants of the tracer become nodes."""
    state = network.state_dict()
    stored = {tensor.name: tensor for tensor in graph.graph.initializer}
    for name in stored.keys() - state.keys():
        graph.graph.node.insert(0, helper.make_node("Constant", [], [name], value=stored[name]))
        graph.graph.initializer.remove(stored[name])
    for name, value in state.items():
        if name not in stored:
            # BatchNorm's counter is no part of what it computes.
            if value.is_floating_point():
                raise ExportError(f"{name} is not in the graph under its name")
        elif not np.array_equal(numpy_helper.to_array(stored[name]), value.numpy()):
            raise ExportError(f"{name} has another value in the graph")


def _halve(graph: onnx.ModelProto, names: Collection[str]) -> None:
    """Store these initialisers as float16 under their names, and let all nodes read the widened value."""
    for tensor in graph.graph.initializer:
        if tensor.name in names:
            half = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    for node in graph.graph.node:
        for place, name in enumerate(node.input):
            if name in names:
                node.input[place] = name + WIDENED
    for name in sorted(names):
        widen = helper.make_node("Cast", [name], [name + WIDENED], to=onnx.TensorProto.FLOAT)
        graph.graph.node.insert(0, widen)
