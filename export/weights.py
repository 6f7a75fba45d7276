"""The trained weights back out of a `model.onnx`: parity tests and later runs start from what is bundled."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch

from export.precision import load


def load_state(path: Path) -> dict[str, torch.Tensor]:
    """The state_dict of the network that `export.to_onnx` wrote to `path`; shortened weights come back float32."""
    found = load(onnx.load(path, load_external_data=False).graph)
    return {name: torch.from_numpy(value.copy()) for name, value in found.items()}
