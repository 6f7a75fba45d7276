"""Where models run: TensorRT before CUDA before the CPU, as far as this machine has them, and with which options.

Choosing and building options are pure functions. What is there is asked of the system: the installed ONNX Runtime for
its providers, the dynamic linker for the libraries that a provider needs, nvidia-smi for the devices.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import subprocess
from collections.abc import Collection, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Literal

import onnxruntime

from export.contract import Contract

Device = Literal["tensorrt", "cuda", "cpu"]
Precision = Literal["float32", "tf32", "float16"]

NAMES: Mapping[Device, str] = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
REDUCED: Mapping[Device, Precision] = {"tensorrt": "float16", "cuda": "tf32"}
LIBRARIES: Mapping[Device, str] = {
    "tensorrt": "libonnxruntime_providers_tensorrt.so",
    "cuda": "libonnxruntime_providers_cuda.so",
}
TENSORRT = "libnvinfer.so.10"  # what LIBRARIES["tensorrt"] is linked with, since ONNX Runtime 1.18
# The beginning of a library's name -> what an operator has to install.
OWNERS = {
    "libcuda.so": "the NVIDIA driver, which a container gets by --gpus",
    "libcudnn": "cuDNN 9",
    "libnvinfer": "TensorRT 10",
    "libnvonnxparser": "TensorRT 10",
    "libcu": "CUDA",
}


class ProviderUnavailable(RuntimeError):
    """A provider does not run here; the message names what is missing."""


@dataclass(frozen=True)
class Provider:
    """A way to run models."""

    device: Device
    precision: Precision = "float32"

    @property
    def name(self) -> str:
        """As ONNX Runtime calls it."""
        return NAMES[self.device]


CPU = Provider("cpu")


@dataclass(frozen=True)
class Gpu:
    """A device of NVIDIA's, as nvidia-smi describes it."""

    name: str
    driver: str
    capability: str
    """Of its streaming multiprocessors, such as 9.0."""
    memory: int
    """Bytes."""


# Choosing


def candidates(demanded: Device | Literal["auto"], available: Collection[str], *, reduced: bool) -> list[Provider]:
    """What to try, best first: with `reduced`, fewer bits before all of them; without a demand, the CPU last.

    `available` are the providers of the installed ONNX Runtime. Raises ProviderUnavailable if it has not what is
    demanded.
    """
    devices: Sequence[Device] = tuple(NAMES) if demanded == "auto" else (demanded,)
    present = [device for device in devices if NAMES[device] in available]
    if not present:
        raise ProviderUnavailable(
            f"the installed ONNX Runtime has no {NAMES[devices[0]]}: "
            "install onnxruntime-gpu in place of onnxruntime (pip install 'likeness[gpu]')"
        )
    found = []
    for device in present:
        if reduced and device in REDUCED:
            found.append(Provider(device, REDUCED[device]))
        found.append(Provider(device))
    return found


def read_gpus(table: str) -> list[Gpu]:
    """The devices of `nvidia-smi --query-gpu=name,driver_version,compute_cap,memory.total --format=csv,noheader`."""
    found = []
    for line in table.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 4 and fields[3].endswith("MiB"):
            name, driver, capability, memory = fields
            found.append(Gpu(name, driver, capability, int(memory.removesuffix("MiB")) * 2**20))
    return found


def owner(library_error: str) -> str:
    """What to install, given what the dynamic linker says about a library that it does not find."""
    library = library_error.partition(":")[0].strip()
    for beginning, package in OWNERS.items():
        if library.startswith(beginning):
            return f"{library} is missing: install {package}"
    return library_error


# Options


def cuda_options(*, memory: int | None, precision: Precision) -> dict[str, str]:
    """Of the CUDA provider; `memory` are the bytes of the device that its arena may take."""
    options = {
        "device_id": "0",
        # The default tries every algorithm for every new batch size: 0.3 to 1.3 seconds each (PaddleX#5057).
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
        # On a stream of their own, copies may overtake what they wait for (onnxruntime#4829).
        "do_copy_in_default_stream": "1",
        "use_tf32": "1" if precision == "tf32" else "0",
    }
    return options | ({} if memory is None else {"gpu_mem_limit": str(memory)})


