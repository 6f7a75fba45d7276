"""Means of what is logged, kept on the device: reading one costs a wait for all the work that was given to it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class Figures:
    """Sums since the last reading."""

    def __init__(self) -> None:
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
        if not self._sums:
            return {}
        values = torch.stack(list(self._sums.values())).tolist()
        return {name: value / self._counts[name] for name, value in zip(self._sums, values, strict=True)}

    def read(self) -> dict[str, float]:
        """The means, and begin anew."""
        found = self.peek()
        self._sums, self._counts = {}, {}
        return found
