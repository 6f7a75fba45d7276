"""Whether a graph computes what the trained network computes, and each row on its own: the gate of every export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from export.contract import Contract

BATCHES = (1, 2, 5)
ROWS = max(BATCHES)
# Largest deviation allowed: levels of 255 for an image, else of any number of the vector.
IMAGE_TOLERANCE = 1.0
VECTOR_TOLERANCE = 1e-4

Feed = Mapping[str, NDArray[Any]]


class ParityError(ValueError):
    """The graph and the network disagree, or a row of a batch depends on its neighbours."""


def draw_feed(contract: Contract, rows: int = ROWS, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Random inputs for every port of the contract: noise images, controls from all over their range."""
    rng = np.random.default_rng(seed)
    feed: dict[str, NDArray[Any]] = {}
    if contract.template is not None:
        shape = (rows, contract.template.height, contract.template.width, 3)
        feed["image"] = rng.integers(0, 256, shape, dtype=np.uint8)
    for control in contract.controls:
        feed[control.name] = np.stack([control.draw(rng) for _ in range(rows)])
    return feed


def open_session(model: bytes, threads: int = 1) -> onnxruntime.InferenceSession:
    """The model on that many threads of the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def compare(module: torch.nn.Module, model: bytes, contract: Contract, feed: Feed) -> dict[str, float]:
    """The largest deviations of the graph from the network at batches 1, 2 and 5, and of a row from itself alone.

    `feed` holds 5 rows or more for every input. Returns {"batch_1": ..., "batch_2": ..., "batch_5": ..., "row": ...};
    ParityError where one exceeds the tolerance: IMAGE_TOLERANCE levels or VECTOR_TOLERANCE.
    """
    session = open_session(model)

    def graph(rows: slice) -> NDArray[Any]:
        (output,) = session.run([contract.output_name], {name: value[rows] for name, value in feed.items()})
        return np.asarray(output, np.float64)

    deviations = {
        f"batch_{size}": _deviation(graph(slice(size)), _network(module, feed, slice(size))) for size in BATCHES
    }
    alone = np.concatenate([graph(slice(row, row + 1)) for row in range(ROWS)])
    deviations["row"] = _deviation(graph(slice(ROWS)), alone)
    tolerance = IMAGE_TOLERANCE if contract.output == "image" else VECTOR_TOLERANCE
    failed = {name: deviation for name, deviation in deviations.items() if not deviation <= tolerance}
    if failed:
        raise ParityError(f"{contract.output} deviates by more than {tolerance:g}: {failed}")
    return deviations


def _network(module: torch.nn.Module, feed: Feed, rows: slice) -> NDArray[Any]:
    with torch.inference_mode():
        output = module(*(torch.from_numpy(np.ascontiguousarray(value[rows])) for value in feed.values()))
    return np.asarray(output.numpy(), np.float64)


def _deviation(left: NDArray[Any], right: NDArray[Any]) -> float:
    if left.shape != right.shape:
        raise ParityError(f"an output of shape {left.shape} instead of {right.shape}")
    return float(np.abs(left - right).max())