def tensorrt_options(
    contract: Contract, *, max_batch: int, cache: Path | None, memory: int | None, precision: Precision
) -> dict[str, str]:
    """Of the TensorRT provider: one engine for all batches up to `max_batch`; `cache` is this engine's own folder.

    Without profiles an engine is built anew, for a minute or more, whenever a batch is larger than all before it.
    """
    options = {
        "device_id": "0",
        "trt_fp16_enable": str(precision == "float16"),
        "trt_profile_min_shapes": profile(contract, 1),
        "trt_profile_opt_shapes": profile(contract, max_batch),
        "trt_profile_max_shapes": profile(contract, max_batch),
    }
    if memory is not None:
        options["trt_max_workspace_size"] = str(memory)
    if cache is not None:
        options |= {
            "trt_engine_cache_enable": "True",
            "trt_engine_cache_path": str(cache),
            "trt_timing_cache_enable": "True",
            "trt_timing_cache_path": str(cache),
        }
    return options


def profile(contract: Contract, batch: int) -> str:
    """The shapes of a batch's inputs, as TensorRT's options take them: image:8x256x256x3,strength:8."""
    template = contract.template
    shapes: dict[str, tuple[int, ...]] = {control.name: control.shape for control in contract.controls}
    if template is not None:
        shapes = {"image": (template.height, template.width, 3), **shapes}
    return ",".join(f"{name}:{'x'.join(map(str, (batch, *shape)))}" for name, shape in shapes.items())


def engine_key(
    *, digest: str, runtime: str, tensorrt: str, driver: str, capability: str, max_batch: int, precision: Precision
) -> str:
    """The name of the folder that holds an engine: it serves this file, these versions, this kind of device only."""
    told = {
        "digest": digest,
        "runtime": runtime,
        "tensorrt": tensorrt,
        "driver": driver,
        "capability": capability,
        "max_batch": max_batch,
        "precision": precision,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def chain(
    provider: Provider, contract: Contract, digest: str, *, max_batch: int, memory: int | None, engines: Path | None
) -> list[tuple[str, dict[str, str]]]:
    """The providers of a session with their options: what one of them cannot run, the next one does."""
    chained: list[tuple[str, dict[str, str]]] = [(NAMES["cpu"], {})]
    if provider.device != "cpu":
        precision: Precision = "tf32" if provider.precision != "float32" else "float32"
        chained.insert(0, (NAMES["cuda"], cuda_options(memory=memory, precision=precision)))
    if provider.device == "tensorrt":
        cache = None if engines is None else engines / _key(provider, digest, max_batch)
        options = tensorrt_options(
            contract, max_batch=max_batch, cache=cache, memory=memory, precision=provider.precision
        )
        chained.insert(0, (provider.name, options))
    return chained


def _key(provider: Provider, digest: str, max_batch: int) -> str:
    device = next(iter(gpus()), Gpu("", "unknown", "unknown", 0))
    return engine_key(
        digest=digest,
        runtime=onnxruntime.__version__,
        tensorrt=tensorrt_version() or "unknown",
        driver=device.driver,
        capability=device.capability,
        max_batch=max_batch,
        precision=provider.precision,
    )


# What is there


@cache
def gpus() -> list[Gpu]:
    """The devices of this machine; none without NVIDIA's driver."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,compute_cap,memory.total", "--format=csv,noheader"]
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(query, check=True, capture_output=True, text=True, timeout=30)
        return read_gpus(done.stdout)
    return []


def tensorrt_version() -> str | None:
    """Of the library that is installed; None if there is none."""
    with suppress(OSError):
        return str(ctypes.CDLL(TENSORRT).getInferLibVersion())
    return None


def require_libraries(device: Device) -> None:
    """Raises ProviderUnavailable, naming the library, if the linker does not find all that the provider needs.

    ONNX Runtime itself only logs this, and runs on the CPU instead.
    """
    if device not in LIBRARIES:
        return
    folder = Path(onnxruntime.__file__).parent / "capi"
    with redirect_stdout(StringIO()):  # it prints what it does not find, and so do we
        onnxruntime.preload_dlls()  # CUDA and cuDNN may lie in Python packages
    try:
        ctypes.CDLL(str(folder / "libonnxruntime_providers_shared.so"), ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(folder / LIBRARIES[device]))
    except OSError as error:
        raise ProviderUnavailable(f"{NAMES[device]}: {owner(str(error))}") from None
