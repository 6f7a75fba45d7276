"""Batches of a stream, from any place on, for one process of several."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import torch
from torch.utils.data import DataLoader, Sampler, default_collate

from training.engine.errors import SickRun, TrainingError
from training.engine.phase import Batch
from training.engine.randomness import Rows
from training.engine.recipe import Row, Stream


class Places(Sampler[list[int]]):
    """The places of each batch, from `seen` to `images`; of a process its rows only."""

    def __init__(self, seen: int, images: int, batch: Callable[[int], int], process: int, processes: int) -> None:
        self._seen = seen
        self._images = images
        self._batch = batch
        self._process = process
        self._processes = processes

    def __iter__(self) -> Iterator[list[int]]:
        seen = self._seen
        while seen < self._images:
            size = self._batch(seen)
            mine = Rows(0, size, size).part(self._process, self._processes)
            yield list(range(seen + mine.begin, seen + mine.end))
            seen += size


class Examples:
    """A stream, as torch's loader wants it: asked for all examples of a batch at once."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __getitems__(self, places: list[int]) -> list[Row] | Exception:
        """An error of which a sentence is told comes instead: what a worker raises gets its traceback as a message."""
        try:
            return [self._stream[place] for place in places]
        except (TrainingError, OSError) as error:
            return error


def loaded(stream: Stream, places: Places, workers: int, *, pinned: bool) -> Iterator[Batch]:
    """Batches, made ahead of time by `workers` processes; 0: by this one. Raises what the stream raises."""
    loader: DataLoader[Row] = DataLoader(
        Examples(stream),  # type: ignore[arg-type]
        batch_sampler=places,
        num_workers=workers,
        collate_fn=_collated,
        pin_memory=pinned,
        worker_init_fn=_deaf,
        persistent_workers=False,
        prefetch_factor=4 if workers else None,
    )
    return _raised(iter(loader))


def _deaf(worker: int) -> None:
    """Ctrl-C reaches every process of a terminal; a worker ends with the one that trains, which still needs it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _collated(rows: list[Row] | Exception) -> Batch | Exception:
    if isinstance(rows, Exception):
        return rows
    batch: Batch = default_collate(rows)
    for name, values in batch.items():
        if values.is_floating_point() and not torch.isfinite(values).all():
            return SickRun(f"{name}, of the data, is not finite in a row; no learning rate helps against that")
    return batch


def _raised(batches: Iterator[Batch | Exception]) -> Iterator[Batch]:
    for batch in batches:
        if isinstance(batch, Exception):
            raise batch
        yield batch
