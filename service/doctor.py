"""What an operator wants to know before anybody asks for a drawing: is everything here, is it sound, how fast is it.

Nothing is listened on and no photo is needed: models run on crops of noise, and generators on seeds.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import Any, Literal

import numpy as np
import onnxruntime

from export.alignment import Image
from export.contract import LATENT, Contract
from export.repository import GRAPH, Entry, Repository
from service import __version__
from service.errors import NoFaceFound
from service.faces import FaceFinder
from service.imaging import Format, encode
from service.machine import cores
from service.marking import Source
from service.models import OnnxModel, Row, load
from service.photo import Photo
from service.providers import (
    NAMES,
    Device,
    ProviderUnavailable,
    candidates,
    gpus,
    require_libraries,
    tensorrt_version,
)
from service.settings import Settings

PACKAGES = ("numpy", "opencv-python-headless", "dlib-bin", "pillow", "fastapi", "uvicorn")
CORES_OF_A_WORKER = 8  # a rule of thumb: what Python itself does for each request is done by one core of a worker

Status = Literal["pass", "fail", "note"]


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    status: Status
    subject: str
    detail: str
    data: dict[str, Any] = field(default_factory=dict)


def examine(settings: Settings) -> Iterator[Finding]:
    """The findings, each as soon as it is there; the installation is sound if none of them is a failure."""
    yield _versions()
    yield _machine()
    yield from _providers(settings)
    yield _guarded("photos", partial(_photos, settings))
    loaded: dict[str, OnnxModel] = {}
    names = Repository(settings.models).names()
    if not names:
        yield Finding("fail", "models", f"{settings.models} is no model repository: set LIKENESS_MODELS")
    for name in names:
        yield _guarded(f"model {name}", partial(_model, name, settings, loaded))
    yield _roles(settings, loaded)
    yield _exemplars(settings, loaded)
    yield _advice(settings, loaded)


def sound(findings: Sequence[Finding]) -> bool:
    """Whether nothing failed."""
    return all(finding.status != "fail" for finding in findings)


def report(findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings as JSON."""
    return {"sound": sound(findings), "findings": [asdict(finding) for finding in findings]}


