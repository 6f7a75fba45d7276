"""A model that runs: an ONNX Runtime session whose graph keeps its contract."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from export.alignment import Image
from export.contract import Contract, Value
from export.repository import Entry, Repository

GRAPH = "model.onnx"
# Fastest first; those that this installation and machine have are used, the CPU last in any case.
PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


@dataclass(frozen=True)
class Row:
    """One face for one model: its crop (None for a generator) and the control values asked for."""

    image: Image | None
    values: Mapping[str, Value]


class Model(Protocol):
    """What the service needs of a model, whatever runs it."""

    name: str
    version: int
    digest: str
    contract: Contract

    @property
    def max_batch(self) -> int:
        """How many rows are worth running together."""

    def run(self, rows: Sequence[Row]) -> list[NDArray[Any]]:
        """One output for each row: an image uint8 [H, W, 3] or a vector float32 [D]."""


class OnnxModel:
    """A published ONNX file, loaded."""

    def __init__(self, entry: Entry, *, threads: int | None = None, max_batch: int | None = None) -> None:
        """Raises ContractError, naming the file, if the graph is not what a contract of a known format promises."""
        path = entry.path(GRAPH)
        available = onnxruntime.get_available_providers()
        session = onnxruntime.InferenceSession(
            str(path), _options(threads), providers=[each for each in PROVIDERS if each in available]
        )
        self.name = entry.name
        self.version = entry.version
        self.digest = entry.files[GRAPH]
        self.contract = Contract.from_metadata(session.get_modelmeta().custom_metadata_map, str(path))
        self.contract.check(_ports(session.get_inputs()), _ports(session.get_outputs()), str(path))
        self._session = session
        self._max_batch = max_batch

    @property
    def max_batch(self) -> int:
        """Unless set: 1 on a CPU, where a batch of convolutions costs what its rows cost one by one, 8 on a GPU."""
        on_cpu = self._session.get_providers()[0] == "CPUExecutionProvider"
        return self._max_batch or (1 if on_cpu else 8)

    def run(self, rows: Sequence[Row]) -> list[NDArray[Any]]:
        """One output for each row."""
        feed = self.contract.feed([row.image for row in rows if row.image is not None], [row.values for row in rows])
        (output,) = self._session.run([self.contract.output_name], feed)
        return self.contract.images(output) if self.contract.output == "image" else list(output)

    def warm_up(self) -> None:
        """Run the default request at the smallest and the largest batch: nobody's first request pays for set-up."""
        template = self.contract.template
        grey = None if template is None else np.full((template.height, template.width, 3), 99, np.uint8)
        for size in {1, self.max_batch}:
            self.run([Row(grey, {})] * size)


def load_all(
    repository: Repository, *, threads: int | None = None, max_batch: int | None = None
) -> dict[str, OnnxModel]:
    """The highest version of every ONNX model of the repository, digests and contracts verified."""
    entries = [repository.resolve(name) for name in repository.names()]
    return {
        entry.name: OnnxModel(entry, threads=threads, max_batch=max_batch) for entry in entries if GRAPH in entry.files
    }


def cores() -> int:
    """CPU cores that this process may use, which a container may have fewer of than its machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _options(threads: int | None) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    # One run at a time per lane: its operators share the cores, and there are no parallel branches worth a second pool.
    options.intra_op_num_threads = threads or cores()
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # Spinning workers burn the cores that decoding, detection and the other lanes need, even when idle.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _ports(nodes: Sequence[Any]) -> list[tuple[str, str, Sequence[Any]]]:
    return [(node.name, node.type, node.shape) for node in nodes]
