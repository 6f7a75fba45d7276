"""/v2: the Open Inference Protocol, and its model repository extension.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_repository.md
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from service import __version__, access, errors, openapi, schemas
from service.api import exchange, inference, models, translation
from service.api.exchange import JSON
from service.api.inference import BINARY, SCOPES, Column, scores, signature
from service.cancellation import Cancellation
from service.engine import Served
from service.errors import MalformedBody, ModelNotFound, ModelUnsound
from service.pipeline import Watch
from service.registry import Standing, State

EXTENSIONS = ("binary_tensor_data", "model_repository")
PLATFORM = "onnx_onnxv1"

ERRORS = (
    *access.ERRORS,
    errors.ModelNotFound,
    errors.ModelsLoading,
    errors.ModelUnsound,
    errors.DeadlineExceeded,
    errors.ModelTooLarge,
)
OPTION_ERRORS = (errors.MalformedBody, errors.BodyTimeout, errors.BodyTooLarge, errors.UnsupportedBody)

router = APIRouter(prefix="/v2")


class Live(BaseModel):
    """Answer of GET /v2/health/live."""

    live: Literal[True] = True


class Ready(BaseModel):
    """Answer of GET /v2/health/ready."""

    ready: Literal[True] = True


class ServerMetadata(BaseModel):
    """Answer of GET /v2."""

    name: str
    version: str
    extensions: list[str]


class ModelMetadata(BaseModel):
    """Answer of GET /v2/models/{name}."""

    name: str
    versions: list[str] = Field(description="the one that is served")
    platform: str
    inputs: list[Column] = Field(description="those of type FP32 may be left out")
    outputs: list[Column]


class ModelReady(BaseModel):
    """Answer of GET /v2/models/{name}/ready."""

    name: str
    ready: Literal[True] = True


class IndexEntry(BaseModel):
    """A version of a model in the repository."""

    name: str
    version: str
    state: Literal["READY", "UNAVAILABLE"]
    reason: str


# The server


@router.get("")
async def server() -> ServerMetadata:
    """Name, version, and the extensions of the protocol that are spoken."""
    return ServerMetadata(name="likeness", version=__version__, extensions=list(EXTENSIONS))


@router.get("/health/live")
async def live() -> Live:
    """The process runs."""
    return Live()


@router.get("/health/ready", responses=openapi.problems([errors.ModelsLoading]))
async def ready(request: Request) -> Ready:
    """Every model that is loaded at start has run its warm-up."""
    exchange.parts(request)
    return Ready()


# A model


@router.get("/models/{name}", responses=openapi.problems(ERRORS))
async def metadata(request: Request, name: str) -> ModelMetadata:
    """Inputs and outputs of a model, which is loaded first if need be."""
    return await _metadata(request, name, None)


@router.get("/models/{name}/versions/{version}", responses=openapi.problems(ERRORS))
async def metadata_of_version(request: Request, name: str, version: str) -> ModelMetadata:
    """The same, if this is the version that is served."""
    return await _metadata(request, name, version)


@router.get("/models/{name}/ready", responses=openapi.problems(ERRORS))
async def model_ready(request: Request, name: str) -> ModelReady:
    """The model is in memory, or would be loaded for a request."""
    return await _model_ready(request, name, None)


@router.get("/models/{name}/versions/{version}/ready", responses=openapi.problems(ERRORS))
async def version_ready(request: Request, name: str, version: str) -> ModelReady:
    """The same, if this is the version that is served, or where none is, one of the repository."""
    return await _model_ready(request, name, version)


async def _metadata(request: Request, name: str, version: str | None) -> ModelMetadata:
    access.identified(request)  # whom nobody knows has no model loaded
    deadline = time.monotonic() + exchange.settings(request).deadline
    served = await _served(request, Watch(request.state.stopwatch, Cancellation(deadline)), name, version)
    inputs, outputs = signature(served.model.contract, scores(request))
    versions = [str(served.model.version)]
    return ModelMetadata(name=name, versions=versions, platform=PLATFORM, inputs=inputs, outputs=outputs)


async def _model_ready(request: Request, name: str, version: str | None) -> ModelReady:
    standing = await asyncio.to_thread(exchange.parts(request).registry.standing, name)
    versions = [standing.served.model.version] if standing.served else standing.versions
    if standing.state is State.UNLOADED or (version is not None and version not in map(str, versions)):
        raise ModelNotFound(f"there is no model {name!r}" + (f" of version {version}" if version else ""))
    if standing.state is State.FAILED:
        raise ModelUnsound(standing.reason)
    if standing.served is not None and (refusal := _refusal(standing.served)):
        raise ModelNotFound(f"{name}: {refusal}")
    return ModelReady(name=name)


async def _served(request: Request, watch: Watch, name: str, version: str | None) -> Served:
    served = await exchange.model(request, watch, name, *SCOPES)
    if version not in (None, str(served.model.version)):
        raise ModelNotFound(f"version {version} of {name} is not served; {served.model.version} is")
    return served


# Inference

_TENSORS = {"type": "array", "items": {"type": "object", "required": ["name"]}}
_REQUEST = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "inputs": _TENSORS,
        "outputs": _TENSORS,
    },
    "required": ["inputs"],
}
_INFER: dict[str, Any] = {
    "response_class": Response,
    "responses": {
        200: {"content": {JSON: {"schema": {"type": "object"}}, BINARY: {}}, "description": "The outputs"},
        **openapi.problems(inference.ERRORS),
    },
    "openapi_extra": {"requestBody": {"required": True, "content": {JSON: {"schema": _REQUEST}, BINARY: {}}}},
}


@router.post("/models/{name}/infer", **_INFER)
async def infer(request: Request, name: str) -> Response:
    """Draw every picture of `image`, or compare each of `image1` with its own of `image2`.

    Parameters are the options of /translate or /verify. A picture is a photo whose largest face is taken, unless
    `faces` says otherwise; drawings are PNG unless `format` does. One picture that cannot be used fails them all, and
    the problem says which.
    """
    return await _infer(request, name, None)


@router.post("/models/{name}/versions/{version}/infer", **_INFER)
async def infer_by_version(request: Request, name: str, version: str) -> Response:
    """The same, if this is the version that is served."""
    return await _infer(request, name, version)


async def _infer(request: Request, name: str, version: str | None) -> Response:
    with exchange.admitted(request, None, translation.KIND):  # which scope it takes depends on the model
        served = await _served(request, exchange.watch(request), name, version)
        return await inference.infer(request, served)


# The repository


@router.post("/repository/index", responses=openapi.problems([*access.ERRORS, errors.ModelsLoading, *OPTION_ERRORS]))
async def index(request: Request) -> list[IndexEntry]:
    """Every version of every model; with `ready` only those that are served, and that `infer` takes."""
    access.identified(request)
    only_ready = (await models.json_options(request)).get("ready") is True
    standings = await asyncio.to_thread(exchange.parts(request).registry.standings)
    entries = [_entry(standing, version) for standing in standings for version in standing.versions]
    return [entry for entry in entries if entry.state == "READY" or not only_ready]


@router.post("/repository/models/{name}/load", responses=openapi.problems(models.LOAD_ERRORS))
async def load(request: Request, name: str) -> IndexEntry:
    """As POST /models/{name}:load; `version` is a parameter."""
    with models.controlled(request):
        parameters = (await models.json_options(request)).get("parameters", {})
        if not isinstance(parameters, dict):
            raise MalformedBody("parameters are no JSON object", fields=["parameters"])
        version = schemas.LoadOptions.parse(parameters).version
        served = await asyncio.wrap_future(exchange.parts(request).registry.load(name, version))
        return _served_entry(served)


@router.post("/repository/models/{name}/unload", responses=openapi.problems([*models.CONTROL_ERRORS, errors.ModelKept]))
async def unload(request: Request, name: str) -> dict[str, Any]:
    """As POST /models/{name}:unload. No model depends on another, so that `unload_dependents` says nothing."""
    with models.controlled(request):
        await asyncio.wrap_future(exchange.parts(request).registry.unload(name))
        return {}


def _refusal(served: Served) -> str:
    """Why `infer` does not take a model that is served, or nothing."""
    role = served.model.contract.role
    return "" if role in SCOPES else f"infer takes a {' or '.join(SCOPES)}, no {role}"


def _served_entry(served: Served) -> IndexEntry:
    reason = _refusal(served)
    state: Literal["READY", "UNAVAILABLE"] = "UNAVAILABLE" if reason else "READY"
    return IndexEntry(name=served.model.name, version=str(served.model.version), state=state, reason=reason)


def _entry(standing: Standing, version: int) -> IndexEntry:
    served = standing.served
    if served is not None and served.model.version == version:
        return _served_entry(served)
    reason = standing.reason or (standing.state.value if served is None else "another version is served")
    return IndexEntry(name=standing.name, version=str(version), state="UNAVAILABLE", reason=reason)
