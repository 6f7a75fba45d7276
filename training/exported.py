"""A published model as the service would run it: its file alone, through its contract."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from export.alignment import Image
from export.contract import Contract, Value
from export.parity import draw_feed, open_session
from export.repository import GRAPH, Repository
from export.weights import load_state
from training.metrics.interval import Interval, resampled
from training.metrics.warp import turned_over

BATCH = 8
RUNS = 30
WARM_UP = 3

Request = Mapping[str, Value]


@dataclass(frozen=True)
class Cost:
    """What a model takes."""

    latency: Interval
    """Milliseconds of one row on this machine's CPU, the median."""
    bytes: int
    """Of the file."""
    weights: int
    """Numbers in it."""


class Exported:
    """One version of a model."""

    def __init__(self, folder: Path) -> None:
        """`folder` is models/NAME/VERSION, or models/NAME for its highest version.

        Raises RepositoryError if it is not as published, ContractError if the graph is not what its contract says.
        """
        versioned = folder.name.isdecimal()
        named = folder.parent if versioned else folder
        entry = Repository(named.parent).resolve(named.name, int(folder.name) if versioned else None)
        self.name = f"{entry.name}/{entry.version}"
        self.path = entry.path(GRAPH)
        self._session = open_session(self.path.read_bytes())
        self.contract = Contract.from_metadata(self._session.get_modelmeta().custom_metadata_map, str(self.path))
        ports = (self._session.get_inputs(), self._session.get_outputs())
        inputs, outputs = ([(port.name, port.type, port.shape) for port in side] for side in ports)
        self.contract.check(inputs, outputs, str(self.path))

    def run(self, images: Sequence[Image], requests: Sequence[Request]) -> NDArray[Any]:
        """One output for each request (and image, unless it is a generator): uint8 [N, H, W, 3] or float32 [N, D]."""
        made = []
        for begin in range(0, len(requests), BATCH):
            rows = slice(begin, begin + BATCH)
            feed = self.contract.feed(images[rows], requests[rows])
            made.extend(self._session.run([self.contract.output_name], feed))
        return np.concatenate(made)

    def draw(self, images: Sequence[Image], request: Request) -> list[Image]:
        """What becomes of each image, by one request."""
        return self.contract.images(self.run(images, [request] * len(images)))

    def cost(self, runs: int = RUNS, threads: int = 1) -> Cost:
        """Measured here and now, by so many lone runs."""
        session, feed = open_session(self.path.read_bytes(), threads), draw_feed(self.contract, rows=1)
        seconds = []
        for _ in range(WARM_UP + runs):
            begun = time.perf_counter()
            session.run(None, feed)
            seconds.append(time.perf_counter() - begun)
        latency = resampled(lambda drawn: float(np.median(drawn)), 1000 * np.array(seconds[WARM_UP:]))
        weights = sum(value.numel() for value in load_state(self.path).values())
        return Cost(latency, self.path.stat().st_size, weights)


class Warp:
    """Where a graph samples its picture: the grid of its last GridSample."""

    def __init__(self, model: onnx.ModelProto, contract: Contract, grid: str) -> None:
        self._contract = contract
        self._grid = grid
        model.graph.ClearField("output")
        model.graph.output.append(onnx.helper.make_tensor_value_info(grid, onnx.TensorProto.FLOAT, [None] * 4))
        self._session = open_session(model.SerializeToString())

    @classmethod
    def of(cls, exported: Exported) -> Warp | None:
        """None if the graph has no warp of its own."""
        model = onnx.load(exported.path, load_external_data=False)
        grids = [node.input[1] for node in model.graph.node if node.op_type == "GridSample"]
        return cls(model, exported.contract, grids[-1]) if grids else None

    def folded(self, images: Sequence[Image], request: Request) -> NDArray[np.float64]:
        """Of each image, the share of the grid's cells that are turned over [N]."""
        shares = []
        for begin in range(0, len(images), BATCH):
            some = images[begin : begin + BATCH]
            (places,) = self._session.run([self._grid], self._contract.feed(some, [request] * len(some)))
            shares.append(turned_over(torch.from_numpy(places).permute(0, 3, 1, 2)).numpy())
        return np.concatenate(shares).astype(np.float64)
