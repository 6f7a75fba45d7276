"""Examples without end, each at its place, so that a run that goes on sees what it would have seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import default_collate

from training.engine.phase import Batch
from training.engine.randomness import seed_of
from training.engine.recipe import Row

Codes = NDArray[np.int64]
"""A number for each of some rows."""


class Rows(Protocol):
    """A set of examples."""

    def __len__(self) -> int: ...

    def row(self, index: int, random: np.random.Generator) -> Row:
        """One of them; whatever is random about it follows from `random`."""


def in_order(rows: Rows, size: int, count: int, device: torch.device | str = "cpu") -> Iterator[Batch]:
    """Batches of the first `count` rows, each once and always the same: what measures look at."""
    random, count = np.random.default_rng(0), min(len(rows), count)
    for begin in range(0, count, size):
        some = [rows.row(index, random) for index in range(begin, min(begin + size, count))]
        yield {name: value.to(device) for name, value in default_collate(some).items()}


class Shuffled:
    """Epochs one after the other, each in an order of its own (stream)."""

    def __init__(self, rows: Rows, seed: int) -> None:
        self._rows = rows
        self._seed = seed
        self._order = lru_cache(maxsize=2)(self._drawn)

    def __getitem__(self, place: int) -> Row:
        return self._rows.row(self.index(place), np.random.default_rng(seed_of(self._seed, place)))

    def index(self, place: int) -> int:
        """Which example of its rows is at a place."""
        epoch, number = divmod(place, len(self._rows))
        return int(self._order(epoch)[number])

    def _drawn(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng(seed_of(self._seed, epoch, len(self._rows))).permutation(len(self._rows))


class Twinned(Shuffled):
    """The same, where every `period`-th example is the one before it once more, with other random numbers (stream)."""

    def __init__(self, rows: Rows, seed: int, period: int) -> None:
        super().__init__(rows, seed)
        self._period = period

    def index(self, place: int) -> int:
        return super().index(place - (place + 1) // self._period)


class Unpaired:
    """An example of each domain, which have nothing to do with each other (stream)."""

    def __init__(self, **domains: Rows) -> None:
        """The keys of a domain's examples get its name in front: photo and `image` make `photo_image`."""
        self._streams = {name: Shuffled(rows, seed) for seed, (name, rows) in enumerate(domains.items())}

    def __getitem__(self, place: int) -> Row:
        return {
            f"{name}_{key}": value for name, stream in self._streams.items() for key, value in stream[place].items()
        }


class Acquainted:
    """The same of two domains, where every other pair is of one person, if both domains have that one (stream).

    `same` says of each pair whether it shows one person, by chance too; of somebody unknown it is false.
    """

    def __init__(self, people: Mapping[str, Codes], **domains: Rows) -> None:
        """`people`: who is in each row, by domain; below 0 where nobody knows."""
        (self._one, first), (self._other, self._rows) = domains.items()
        self._firsts, self._others = Shuffled(first, 0), Shuffled(self._rows, 1)
        self._people = people

    def __getitem__(self, place: int) -> Row:
        person, people = self._people[self._one][self._firsts.index(place)], self._people[self._other]
        random = np.random.default_rng(seed_of(2, place))
        own = np.flatnonzero(people == person) if place % 2 and person >= 0 else []
        index = int(random.choice(own)) if len(own) else self._others.index(place)
        pair = {self._one: self._firsts[place], self._other: self._rows.row(index, random)}
        row = {f"{name}_{key}": value for name, example in pair.items() for key, value in example.items()}
        return row | {"same": np.bool_(person >= 0 and people[index] == person)}
