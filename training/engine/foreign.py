"""Checkpoints and configurations of others.

Of checkpoints only tensors are read, since a pickle can run anything when it is opened, and of YAML only plain values.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor

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
