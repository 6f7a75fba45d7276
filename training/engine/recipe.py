"""What the engine asks of a recipe, which is one file of training/recipes and all there is to a system."""

from __future__ import annotations

import importlib
import math
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from torch import nn

from export.contract import Contract
from export.precision import Stored
from training.data.pack import Pack
from training.engine.checkpoint import Tensors
from training.engine.errors import RecipeError
from training.engine.health import Symptom
from training.engine.phase import Batch, Networks, Phase
from training.engine.randomness import Random

RECIPES = "training.recipes"
_ONE_OR_MORE = frozenset({"images", "batch", "parts", "half_life", "measured"})
ORIGINS = ("sources", "teachers")
"""Settings that tell what a run learns from: they follow from its data, and from the run that it begins from."""


def _power_of_two(number: int) -> int:
    if number & (number - 1):
        raise ValueError(f"{number} is no power of two")
    return number


Positive = Annotated[int, Field(ge=1)]
"""A setting that cannot be none."""
Share = Annotated[float, Field(ge=0, le=1)]
Side = Annotated[int, Field(ge=8), AfterValidator(_power_of_two)]
"""Pixels of a picture that is made by doubling 4 x 4."""

Row = Mapping[str, Any]
"""One example: arrays, tensors and numbers by name."""
Sheet = NDArray[np.uint8]
"""Pictures in rows and columns: uint8 [rows, columns, height, width, 3] RGB."""


@dataclass(frozen=True)
class Measured:
    """Figures by name, and in words why there are no others."""

    figures: Mapping[str, float] = field(default_factory=dict)
    refusals: Sequence[str] = ()


class Stream(Protocol):
    """Examples without end, each at its place: the same place gives the same example, whoever asks and when."""

    def __getitem__(self, place: int) -> Row:
        """The example at a place, which counts from 0."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What every recipe's config has. Counts are of images; 0 means never."""

    images: int
    """In all; steps times batch."""
    batch: int = 32
    """Of one step, over all processes and parts."""
    parts: int = 1
    """In which a process takes its share of a batch, where the memory of its device is too small (accumulation)."""
    half_life: int = 10_000
    """Of the moving average of weights."""
    seed: int = 0
    report: int = 1_000
    """Between two lines of figures."""
    checkpoint: int = 10_000
    sheet: int = 10_000
    measure: int = 0
    measured: int = 500
    """Pictures that a measure looks at."""
    keep: int = 0
    """Between two checkpoints that are kept beside the newest one."""
    sources: tuple[str, ...] = ()
    """Data sets and their terms, those behind the first weights too."""
    teachers: tuple[str, ...] = ()
    """Networks in the loss, with their digests; as of the data sets, those of the first weights too."""

    def __post_init__(self) -> None:
        """RecipeError for a number that cannot be, whatever a recipe has made of the field."""
        for each in fields(Plan):
            value, least = getattr(self, each.name), 1 if each.name in _ONE_OR_MORE else 0
            if isinstance(value, int) and value < least:
                raise RecipeError(f"{each.name}: must be {least} or more, not {value}")
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise RecipeError(f"{each.name}: must be a finite number, not {value}")


ConfigT = TypeVar("ConfigT", bound=Plan)


