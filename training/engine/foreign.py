"""Checkpoints and configurations of others, and published models.

Of checkpoints only tensors are read, since a pickle can run anything when it is opened, and of YAML only plain values.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor

from export.contract import Contract, ContractError
from export.weights import load_state
from training.engine.checkpoint import Tensors
from training.engine.errors import CheckpointError, RecipeError


def load(path: Path) -> Tensors:
    """The state dict in a file of torch.save, or of safetensors by its suffix; of several, keys are `NAME.KEY`.

    CheckpointError if the file holds anything else, which is not opened.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of pickles that torch would not have written
            if path.suffix == ".safetensors":
                return load_file(path)
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wants = re.search(r"GLOBAL (\S+)", str(error))
        what = f"it wants to call {wants[1]}" if wants else "it is not what torch.save writes of tensors"
        raise CheckpointError(f"{path} is refused: {what}; only tensors are read") from None
    except Exception as error:  # a broken pickle can end in any of them
        raise CheckpointError(f"{path} cannot be read: {type(error).__name__}") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} is no state dict but a {type(found).__name__}")
    flat = dict(flattened(found))
    for key, value in flat.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(f"{path}: {key} is no tensor but a {type(value).__name__}")
    return flat


def published(path: Path) -> tuple[Tensors, Contract]:
    """The weights, float32, and the contract of a model that this project exported. CheckpointError if it is none."""
    try:
        metadata = {entry.key: entry.value for entry in onnx.load(path, load_external_data=False).metadata_props}
        return load_state(path), Contract.from_metadata(metadata, str(path))
    except ContractError as error:
        raise CheckpointError(f"{error}; only a model that this project exported can be gone on with") from error
    except Exception as error:  # protobuf's, which differ with the way it was built
        raise CheckpointError(f"{path} cannot be read as ONNX: {type(error).__name__}") from error


def configuration(path: Path) -> dict[str, Any]:
    """Keys and values of a YAML file; RecipeError if it has none."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise RecipeError(f"{path} has no keys and values")
    return found


def flattened(nested: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The values of mappings in mappings, by keys with a dot for each level."""
    for key, value in nested.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value
