"""GET /models, and for administrators POST /models/{name}:load and :unload."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import APIRouter, Request, Response

from service import access, errors, openapi, schemas
from service.access import Scope
from service.api import exchange
from service.engine import Served
from service.errors import ModelControlOff
from service.registry import Standing, State
from service.uploads import json_object, read_body

CONTROL_ERRORS = (*access.ERRORS, errors.ModelControlOff, errors.ModelNotFound, errors.ModelsLoading, errors.Draining)
LOAD_ERRORS = (
    *CONTROL_ERRORS,
    errors.BadParameter,
    errors.MalformedBody,
    errors.BodyTimeout,
    errors.BodyTooLarge,
    errors.UnsupportedBody,
    errors.ModelUnsound,
    errors.ModelTooLarge,
)
MAX_OPTIONS_BYTES = 10_000

router = APIRouter()


@router.get("/models", responses=openapi.problems([errors.ModelsLoading]))
async def models(request: Request) -> schemas.ModelList:
    """The served models: notice first, then what they take, give, cost and were made from; and those that could be."""
    standings = await asyncio.to_thread(exchange.parts(request).registry.standings)
    return schemas.ModelList(
        models=[_model_info(request, each, each.served) for each in standings if each.served is not None],
        absent=[_absent(each) for each in standings if each.served is None],
    )


@router.post(
    "/models/{name}:load",
    responses=openapi.problems(LOAD_ERRORS),
    openapi_extra={
        "parameters": [{"name": "version", "in": "query", "schema": {"type": "integer", "minimum": 1}}],
        "requestBody": {"content": {exchange.JSON: {"schema": schemas.LoadOptions.model_json_schema()}}},
    },
)
async def load(request: Request, name: str) -> schemas.ModelInfo:
    """Serve a version, verified and warm, in place of the one that is; requests under way end with theirs.

    Only where LIKENESS_ALLOW_MODEL_CONTROL is set, and for keys of the scope admin. If it fails nothing has changed.
    """
    with controlled(request):
        options = schemas.LoadOptions.parse({**request.query_params, **await json_options(request)})
        registry = exchange.parts(request).registry
        served = await asyncio.wrap_future(registry.load(name, options.version))
        return _model_info(request, await asyncio.to_thread(registry.standing, name), served)


@router.post(
    "/models/{name}:unload",
    status_code=204,
    response_class=Response,
    responses=openapi.problems([*CONTROL_ERRORS, errors.ModelKept]),
)
async def unload(request: Request, name: str) -> None:
    """Serve the model no more until it is loaded again; requests under way end with it.

    Only where LIKENESS_ALLOW_MODEL_CONTROL is set, and for keys of the scope admin. The default translator and the
    encoder are not unloaded.
    """
    with controlled(request):
        await asyncio.wrap_future(exchange.parts(request).registry.unload(name))


@contextmanager
def controlled(request: Request) -> Iterator[None]:
    """The request may load and unload models; raises ModelControlOff and the errors of access."""
    if not exchange.settings(request).allow_model_control:
        raise ModelControlOff("LIKENESS_ALLOW_MODEL_CONTROL is not set")
    with access.admitted(request, Scope.ADMIN):
        yield


async def json_options(request: Request) -> dict[str, Any]:
    """The options of a body that is a small JSON object or nothing; MalformedBody and what `read_body` raises."""
    seconds = exchange.settings(request).body_timeout
    content = await read_body(request, MAX_OPTIONS_BYTES, seconds)
    return json_object(content) if content.strip() else {}


def _model_info(request: Request, standing: Standing, served: Served) -> schemas.ModelInfo:
    settings, model = exchange.settings(request), served.model
    contract, costs = model.contract, model.costs
    return schemas.ModelInfo(
        notice=contract.notice,
        name=model.name,
        version=model.version,
        versions=list(standing.versions),
        state=State.READY,
        role=contract.role,
        default=model.name in (settings.default_model, settings.encoder, settings.style_reader, settings.generator),
        description=contract.description,
        licence=contract.licence,
        data=list(contract.data),
        controls=[
            schemas.ControlInfo(
                name=control.name,
                shape=list(control.shape),
                low=control.low,
                high=control.high,
                default=list(control.default) if isinstance(control.default, tuple) else control.default,
                meaning=control.meaning,
            )
            for control in contract.controls
        ],
        styles=list(contract.styles),
        thresholds=dict(contract.thresholds),
        input=None if contract.template is None else [contract.template.height, contract.template.width],
        device=model.device,
        provider=model.provider,
        costs=schemas.ModelCosts(memory=model.memory, seconds=dict(costs.seconds), lone=costs.lone),
        digest=model.digest,
        provenance=dict(contract.provenance),
    )


def _absent(standing: Standing) -> schemas.AbsentModel:
    return schemas.AbsentModel(
        name=standing.name, versions=list(standing.versions), state=standing.state, reason=standing.reason
    )
