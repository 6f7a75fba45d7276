"""ONNX Runtime sessions: with which options a graph is opened, how it runs, and how a run is let go."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from service.cancellation import Cancellation
from service.errors import ClientClosed
from service.machine import held
from service.providers import NAMES, ProviderUnavailable

Feed = Mapping[str, NDArray[Any]]
Chain = Sequence[tuple[str, Mapping[str, str]]]

TYPES: Mapping[str, type[np.generic]] = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}
SHRINK = "memory.enable_memory_arena_shrinkage"


class Session:
    """A graph that is open; threads may run it at the same time."""

    def __init__(self, path: Path, *, threads: int = 1, providers: Chain = ((NAMES["cpu"], {}),)) -> None:
        """`threads` is how many cores a run on the CPU uses, `providers` are what runs it, best first.

        Raises ProviderUnavailable if the first of them does not run here.
        """
        name = providers[0][0]
        self.on_cpu = name == NAMES["cpu"]
        before = held()
        if self.on_cpu:
            share_arena()
        self._session = _opened(path, options(threads, shared=self.on_cpu), providers)
        found = self._session.get_providers()
        if found[0] != name:
            raise ProviderUnavailable(f"{name} did not take the graph; it would run on {found[0]}")
        self.memory = max(path.stat().st_size, held() - before)
        """Bytes that it takes while nothing runs, about: what the process grew by while it was opened."""
        self._bindings: dict[int, Binding] = {}

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the file says of itself."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    @property
    def inputs(self) -> list[tuple[str, str, list[Any]]]:
        """Name, type and shape of each input."""
        return [(port.name, port.type, port.shape) for port in self._session.get_inputs()]

    @property
    def outputs(self) -> list[tuple[str, str, list[Any]]]:
        """Name, type and shape of each output."""
        return [(port.name, port.type, port.shape) for port in self._session.get_outputs()]

    def run(self, feed: Feed, cancellation: Cancellation | None = None, *, shrink: bool = False) -> NDArray[Any]:
        """The first output. Raises ClientClosed if `cancellation` stops the run, which leaves the session as it was.

        With `shrink`, the arena gives back what no other run is using.
        """
        with _stoppable(cancellation) as chosen:
            if shrink and self.on_cpu:
                chosen.add_run_config_entry(SHRINK, "cpu:0")
            if not self.on_cpu:
                return self._binding(len(next(iter(feed.values())))).run(feed, chosen)
            output: NDArray[Any] = self._session.run(None, feed, chosen)[0]
        return output

    def _binding(self, batch: int) -> Binding:
        if batch not in self._bindings:
            self._bindings[batch] = Binding(self._session, batch, pinned=True)
        return self._bindings[batch]


class Binding:
    """Where a batch of one size lies for a device: always the same memory, which the device may read by itself."""

    def __init__(self, session: onnxruntime.InferenceSession, batch: int, *, pinned: bool) -> None:
        self._session = session
        self._binding = session.io_binding()
        self._inputs = {port.name: _buffer(port, batch, pinned) for port in session.get_inputs()}
        port = session.get_outputs()[0]
        self._output = _buffer(port, batch, pinned)
        for name, buffer in self._inputs.items():
            self._binding.bind_cpu_input(name, buffer)
        self._binding.bind_output(
            port.name, "cpu", 0, self._output.dtype.type, self._output.shape, self._output.ctypes.data
        )
        self._lock = Lock()

    def run(self, feed: Feed, chosen: onnxruntime.RunOptions) -> NDArray[Any]:
        """A copy of the output; one caller at a time."""
        with self._lock:
            for name, buffer in self._inputs.items():
                buffer[...] = feed[name]
            self._session.run_with_iobinding(self._binding, chosen)
            return self._output.copy()


def options(threads: int, *, shared: bool = True) -> onnxruntime.SessionOptions:
    """Of a session whose runs use so many cores; why they are so: docs/performance.md, "Sessions and threads".

    `shared`: its runs take their memory from the arena of `share_arena`.
    """
    chosen = onnxruntime.SessionOptions()
    chosen.intra_op_num_threads = threads
    chosen.inter_op_num_threads = 1
    chosen.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL  # the graphs have no branches to speak of
    # Spinning workers burn the cores that decoding, detection and other runs need, even when idle.
    chosen.add_session_config_entry("session.intra_op.allow_spinning", "0")
    chosen.enable_mem_pattern = False  # no run is faster by it, and each would hold its memory in one piece
    if shared:
        chosen.add_session_config_entry("session.use_env_allocators", "1")
        # Weights stay out of the arena, so that their memory goes when their model goes.
        chosen.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    return chosen


@cache
def share_arena() -> None:
    """Make the arena that all sessions on the CPU share: what one run leaves behind serves the next, of any model.

    It grows by what is asked for, not by powers of two.
    """
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    unlimited, as_requested, default = 0, 1, -1
    arena = {
        "max_mem": unlimited,
        "arena_extend_strategy": as_requested,
        "initial_chunk_size_bytes": default,
        "max_dead_bytes_per_chunk": default,
    }
    onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg(arena))


def _opened(path: Path, chosen: onnxruntime.SessionOptions, providers: Chain) -> onnxruntime.InferenceSession:
    wanted = [(name, dict(values)) for name, values in providers]
    try:
        return onnxruntime.InferenceSession(str(path), chosen, providers=wanted, enable_fallback=0)
    except Exception as error:
        if providers[0][0] == NAMES["cpu"]:
            raise
        raise ProviderUnavailable(f"{providers[0][0]}: {error}") from error


@contextmanager
def _stoppable(cancellation: Cancellation | None) -> Iterator[onnxruntime.RunOptions]:
    """Options for one run, which ends at its next node once it is cancelled.

    They are never used for a second one: the flag stays up, and a late `cancel` may still raise it after the run.
    """
    chosen = onnxruntime.RunOptions()
    if cancellation is None:
        yield chosen
        return
    with cancellation.hooked(partial(setattr, chosen, "terminate", True)):
        try:
            yield chosen
        except Exception as error:
            if not cancellation.cancelled:
                raise
            raise ClientClosed("the client went away") from error


def _buffer(port: onnxruntime.NodeArg, batch: int, pinned: bool) -> NDArray[Any]:
    buffer = np.zeros((batch, *port.shape[1:]), TYPES[port.type])
    if pinned:
        _pin(buffer)
    return buffer


def _pin(buffer: NDArray[Any]) -> None:
    """Ask CUDA to keep the pages in place, so that it copies them without a detour; without that it only is slower."""
    with suppress(OSError):
        runtime = ctypes.CDLL(f"libcudart.so.{onnxruntime.cuda_version.partition('.')[0]}")
        place = ctypes.c_void_p(buffer.ctypes.data)
        runtime.cudaHostRegister(place, ctypes.c_size_t(buffer.nbytes), 0)
        weakref.finalize(buffer, runtime.cudaHostUnregister, place).atexit = False
