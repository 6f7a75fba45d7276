"""service.providers: what runs the models, chosen by what is there, with the options that this needs."""

from itertools import combinations
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from export.repository import Repository
from service import providers
from service.models import GPU_BUCKETS, Row, agree, load
from service.providers import (
    CPU,
    NAMES,
    Gpu,
    Provider,
    ProviderUnavailable,
    candidates,
    chain,
    cuda_options,
    engine_key,
    owner,
    profile,
    read_gpus,
    require_libraries,
    tensorrt_options,
)
from service.settings import Settings
from tests.conftest import ENCODER, TRANSLATOR

BUNDLED = Repository(Path(__file__).parents[2] / "models")
EVERYTHING = tuple(NAMES.values())
ENGINE = {
    "digest": "ab",
    "runtime": "1.31.1",
    "tensorrt": "101300",
    "driver": "580.1",
    "capability": "9.0",
    "max_batch": 8,
    "precision": "float16",
}


def test_the_best_that_is_there_comes_first_and_the_cpu_last() -> None:
    """TensorRT before CUDA before the CPU; each with fewer bits first where that is allowed."""
    assert candidates("auto", EVERYTHING, reduced=False) == [Provider("tensorrt"), Provider("cuda"), CPU]
    assert candidates("auto", EVERYTHING, reduced=True) == [
        Provider("tensorrt", "float16"),
        Provider("tensorrt"),
        Provider("cuda", "tf32"),
        Provider("cuda"),
        CPU,
    ]
    assert candidates("auto", [NAMES["cpu"], "AzureExecutionProvider"], reduced=True) == [CPU]


def test_a_demand_is_met_or_an_error() -> None:
    """Who demands a provider never gets another one; the message says what to install."""
    for device, name in NAMES.items():
        assert {each.device for each in candidates(device, EVERYTHING, reduced=True)} == {device}
        with pytest.raises(ProviderUnavailable, match=f"{name}.*onnxruntime-gpu"):
            candidates(device, set(EVERYTHING) - {name}, reduced=False)


def test_the_table_of_devices_is_read() -> None:
    """Name, driver, capability and bytes of each device; lines that say something else are no devices."""
    table = "NVIDIA H200, 570.86.15, 9.0, 143771 MiB\nNVIDIA A10G, 570.86.15, 8.6, 23028 MiB\n"
    assert read_gpus(table) == [
        Gpu("NVIDIA H200", "570.86.15", "9.0", 143771 * 2**20),
        Gpu("NVIDIA A10G", "570.86.15", "8.6", 23028 * 2**20),
    ]
    assert read_gpus("No devices were found\n") == [] == read_gpus("")


@pytest.mark.parametrize(
    "library, package",
    [
        ("libcuda.so.1", "the NVIDIA driver"),
        ("libcublasLt.so.13", "CUDA"),
        ("libcudart.so.13", "CUDA"),
        ("libcudnn.so.9", "cuDNN"),
        ("libnvinfer.so.10", "TensorRT"),
    ],
)
def test_a_missing_library_is_named_with_what_brings_it(library: str, package: str) -> None:
    """The linker's message becomes one that an operator can act on."""
    told = owner(f"{library}: cannot open shared object file: No such file or directory")
    assert library in told and f"install {package}" in told


def test_profiles_describe_what_the_contract_promises() -> None:
    """Every input with the batch in front, numbers as vectors of the batch's length."""
    assert profile(TRANSLATOR, 8) == "image:8x256x256x3,strength:8,style:8x2,warmth:8"
    assert profile(ENCODER, 1) == "image:1x112x96x3"


def test_tensorrt_is_told_all_sizes_beforehand(tmp_path: Path) -> None:
    """One engine takes every batch from one row to the largest; caches are on where there is a folder for them."""
    options = tensorrt_options(TRANSLATOR, max_batch=16, cache=tmp_path, memory=10**9, precision="float16")
    assert options["trt_profile_min_shapes"] == profile(TRANSLATOR, 1)
    assert options["trt_profile_max_shapes"] == profile(TRANSLATOR, 16)
    assert options["trt_fp16_enable"] == "True" and options["trt_max_workspace_size"] == "1000000000"
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(tmp_path)
    plain = tensorrt_options(TRANSLATOR, max_batch=16, cache=None, memory=None, precision="float32")
    assert plain["trt_fp16_enable"] == "False" and not any("cache" in name for name in plain)


