"""Means of what is logged, kept on the device: reading one costs a wait for all the work that was given to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

Totals = Mapping[str, tuple[float, int]]
"""A sum, and of how many, by name."""


class Figures:
    """Sums since the last reading."""

    def __init__(self, gathered: Callable[[Totals], Iterable[Totals]] = lambda totals: [totals]) -> None:
        """`gathered` has those of all processes, each of which then reads the same."""
        self._gathered = gathered
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Scalars by name."""
        for name, value in values.items():
            value = value.detach().float()
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + 1

    def peek(self) -> dict[str, float]:
        """The means; whatever was not finite once makes its mean so."""
        sums, counts = dict[str, float](), dict[str, int]()
        for totals in self._gathered(self._totals()):
            for name, (value, count) in totals.items():
                sums[name] = sums.get(name, 0.0) + value
                counts[name] = counts.get(name, 0) + count
        return {name: value / counts[name] for name, value in sums.items()}

    def read(self) -> dict[str, float]:
        """The means, and begin anew."""
        found = self.peek()
        self._sums, self._counts = {}, {}
        return found

    def _totals(self) -> Totals:
        if not self._sums:
            return {}
        values = torch.stack(list(self._sums.values())).tolist()
        return {name: (value, self._counts[name]) for name, value in zip(self._sums, values, strict=True)}