def _guarded(subject: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:
        return Finding("fail", subject, f"{type(error).__name__}: {error}")


def _versions() -> Finding:
    found = {"likeness": __version__, "python": platform.python_version(), "onnxruntime": onnxruntime.__version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # another build of the same, such as opencv-python
            found[package] = "of another package"
    return Finding("pass", "versions", ", ".join(f"{name} {number}" for name, number in found.items()), found)


def _machine() -> Finding:
    found = {"system": platform.platform(), "cores": cores()}
    return Finding("pass", "machine", f"{found['cores']} cores to use, {found['system']}", found)


def _providers(settings: Settings) -> Iterator[Finding]:
    available = onnxruntime.get_available_providers()
    for device in NAMES:
        yield _provider(device, available, demanded=settings.provider == device)
    for gpu in gpus():
        detail = f"{gpu.name}, {gpu.memory / 1e9:.0f} GB, capability {gpu.capability}, driver {gpu.driver}"
        yield Finding("pass", "device", detail, asdict(gpu))


def _provider(device: Device, available: Sequence[str], *, demanded: bool) -> Finding:
    try:
        candidates(device, available, reduced=False)
        require_libraries(device)
        if device != "cpu" and not gpus():
            raise ProviderUnavailable("nvidia-smi shows no device")
    except ProviderUnavailable as error:
        return Finding("fail" if demanded else "note", f"provider {device}", str(error))
    detail = f"TensorRT {tensorrt_version()}" if device == "tensorrt" else "its libraries are there"
    return Finding("pass", f"provider {device}", detail)


def _photos(settings: Settings) -> Finding:
    """Every format is written and read back, and a picture is searched for a face that is not there."""
    entry = Repository(settings.models).resolve(settings.landmarks)
    finder, noise = FaceFinder(entry.path("model.dat")), _noise((240, 320, 3))
    photos = [Photo(encode(noise, format, 90, Source.DRAWN), None, settings.max_pixels) for format in Format]
    if any(photo.full().shape != noise.shape for photo in photos):
        return Finding("fail", "photos", "a picture comes back in another size")
    started = perf_counter()
    try:
        finder.largest(photos[0])
    except NoFaceFound:
        seconds = perf_counter() - started
    else:
        return Finding("fail", "photos", "a face was found in noise")
    detail = (
        f"{', '.join(Format)} are written and read, {_label(entry)} is loaded; "
        f"a fruitless search of 320 x 240 pixels takes {1000 * seconds:.0f} ms"
    )
    return Finding("pass", "photos", detail, {"digests": dict(entry.files), "search_seconds": seconds})


def _model(name: str, settings: Settings, loaded: dict[str, OnnxModel]) -> Finding:
    entry = Repository(settings.models).resolve(name)
    if GRAPH not in entry.files:
        return Finding("note", f"model {_label(entry)}", "digests are right; it is no ONNX graph")
    started = perf_counter()
    model = loaded[name] = load(entry, settings)
    seconds = perf_counter() - started
    if trouble := _trouble(model):
        return Finding("fail", f"model {_label(entry)}", trouble)
    detail = (
        f"{model.contract.role} on {model.device} in {model.precision}: {_costs(model)}; "
        f"loaded in {seconds:.1f} s, {model.memory / 1e6:.0f} MB"
    )
    data = {
        "role": model.contract.role,
        "controls": [control.name for control in model.contract.controls],
        "notice": model.contract.notice,
        "digest": model.digest,
        "device": model.device,
        "provider": model.provider,
        "precision": model.precision,
        "seconds": {str(rows): seconds for rows, seconds in model.costs.seconds.items()},
        "lone": model.costs.lone,
        "memory": model.memory,
        "load_seconds": seconds,
    }
    return Finding("pass", f"model {_label(entry)}", detail, data)


def _trouble(model: OnnxModel) -> str:
    """What is wrong with the outputs of a model for two crops of noise (seeds, of a generator), or nothing."""
    rows = [_row(model.contract, seed) for seed in (1, 2)]
    first, again, other = (model.run([row])[0].astype(np.float64) for row in (rows[0], rows[0], rows[1]))
    if not np.isfinite(first).all():
        return "the outputs are not finite"
    if not np.array_equal(first, again):
        return "the same input gives other bytes the second time"
    if np.array_equal(first, other):
        return "another input gives the same output"
    if model.contract.output == "embedding" and abs(np.linalg.norm(first) - 1) > 1e-3:
        return "the embedding is not of unit length"
    return ""


def _row(contract: Contract, seed: int) -> Row:
    if contract.template is None:
        return Row(None, {LATENT: contract.draw_latent(seed)})
    return Row(_noise((contract.template.height, contract.template.width, 3), seed), {})


def _roles(settings: Settings, loaded: dict[str, OnnxModel]) -> Finding:
    missing = [
        f"no {role} {name!r}"
        for name, role in ((settings.default_model, "translator"), (settings.encoder, "encoder"))
        if name not in loaded or loaded[name].contract.role != role
    ]
    if missing:
        return Finding("fail", "defaults", ", ".join(missing))
    return Finding("pass", "defaults", f"{settings.default_model} draws, {settings.encoder} compares")


def _exemplars(settings: Settings, loaded: dict[str, OnnxModel]) -> Finding:
    reader, drawer = loaded.get(settings.style_reader), loaded.get(settings.default_model)
    if reader is None or reader.contract.role != "style":
        return Finding("note", "exemplars", f"no model {settings.style_reader!r} reads them")
    if drawer is None or not drawer.contract.takes_style_of(reader.contract):
        return Finding("note", "exemplars", f"{settings.default_model} takes no style that {reader.name} reads")
    return Finding("pass", "exemplars", f"{reader.name} reads them for {settings.default_model}")


def _advice(settings: Settings, loaded: dict[str, OnnxModel]) -> Finding:
    usable, on_gpu = cores(), any(model.device != "cpu" for model in loaded.values())
    workers = 1 if on_gpu else max(1, usable // CORES_OF_A_WORKER)
    found: dict[str, Any] = {"threads": max(1, usable // workers), "workers": workers}
    detail = f"likeness serve --workers {workers}, with {found['threads']} threads each (LIKENESS_THREADS unset)"
    drawer, judge = loaded.get(settings.default_model), loaded.get(settings.encoder)
    if drawer is not None and judge is not None and not on_gpu:
        found["drawings_per_second"] = usable / (drawer.costs.row + 2 * judge.costs.row)
        detail += f"; the networks alone allow {found['drawings_per_second']:.0f} drawings a second"
    return Finding("note", "advice", detail, found)


def _costs(model: OnnxModel) -> str:
    said = [f"{1000 * seconds:.1f} ms for {rows}" for rows, seconds in sorted(model.costs.seconds.items())]
    if model.costs.lone is not None:
        said.append(f"{1000 * model.costs.lone:.1f} ms for 1 on all cores")
    return ", ".join(said)


def _label(entry: Entry) -> str:
    digests = ", ".join(digest[:12] for digest in entry.files.values())
    return f"{entry.name}/{entry.version} ({digests})"


def _noise(shape: tuple[int, ...], seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
