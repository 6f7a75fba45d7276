"""Checkpoints that others saved with torch: their tensors alone, since a pickle can run anything when it is opened."""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path

import torch
from torch import Tensor

from training.engine.checkpoint import Tensors
from training.engine.errors import CheckpointError


def load(path: Path) -> Tensors:
    """The state dict in a file of torch.save. CheckpointError if the file holds anything else, which is not opened."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of pickles that torch would not have written
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wants = re.search(r"GLOBAL (\S+)", str(error))
        what = f"it wants to call {wants[1]}" if wants else "it is not what torch.save writes of tensors"
        raise CheckpointError(f"{path} is refused: {what}; only tensors are read") from None
    except Exception as error:  # a broken pickle can end in any of them
        raise CheckpointError(f"{path} cannot be read: {type(error).__name__}") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} is no state dict but a {type(found).__name__}")
    for key, value in found.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(f"{path}: {key} is no tensor but a {type(value).__name__}")
    return dict(found)
