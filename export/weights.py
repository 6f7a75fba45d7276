"""The trained weights back out of a `model.onnx`: parity tests and later runs start from what is bundled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper


def load_state(path: Path) -> dict[str, torch.Tensor]:
    """The state_dict of the network that `export.to_onnx` wrote to `path`; half-precision weights come back float32."""
    graph = onnx.load(path, load_external_data=False).graph
    state = {}
    for tensor in graph.initializer:
        value = numpy_helper.to_array(tensor)
        state[tensor.name] = torch.from_numpy(value.astype(np.float32 if value.dtype == np.float16 else value.dtype))
    return state
