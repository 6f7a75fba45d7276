"""Random numbers that follow from a seed and a place alone, so that a resumed run, or one in parts, draws the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.engine.errors import RecipeError


def seed_of(*numbers: int) -> int:
    """One seed of 63 bits from several non-negative numbers; every change of one of them gives another stream."""
    return int(np.random.SeedSequence((len(numbers), *numbers)).generate_state(1, np.uint64)[0] >> 1)


@dataclass(frozen=True)
class Rows:
    """Which rows of the whole batch a part of it has."""

    begin: int
    end: int
    total: int

    def __len__(self) -> int:
        return self.end - self.begin

    def part(self, number: int, count: int) -> Rows:
        """The `number`-th of `count` parts of these rows; RecipeError if they cannot be of one size."""
        size, rest = divmod(len(self), count)
        if rest:
            why = "batch must be a multiple of parts times processes"
            raise RecipeError(f"{len(self)} rows cannot be divided by {count}: {why}")
        begin = self.begin + number * size
        return Rows(begin, begin + size, self.total)


class Random:
    """The numbers of one step. Those of the whole batch are drawn, and a part gets those of its rows."""

    def __init__(self, seed: int, seen: int, rows: Rows, device: torch.device | str = "cpu") -> None:
        self.rows = rows
        self._device = torch.device(device)
        self._generator = torch.Generator(self._device)
        self._generator.manual_seed(seed_of(seed, seen))

    def normal(self, *shape: int) -> Tensor:
        """N(0, 1), float32 [rows, *shape]."""
        return self._mine(torch.randn((self.rows.total, *shape), generator=self._generator, device=self._device))

    def uniform(self, *shape: int) -> Tensor:
        """0 <= u < 1, float32 [rows, *shape]."""
        return self._mine(torch.rand((self.rows.total, *shape), generator=self._generator, device=self._device))

    def whole(self, low: int, high: int, *shape: int) -> Tensor:
        """Whole numbers of low..high - 1, int64 [rows, *shape]."""
        return self._mine(
            torch.randint(low, high, (self.rows.total, *shape), generator=self._generator, device=self._device)
        )

    def _mine(self, drawn: Tensor) -> Tensor:
        return drawn[self.rows.begin : self.rows.end]
