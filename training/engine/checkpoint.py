"""A run's state in one safetensors file: nothing in it is executed, and an interruption leaves the file before it.

Tensors are called networks/NAME/KEY, averages/NAME/KEY and optimisers/PHASE/NETWORK/PARAMETER/KEY.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from training.engine.drafts import drafted
from training.engine.errors import CheckpointError

FORMAT = "likeness-run/1"
# How torch.save's archive and a bare pickle begin. The length of a safetensors header may begin so too, but its ninth
# byte is the brace of its header.
_PICKLES = (b"PK\x03\x04", b"\x80")
_BRACE = 8

Tensors = dict[str, Tensor]


def save(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write the file in one step; CheckpointError if it cannot be written, and what stood there still does."""
    metadata = {"format": FORMAT, **{name: json.dumps(value) for name, value in facts.items()}}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with drafted(path) as draft:
            save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, draft, metadata)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} could not be written: {error}") from error


def load(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """Tensors and facts. CheckpointError if the file is none of ours; a pickle is not opened at all."""
    try:
        with path.open("rb") as file:
            begins = file.read(_BRACE + 1)
            if begins.startswith(_PICKLES) and begins[_BRACE:] != b"{":
                raise CheckpointError(f"{path} is a pickle, which could run anything; import it with `likeness import`")
        with safe_open(path, "pt") as opened:
            metadata = dict(opened.metadata() or {})
            if metadata.pop("format", None) != FORMAT:
                raise CheckpointError(f"{path} is no checkpoint of a run")
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it has no iterator
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    return tensors, {name: json.loads(value) for name, value in metadata.items()}


def packed(kind: str, states: Mapping[str, Mapping[str, Tensor]]) -> Tensors:
    """State dicts by name, as tensors of one file."""
    return {f"{kind}/{name}/{key}": value for name, state in states.items() for key, value in state.items()}


def unpacked(kind: str, tensors: Tensors) -> dict[str, Tensors]:
    """What `packed` packed."""
    states: dict[str, Tensors] = {}
    for path, value in tensors.items():
        found, _, rest = path.partition("/")
        if found == kind:
            name, _, key = rest.partition("/")
            states.setdefault(name, {})[key] = value
    return states


def restore(networks: Mapping[str, nn.Module], states: Mapping[str, Tensors], source: str) -> None:
    """Give every network its state; CheckpointError names a key that is missing, left over or of another shape."""
    for name, network in networks.items():
        own, found = network.state_dict(), states.get(name, {})
        for key in sorted(own.keys() ^ found.keys()):
            where = "lacks" if key in own else "has"
            raise CheckpointError(f"{source} {where} {name}/{key}, which the recipe {'has' if key in own else 'lacks'}")
        for key, value in found.items():
            if value.shape != own[key].shape:
                shapes = f"{list(value.shape)}, here it is {list(own[key].shape)}"
                raise CheckpointError(f"{source}: {name}/{key} has the shape {shapes}")
        network.load_state_dict(found)


def moments(optimiser: Optimizer, named: Iterable[tuple[str, nn.Parameter]]) -> Tensors:
    """What an optimiser remembers of its parameters, by their names."""
    return {
        f"{name}/{key}": torch.as_tensor(value)
        for name, parameter in named
        for key, value in optimiser.state.get(parameter, {}).items()
        if value is not None
    }


def remember(optimiser: Optimizer, named: Iterable[tuple[str, nn.Parameter]], found: Tensors, source: str) -> None:
    """Give an optimiser the moments of `moments`; parameters without any begin anew. CheckpointError."""
    parameters = dict(named)
    for path, value in found.items():
        name, _, key = path.rpartition("/")
        if name not in parameters:
            raise CheckpointError(f"{source} has moments of {name}, which the recipe lacks")
        state = optimiser.state.setdefault(parameters[name], {})
        # Adam counts its steps on the CPU, whatever the device.
        state[key] = value if value.ndim == 0 else value.to(parameters[name].device)