class Recipe(ABC):
    """One system: its networks, what they learn from and how, what is looked at, and what is exported."""

    Config: ClassVar[type[Plan]]
    averaged: tuple[str, ...]
    """Names of the networks of which a moving average is kept."""
    anew: ClassVar[tuple[str, ...]] = ()
    """Networks that do not begin from those of another run, e.g. the classes of other people."""
    float16: ClassVar[bool] = False
    """Whether the export stores weights in half precision, unless another one is asked for."""
    free: ClassVar[frozenset[str]] = frozenset()
    """Settings of its own that change nothing of what is learnt; they may differ from one export to the next."""
    symptoms: ClassVar[tuple[Symptom, ...]] = ()
    """What tells that a run is sick, beside figures that are not finite."""

    def __init__(self, config: Plan) -> None:
        self.config = config

    def fitted(self, data: Path, parent: Mapping[str, Any]) -> Self:
        """The recipe with the settings that follow from its data, and from those of the run that it begins from.

        E.g. how many people there are. A run keeps them. Raises the errors of training.data.
        """
        found = {"sources": self.sources(data), "teachers": self.teachers(data)}
        known = {name: tuple(dict.fromkeys([*parent.get(name, ()), *found[name]])) for name in ORIGINS}
        return type(self)(replace(self.config, **known))

    def sources(self, data: Path) -> Sequence[str]:
        """The data sets that it learns from, with their terms, as far as the data tell; by default those of a pack."""
        return Pack(data).present("source")

    def fingerprint(self, data: Path) -> str:
        """What tells its data from others, wherever they are; by default those of a pack."""
        return Pack(data).fingerprint

    def teachers(self, data: Path) -> Sequence[str]:
        """The networks whose answers are in the data and in its loss."""
        return ()

    @classmethod
    def imported(cls, state: Tensors, source: str) -> tuple[dict[str, Any], dict[str, Tensors]]:
        """Settings, and the networks' states by name, of a checkpoint of the system's authors or of a published model.

        Of the model it is the state that `exported` has. Where either comes from is seen to by who calls.
        RecipeError if the recipe knows none; CheckpointError if this is none.
        """
        raise RecipeError(f"{source}: the recipe knows no checkpoints but its own")

    @classmethod
    def translated(cls, configuration: Mapping[str, Any], source: str) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Settings that a configuration stands for, and the keys that say nothing here.

        The recipe's own settings by their names, unless the system's authors had a form of theirs. RecipeError names a
        key that is unknown, or whose value this system cannot have.
        """
        return dict(configuration), ()

    @abstractmethod
    def networks(self) -> dict[str, nn.Module]:
        """By name, with their first weights. State that a run keeps beside weights is a buffer of one of them.

        With several processes a buffer of floating-point numbers becomes the mean of theirs after each step; of any
        other, that of the first process is kept.
        """

    @abstractmethod
    def phases(self) -> Sequence[Phase]:
        """In the order of a step."""

    @abstractmethod
    def stream(self, data: Path) -> Stream:
        """The examples. Raises the errors of training.data."""

    def batch(self, seen: int) -> int:
        """The batch of the step that begins after so many images."""
        return self.config.batch

    def sheet(self, networks: Networks, examples: Batch, random: Random) -> Sheet | None:
        """Pictures of what the averages do with the first examples of the stream."""
        return None

    def measure(self, networks: Networks, data: Path) -> Measured:
        """Figures of the averages that take longer than a report may."""
        return Measured()

    @abstractmethod
    def exported(self, networks: Networks) -> nn.Module:
        """The network that is exported, of the averages: takes what the contract says."""

    @abstractmethod
    def contract(self, provenance: Mapping[str, str]) -> Contract:
        """What the exported graph promises; its data sets, their terms and its teachers are added to that."""

    def calibrated(self, contract: Contract, network: nn.Module, data: Path) -> Contract:
        """The contract with what has to be measured on data first, e.g. an encoder's thresholds."""
        return contract

    @classmethod
    def compares(cls) -> bool:
        """Whether `agreed` measures what shortened weights change, so that a precision can be chosen."""
        return cls.agreed is not Recipe.agreed

    def agreed(self, network: nn.Module, short: nn.Module, stored: Stored, data: Path) -> Mapping[str, float]:
        """Largest deviations, on data, of the exported network with shortened weights from itself, by name.

        ParityError where they are too large.
        """
        return {}


def joined(config: ConfigT, other: Mapping[str, Any], names: Sequence[str] = ORIGINS) -> ConfigT:
    """The config with what another run's settings say of its origins, too, or of other lists."""
    both = {name: tuple(dict.fromkeys([*getattr(config, name), *other.get(name, ())])) for name in names}
    return replace(config, **both)


def names() -> list[str]:
    """All recipes."""
    package = importlib.import_module(RECIPES)
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def find(name: str) -> type[Recipe]:
    """The class `Recipe` of the module of that name; RecipeError lists what there is."""
    if name not in names():
        raise RecipeError(f"there is no recipe {name!r}; there are {', '.join(names())}")
    found: type[Recipe] | None = getattr(importlib.import_module(f"{RECIPES}.{name}"), "Recipe", None)
    if found is None:
        raise RecipeError(f"{name} has commands of its own: python -m {RECIPES}.{name} --help")
    return found


def configured(recipe: type[Recipe], settings: Mapping[str, Any]) -> Recipe:
    """The recipe with some settings other than its own; RecipeError names the one that it does not have or take."""
    known = [each.name for each in fields(recipe.Config)]
    for name in settings:
        if name not in known:
            raise RecipeError(f"{name}: no setting of this recipe; there are {', '.join(known)}")
    try:
        return recipe(TypeAdapter(recipe.Config).validate_python(dict(settings)))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise RecipeError(f"{name}: {first['msg'].lower()}") from None
