"""From a trained network to `model.onnx`: uint8 in, contract in the metadata, weights under their torch names.

The initialisers of the file are exactly the network's parameters and buffers (every other constant is a node), so that
`export.weights` gets the trained network back out of it.
"""

from __future__ import annotations

import copy
import logging
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from export.contract import Contract
from export.parity import Feed, compare, draw_feed, open_session
from export.precision import Stored, shorten, store

OPSET = 18


class ExportError(ValueError):
    """The network cannot be written so that it could be read back."""


def export_model(
    module: torch.nn.Module,
    contract: Contract,
    path: Path,
    example: Feed | None = None,
    *,
    stored: Stored = "float32",
) -> Contract:
    """Write `module` to `path` and return the contract as written, with the deviations measured added to `parity`.

    `module` takes the contract's inputs in order (`image` uint8 [B, H, W, 3], then the controls float32) and returns
    its output; it is exported in eval mode from the CPU. `example` gives inputs by name, 5 different rows or more;
    without it they are drawn at random. Weights are `stored` as export.precision has it, and the graph is held against
    the network with weights rounded like that.
    Raises ParityError or ContractError where the graph is not the network or not what the contract says, ExportError
    where a weight would lose its name or its value; `path` is written only when all is well.
    """
    network = copy.deepcopy(module).cpu().eval()
    feed = _ordered(draw_feed(contract) if example is None else example, contract)
    scales = shorten(network, stored)
    for name, parameter in network.named_parameters():
        if name in scales and not parameter.isfinite().all():
            raise ExportError(f"{name} has values beyond {stored}")
    graph = _trace(network, feed, contract)
    _keep_names(graph, network)
    store(graph, scales)
    session = open_session(graph.SerializeToString())
    inputs, outputs = (
        [(port.name, port.type, port.shape) for port in side] for side in (session.get_inputs(), session.get_outputs())
    )
    contract.check(inputs, outputs, source=str(path))
    deviations = compare(network, graph.SerializeToString(), contract, feed)
    written = replace(contract, parity={**contract.parity, **deviations})
    helper.set_model_props(graph, written.to_metadata())
    onnx.checker.check_model(graph)
    path.write_bytes(graph.SerializeToString())
    return written


def _ordered(feed: Feed, contract: Contract) -> Feed:
    names = (["image"] if contract.template is not None else []) + [control.name for control in contract.controls]
    return {name: np.asarray(feed[name]) for name in names}


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
    graph = program.model_proto
    for part in (*graph.graph.node, *graph.graph.value_info):
        part.ClearField("metadata_props")  # tracebacks, which nobody reads and which tell the exporter's folders
    return graph


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
