"""POST /generate."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from export.contract import CROSSOVER, LATENT, MIXED, Contract, Value
from service import access, errors, openapi, schemas
from service.access import Scope
from service.api import exchange
from service.api.exchange import JSON, NO_STORE
from service.api.translation import answer_type
from service.errors import BadParameter, TooManyItems
from service.pipeline import Look, control_values
from service.uploads import read_options

KIND = "generate"
ERRORS = (*exchange.REQUEST_ERRORS, errors.NotAcceptable, errors.TooManyItems)
EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "one face": {"seed": 7},
    "the average face": {"truncation": 0},
    "eight faces, all near the average": {"seed": 100, "count": 8, "truncation": 0.5, "format": "png"},
    "the shape of one face and the colours of another": {"seed": 7, "mixing_seed": 9, "crossover": 4},
}

router = APIRouter(route_class=exchange.PlainRoute)


@router.post(
    "/generate",
    response_model=schemas.Generation,
    responses={
        200: {"content": openapi.pictures(), "description": "The picture; metadata in X-Likeness-* headers, or JSON"},
        **openapi.problems(ERRORS),
    },
    openapi_extra=openapi.operation([], schemas.GenerateOptions, bare=False, examples=EXAMPLES),
)
async def generate(request: Request) -> Response:
    """Make faces of nobody, each of a seed: the same seed and options give the same face, alone or among others.

    Options stand in the query, in a JSON body, or in both. Beside the options below, every control of the chosen model
    (GET /models) is one, e.g. `truncation` and `crossover`; `z` and `z2` themselves win over the seeds that they are
    drawn from. Accept chooses picture or JSON; `*/*` is image/jpeg.
    """
    with exchange.admitted(request, Scope.TRANSLATE, KIND):
        settings, parts = exchange.settings(request), exchange.parts(request)
        given = await read_options(request, max_bytes=settings.max_body_bytes, seconds=settings.body_timeout)
        options = schemas.GenerateOptions.parse(given)
        if options.count > settings.max_batch_items:
            raise TooManyItems(f"count: the limit is {settings.max_batch_items} pictures", fields=["count"])
        media_type, format = answer_type(request.headers.get("accept"), options.format, single=options.count == 1)
        watch = exchange.watch(request)
        served = await exchange.model(request, watch, options.model or settings.generator, "generator")
        faces = _faces(served.model.contract, options)
        access.charge(request, options.count - 1)
        chain = parts.pipeline.generate(faces, served, Look(False, format, options.quality), watch)
        files = await exchange.run(request, chain, KIND, watch)
        if media_type != JSON:
            headers = {**NO_STORE, "X-Likeness-Model": served.label, "X-Likeness-Seed": str(options.seed)}
            return Response(files[0], media_type=media_type, headers=headers)
        answer = schemas.Generation(
            id=request.state.request_id,
            model=served.label,
            notice=served.model.contract.notice,
            media_type=format.media_type,
            faces=[
                schemas.GeneratedFace(seed=seed, image=b64encode(file).decode())
                for seed, file in zip(options.seeds, files, strict=True)
            ],
            timings=watch.stopwatch.milliseconds,
        )
        return JSONResponse(answer.model_dump(mode="json"), headers=NO_STORE)


def _faces(contract: Contract, options: schemas.GenerateOptions) -> list[Mapping[str, Value]]:
    """The control values of every face; BadParameter if the model does not take them."""
    controls = dict(options.controls)
    if (options.mixing_seed is not None or MIXED in controls) != (CROSSOVER in controls):
        raise BadParameter("mixing_seed and crossover come together", fields=["mixing_seed", "crossover"])
    if options.mixing_seed is not None:
        controls.setdefault(MIXED, contract.draw_latent(options.mixing_seed))
    return [control_values(contract, {LATENT: contract.draw_latent(seed), **controls}, seed) for seed in options.seeds]
