"""Networks that only look at what others make: where their weights come from, and what was learnt from whom."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from torch import nn

from export.repository import GRAPH, Repository, RepositoryError
from training.data.terms import foreign as foreign_source
from training.engine import foreign
from training.engine.checkpoint import Tensors
from training.engine.errors import CheckpointError
from training.engine.run import FACTS, Run
from training.networks import attributes, sphereface, vgg
from training.networks.attributes import Attributes
from training.networks.satnet_r import StyleReader, from_state
from training.networks.sphereface import SphereFace
from training.networks.vgg import Vgg16

NetworkT = TypeVar("NetworkT", bound=nn.Module)


@dataclass(frozen=True)
class Frozen(Generic[NetworkT]):
    """A network that learns no more."""

    network: NetworkT
    name: str
    """What it is called, with its file's digest."""
    sources: tuple[str, ...]
    """Data sets that it was trained on, and their terms."""


@dataclass(frozen=True)
class Classifier(Frozen[Attributes]):
    """One of attributes."""

    size: int
    """Pixels of the squares that it learnt on, which show the frame of export.alignment.SQUARE_256."""


def recogniser(path: Path) -> Frozen[SphereFace]:
    """A face encoder of a published model (models/NAME/VERSION), a run of `sphereface`, or a checkpoint of sphere20a.

    CheckpointError or RunError if there is none.
    """
    try:
        if (path / GRAPH).exists():
            name, file, state, sources = _published(path)
        elif (path / FACTS).exists():
            name, file, state, sources = _trained(path)
        else:
            state = {key: value for key, value in foreign.load(path).items() if not key.startswith("fc6.")}
            name, file, sources = path.name, path, (foreign_source(str(path)),)
        network = SphereFace(*sphereface.form(state))
        network.load_state_dict(state)
    except (RepositoryError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} is no face encoder: {error}") from error
    return Frozen(network.eval().requires_grad_(False), _digested(name, file), sources)


def classifier(run: Path) -> Classifier:
    """Of a run of `attributes`. CheckpointError or RunError if there is none."""
    state, settings = _averages(run, "attributes", "classifier")
    try:
        network = Attributes(*attributes.form(state))
        network.load_state_dict(state)
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(f"{run} has no classifier of attributes: {error}") from error
    name = _digested(run.absolute().name, Run(run).latest)
    frozen = network.eval().requires_grad_(False)
    return Classifier(frozen, name, tuple(settings["sources"]), size=settings["size"])


def reader(path: Path) -> Frozen[StyleReader]:
    """What reads styles, of a published model's folder. CheckpointError if there is none."""
    try:
        name, file, state, sources = _published(path)
        network = from_state(state)
    except (RepositoryError, ValueError, RuntimeError, StopIteration) as error:
        raise CheckpointError(f"{path} reads no styles: {error}") from error
    if not isinstance(network, StyleReader):
        raise CheckpointError(f"{path} reads no styles: it is a {type(network).__name__.lower()}")
    return Frozen(network.requires_grad_(False), _digested(name, file), sources)


def perceptual(path: Path) -> tuple[Vgg16, str]:
    """VGG-16 of a file of torch.save or safetensors, and the file with its digest. CheckpointError."""
    try:
        network = vgg.from_state(foreign.load(path))
    except RuntimeError as error:
        raise CheckpointError(f"{path} has no weights of VGG-16: {error}") from error
    return network, _digested(path.name, path)


def _published(folder: Path) -> tuple[str, Path, Tensors, tuple[str, ...]]:
    """Name, file, weights and data sets."""
    model, version = folder.absolute().parts[-2:]
    path = Repository(folder.absolute().parents[1]).resolve(model, int(version)).path(GRAPH)
    weights, contract = foreign.published(path)
    state = {key.removeprefix("network."): value for key, value in weights.items()}
    return f"{model}/{version}", path, state, contract.data


def _trained(folder: Path) -> tuple[str, Path, Tensors, tuple[str, ...]]:
    """The same of a run's averages."""
    state, settings = _averages(folder, "sphereface", "encoder")
    return folder.absolute().name, Run(folder).latest, state, tuple(settings.get("sources", ()))


def _averages(folder: Path, recipe: str, network: str) -> tuple[Tensors, Mapping[str, Any]]:
    """Of one network of a run, and the run's settings. CheckpointError, RunError."""
    settings, averages = Run(folder).averages(recipe)
    return averages[network], settings


def _digested(name: str, file: Path) -> str:
    with file.open("rb") as opened:
        return f"{name}, sha256 {hashlib.file_digest(opened, 'sha256').hexdigest()}"
