"""A model that runs: ONNX Runtime sessions over a graph that keeps its contract, and what their runs cost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from export.alignment import Image
from export.contract import Contract, Value
from export.repository import GRAPH, Entry
from service.cancellation import Cancellation
from service.logs import log
from service.machine import cores, trim
from service.policy import WORTH_WIDENING, Costs
from service.providers import CPU, Device, Provider, ProviderUnavailable, candidates, chain, require_libraries
from service.sessions import Session
from service.settings import Settings

CPU_BUCKETS = (1, 2, 4)
GPU_BUCKETS = (1, 2, 4, 8, 16, 32)
WORTH_BATCHING = 0.97  # a row of a batch must take less than this share of a row in the best smaller one
PROBES = 3  # rows of the warm-up
TRIES = 5  # times that all cores may be measured: a moment in which others want them says little
PAUSE = 0.1  # seconds between them; for as long may a system keep both threads of a run on one core
ASSUMED_COST = 0.05  # seconds of a row, until the warm-up has measured them
# How far outputs of a device may be from those of the CPU in float32.
MEAN_LEVELS, MAX_LEVELS = 1.0, 8.0
MIN_COSINE = 0.999

Outputs = Sequence[NDArray[Any]]


@dataclass(frozen=True)
class Row:
    """One face for one model: its crop (None for a generator) and the control values asked for."""

    image: Image | None
    values: Mapping[str, Value]


class Model(Protocol):
    """What the service needs of a model, whatever runs it."""

    name: str
    version: int
    digest: str
    contract: Contract

    device: str
    """cpu, cuda or tensorrt."""
    provider: str
    """As ONNX Runtime calls it."""

    @property
    def memory(self) -> int:
        """Bytes, about."""

    @property
    def costs(self) -> Costs:
        """What runs take, as measured by the warm-up."""

    def run(
        self, rows: Sequence[Row], *, wide: bool = False, cancellation: Cancellation | None = None
    ) -> list[NDArray[Any]]:
        """One output for each row: an image uint8 [H, W, 3] or a vector float32 [D].

        `wide` lets one row use every core. Raises ClientClosed if `cancellation` stops the run.
        """


class OnnxModel:
    """A published ONNX file, loaded.

    On a CPU there are two sessions over it. The narrow one uses one core a run, and executors run it side by side,
    which is what gets most out of all cores; the wide one lets a lone run use every core, and is dropped where it is
    not faster or does not give the same bytes. On a GPU there is one, whose runs are of a few sizes only.
    """

    def __init__(self, entry: Entry, settings: Settings) -> None:
        """Raises ContractError, naming the file, if the graph is not what a contract of a known format promises, and
        ProviderUnavailable if the provider of the settings does not run here.
        """
        path = entry.path(GRAPH)
        narrow = Session(path)
        self.name = entry.name
        self.version = entry.version
        self.digest = entry.files[GRAPH]
        self.contract = Contract.from_metadata(narrow.metadata, str(path))
        self.contract.check(narrow.inputs, narrow.outputs, str(path))
        self.costs = Costs({1: ASSUMED_COST})
        self._probes = [self._probe(seed) for seed in range(PROBES)]
        self._max_batch = settings.max_batch or max(GPU_BUCKETS)
        self._session, place = self._placed(path, narrow, settings)
        self.device: str = place.device
        self.provider = place.name
        self.precision: str = place.precision
        threads = settings.threads or cores()
        self._wide = Session(path, threads=threads) if self._session.on_cpu and threads > 1 else None

    @property
    def memory(self) -> int:
        """Bytes of the host's memory, about, beside what runs take from the arena that all models share."""
        return sum(session.memory for session in (self._session, self._wide) if session is not None)

    def run(
        self, rows: Sequence[Row], *, wide: bool = False, cancellation: Cancellation | None = None
    ) -> list[NDArray[Any]]:
        """One output for each row; on a GPU, rows that nobody asked for fill up the batch."""
        if self._session.on_cpu:
            return self._outputs(self._wide if wide and self._wide is not None else self._session, rows, cancellation)
        size = min(size for size in self.costs.seconds if size >= len(rows))
        padding = [self._probes[0]] * (size - len(rows))  # never another client's face
        return self._outputs(self._session, [*rows, *padding], cancellation)[: len(rows)]

    def warm_up(self) -> None:
        """Run some rows, so that nobody's first request pays for set-up, and measure what runs cost."""
        alone, plain = self._measured(self._session, [[probe] for probe in self._probes])
        self.costs = Costs(self._buckets(alone, plain), self._lone(alone, plain))
        self._outputs(self._session, self._probes[:1], shrink=True)
        trim()

    def _placed(self, path: Path, narrow: Session, settings: Settings) -> tuple[Session, Provider]:
        """The graph on the best provider that runs here and gives what the CPU gives."""
        alone, gone, reason = None, set[Device](), ""
        available = onnxruntime.get_available_providers()
        for provider in candidates(settings.provider, available, reduced=settings.reduced_precision):
            if provider == CPU:
                return narrow, provider
            if provider.device in gone:
                continue
            try:
                session = self._on_device(path, provider, settings)
                outputs = [self._outputs(session, [probe])[0] for probe in self._probes]
            except Exception as error:  # whatever a driver says: there is another provider, or an operator to tell
                gone.add(provider.device)
                reason = str(error)
            else:
                alone = alone or [self._outputs(narrow, [probe])[0] for probe in self._probes]
                if agree(self.contract, alone, outputs):
                    return session, provider
                reason = f"{provider.name} in {provider.precision} differs too much from the CPU"
            log.warning("provider refused", model=f"{self.name}/{self.version}", provider=provider.name, reason=reason)
        raise ProviderUnavailable(reason)

    def _on_device(self, path: Path, provider: Provider, settings: Settings) -> Session:
        require_libraries(provider.device)
        largest = max(size for size in GPU_BUCKETS if size <= self._max_batch)
        chained = chain(
            provider,
            self.contract,
            self.digest,
            max_batch=largest,
            memory=settings.device_memory,
            engines=settings.engines,
        )
        return Session(path, providers=chained)

    def _buckets(self, alone: Outputs, plain: float) -> dict[int, float]:
        """Rows -> seconds of the batches that are worth their while: a row in them costs less, and gets the same."""
        seconds = {1: plain}
        for size in (CPU_BUCKETS if self._session.on_cpu else GPU_BUCKETS)[1:]:
            if size > self._max_batch:
                break
            rows = [self._probes[index % PROBES] for index in range(size)]
            together, batch = self._measured(self._session, [rows, rows])
            same = self._same([alone[index % PROBES] for index in range(size)], together[:size])
            if not same or batch / size > WORTH_BATCHING * min(cost / rows for rows, cost in seconds.items()):
                break
            seconds[size] = batch
        return seconds

    def _lone(self, alone: Outputs, plain: float) -> float | None:
        """Seconds of one row on all cores; where that is no gain or not the same, the wide session is let go."""
        if self._wide is None:
            return None
        for attempt in range(TRIES):
            time.sleep(PAUSE if attempt else 0.0)
            outputs, seconds = self._measured(self._wide, [[probe] for probe in self._probes])
            if not self._same(alone, outputs):
                break
            if seconds < WORTH_WIDENING * plain:
                return seconds
        self._wide = None
        return None

    def _same(self, left: Outputs, right: Outputs) -> bool:
        """Bit by bit on a CPU. A GPU's libraries choose other sums for other sizes of a batch."""
        if self._session.on_cpu:
            return all(np.array_equal(*pair) for pair in zip(left, right, strict=True))
        return agree(self.contract, left, right)

    def _measured(self, session: Session, runs: Sequence[Sequence[Row]]) -> tuple[Outputs, float]:
        """The outputs of all rows, and the seconds of the fastest run."""
        outputs: list[NDArray[Any]] = []
        seconds = []
        for rows in runs:
            started = time.perf_counter()
            outputs += self._outputs(session, rows)
            seconds.append(time.perf_counter() - started)
        return outputs, min(seconds)

    def _outputs(
        self,
        session: Session,
        rows: Sequence[Row],
        cancellation: Cancellation | None = None,
        *,
        shrink: bool = False,
    ) -> list[NDArray[Any]]:
        feed = self.contract.feed([row.image for row in rows if row.image is not None], [row.values for row in rows])
        output = session.run(feed, cancellation, shrink=shrink)
        return self.contract.images(output) if self.contract.output == "image" else list(output)

    def _probe(self, seed: int) -> Row:
        """A crop of noise and controls from all over their ranges; the same for the same seed."""
        rng = np.random.default_rng(seed)
        template = self.contract.template
        shape = None if template is None else (template.height, template.width, 3)
        image = None if shape is None else rng.integers(0, 256, shape, dtype=np.uint8)
        return Row(image, {control.name: control.draw(rng) for control in self.contract.controls})


def load(entry: Entry, settings: Settings) -> OnnxModel:
    """The model of a resolved entry, warm, its costs measured; raises what OnnxModel raises."""
    model = OnnxModel(entry, settings)
    model.warm_up()
    return model


def agree(contract: Contract, wanted: Outputs, given: Outputs) -> bool:
    """Whether outputs may stand in for others: pictures within MEAN_LEVELS and MAX_LEVELS, vectors by MIN_COSINE."""
    for left, right in zip(np.asarray(wanted, np.float64), np.asarray(given, np.float64), strict=True):
        if contract.output == "image":
            difference = np.abs(left - right)
            close = difference.mean() <= MEAN_LEVELS and difference.max() <= MAX_LEVELS
        else:
            close = left @ right >= MIN_COSINE * np.linalg.norm(left) * np.linalg.norm(right)
        if not close:  # also if there is a NaN
            return False
    return True