def test_cuda_computes_in_all_bits_unless_told_otherwise() -> None:
    """TF32, which ONNX Runtime has on by default, is off; no search for algorithms delays a new batch size."""
    options = cuda_options(memory=2**30, precision="float32")
    assert options["use_tf32"] == "0" and options["gpu_mem_limit"] == str(2**30)
    assert options["cudnn_conv_algo_search"] == "HEURISTIC"
    assert cuda_options(memory=None, precision="tf32")["use_tf32"] == "1"
    assert "gpu_mem_limit" not in cuda_options(memory=None, precision="tf32")


def test_an_engine_is_for_one_file_one_software_and_one_kind_of_device() -> None:
    """Whatever an engine depends on changes its key, and nothing else does."""
    others = {
        "digest": "cd",
        "runtime": "1.32.0",
        "tensorrt": "101400",
        "driver": "590.2",
        "capability": "8.6",
        "max_batch": 16,
        "precision": "float32",
    }
    keys = [engine_key(**ENGINE), *(engine_key(**{**ENGINE, name: value}) for name, value in others.items())]
    assert all(left != right for left, right in combinations(keys, 2))
    assert engine_key(**ENGINE) == keys[0] and len(keys[0]) == 64 and others.keys() == ENGINE.keys()


def test_what_one_provider_cannot_run_the_next_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorRT is followed by CUDA and the CPU, CUDA by the CPU; an engine lies in a folder of its own."""
    monkeypatch.setattr(providers, "gpus", lambda: [Gpu("a device", "580.1", "9.0", 2**34)])
    monkeypatch.setattr(providers, "tensorrt_version", lambda: "101300")
    options = {"max_batch": 8, "memory": None, "engines": tmp_path}
    chained = {device: chain(Provider(device), TRANSLATOR, "ab", **options) for device in NAMES}
    assert [name for name, _ in chained["tensorrt"]] == [NAMES["tensorrt"], NAMES["cuda"], NAMES["cpu"]]
    assert [name for name, _ in chained["cuda"]] == [NAMES["cuda"], NAMES["cpu"]]
    assert chained["cpu"] == [(NAMES["cpu"], {})]
    half = chain(Provider("tensorrt", "float16"), TRANSLATOR, "ab", **options)
    folders = {chained["tensorrt"][0][1]["trt_engine_cache_path"], half[0][1]["trt_engine_cache_path"]}
    assert len(folders) == 2 and all(Path(folder).parent == tmp_path for folder in folders)


@pytest.mark.skipif(NAMES["cuda"] in onnxruntime.get_available_providers(), reason="ONNX Runtime has CUDA here")
def test_libraries_that_are_not_there_are_noticed() -> None:
    """Without its library a provider is unavailable; the CPU needs none."""
    require_libraries("cpu")
    for device in ("cuda", "tensorrt"):
        with pytest.raises(ProviderUnavailable, match=NAMES[device]):
            require_libraries(device)


@pytest.mark.gpu
@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
@pytest.mark.parametrize("name", [name for name in BUNDLED.names() if name != "landmarks"])
def test_a_device_gives_what_the_cpu_gives(device: str, name: str, tmp_path: Path) -> None:
    """Every batch size of every bundled model, in float32 and with fewer bits, agrees with the CPU row by row."""
    if not providers.gpus():
        pytest.skip("nvidia-smi shows no device")
    try:
        candidates(device, onnxruntime.get_available_providers(), reduced=False)
        require_libraries(device)
    except ProviderUnavailable as error:
        pytest.skip(str(error))
    entry = BUNDLED.resolve(name)
    on_cpu = load(entry, Settings(provider="cpu"))
    for reduced in (False, True):
        model = load(entry, Settings(provider=device, reduced_precision=reduced, engines=tmp_path))
        assert model.device == device and set(model.costs.seconds) <= set(GPU_BUCKETS)
        template, random = model.contract.template, np.random.default_rng(1)
        assert template is not None
        faces = random.integers(0, 256, (max(model.costs.seconds), template.height, template.width, 3), dtype=np.uint8)
        rows = [Row(face, {}) for face in faces]
        wanted = [on_cpu.run([row])[0] for row in rows]
        for count in range(1, len(rows) + 1):  # sizes between the buckets are filled up
            assert agree(model.contract, wanted[:count], model.run(rows[:count])), (count, model.precision)
