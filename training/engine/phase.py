"""What a recipe is made of: phases, each a loss for some of the networks, and the step that their losses look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from training.engine.clock import Schedule, constant
from training.engine.randomness import Random

T = TypeVar("T")

Networks = Mapping[str, nn.Module]
Batch = Mapping[str, Tensor]
Terms = Mapping[str, Tensor]
"""The weighted parts of a loss, scalars by name; their sum is minimised."""
Optimiser = Callable[[Iterable[tuple[str, nn.Parameter]]], Optimizer]
"""Makes an optimiser for named parameters."""


@dataclass(frozen=True)
class Move:
    """Of a running mean, a buffer of a network, towards a value by a share of the way, 0..1."""

    mean: Tensor
    value: Tensor
    share: float


@dataclass
class Step:
    """One step, as a loss sees it: the networks, some rows of the batch, and random numbers that belong to these rows.

    With accumulation or several processes a step is made in parts. Each part sees the rows and the numbers that it
    would have seen as part of the whole.
    """

    networks: Networks
    batch: Batch
    """Tensors on the device, the first axis being that of the rows."""
    seen: int
    """Images before this step."""
    random: Random
    _memory: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Tensor] = field(default_factory=dict)
    """What is to be logged beside the terms."""
    moves: list[Move] = field(default_factory=list)
    """Of running means, at the end of the step."""

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What `make` returns, made once a step: a discriminator is shown the pictures its generator was judged by."""
        if name not in self._memory:
            self._memory[name] = make()
        found: T = self._memory[name]
        return found

    def note(self, name: str, value: Tensor) -> None:
        """Log a scalar that is no part of a loss."""
        self.notes[name] = value.detach()

    def follow(self, mean: Tensor, value: Tensor, share: float) -> None:
        """Have a running mean move by that share towards a value, once a step: of its parts, towards their mean."""
        self.moves.append(Move(mean, value.detach().to(mean.dtype), share))


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A loss that is minimised by some of the networks, in turn with the other phases.

    Lazy regularisation is a phase with `every` > 1 that `shares` the optimiser of another one (Karras et al. 2020,
    appendix B); training.losses.penalties.lazy corrects that optimiser for the steps that come in between.
    """

    name: str
    trains: tuple[str, ...]
    """Names of networks; all others are held fixed."""
    loss: Callable[[Step], Terms]
    optimiser: Optimiser | None = None
    shares: str = ""
    """The phase whose optimiser is used, if it has none of its own."""
    every: int | Callable[[int], bool] = 1
    """Its turn comes with every so many-th step; or with each whose number, from 0 on, is answered with yes."""
    schedule: Schedule = constant
    clip: float = 0.0
    """The most that the norm of all gradients may be; 0: anything."""
    after: Callable[[Networks], None] | None = None
    """Called after each of its steps, e.g. to clamp a parameter."""
    renewed_at: tuple[int, ...] = ()
    """Images after which the optimiser forgets its moments: once, with the step that reaches or passes them."""

    def due(self, step: int) -> bool:
        """Whether its turn comes with the step of this number."""
        return self.every(step) if callable(self.every) else step % self.every == 0


def adam(rate: float, betas: tuple[float, float] = (0.9, 0.999), *, decay: float = 0.0) -> Optimiser:
    """Adam with coupled decay, as the papers on GANs have it.

    Single numbers are spared, such as the strength of attention: decay would keep it at the 0 that it begins with.
    """
    return lambda named: torch.optim.Adam(_groups(named, decay, spared=0), rate, betas)


def adamw(rate: float, betas: tuple[float, float] = (0.9, 0.999), *, decay: float = 1e-2) -> Optimiser:
    """Adam with decoupled decay, which spares parameters of one axis: gains, biases, slopes."""
    return lambda named: torch.optim.AdamW(_groups(named, decay, spared=1), rate, betas)


def sgd(rate: float, momentum: float = 0.9, *, decay: float = 0.0) -> Optimiser:
    """Stochastic gradient descent with momentum."""
    return lambda named: torch.optim.SGD([each for _, each in named], rate, momentum, weight_decay=decay)


def _groups(named: Iterable[tuple[str, nn.Parameter]], decay: float, *, spared: int) -> list[dict[str, Any]]:
    """Parameters in groups with decay and without; those of no more than `spared` axes have none."""
    parameters = [parameter for _, parameter in named]
    groups: list[dict[str, Any]] = [
        {"params": [each for each in parameters if each.ndim > spared], "weight_decay": decay},
        {"params": [each for each in parameters if each.ndim <= spared], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
