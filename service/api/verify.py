"""POST /verify."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from service import openapi, schemas
from service.access import Scope
from service.api import exchange

KIND = "verify"
NAMES = ("image1", "image2")

router = APIRouter(route_class=exchange.PlainRoute)


@router.post(
    "/verify",
    response_model=schemas.Verification,
    responses=openapi.problems(exchange.BODY_ERRORS),
    openapi_extra=openapi.operation(NAMES, schemas.VerifyOptions, bare=False),
)
async def verify(request: Request) -> JSONResponse:
    """Say whether two pictures, photos or drawings, show the same person (their largest faces are compared)."""
    with exchange.admitted(request, Scope.VERIFY, KIND):
        settings, parts = exchange.settings(request), exchange.parts(request)
        upload = await exchange.read(request, NAMES)
        options = schemas.VerifyOptions.parse(dict(upload.options))
        watch = exchange.watch(request)
        served = await exchange.model(request, watch, options.model or settings.encoder, "encoder")
        chain = parts.pipeline.verify({name: upload.pictures[name] for name in NAMES}, served, options.far, watch)
        verified = await exchange.run(request, chain, KIND, watch)
        answer = schemas.Verification(
            id=request.state.request_id,
            same_person=verified.similarity >= verified.threshold,
            similarity=verified.similarity,
            threshold=verified.threshold,
            far=options.far,
            faces=[schemas.FoundFace(**exchange.found(face)) for face in verified.faces],
            model=served.label,
            notice=served.model.contract.notice,
            timings=request.state.stopwatch.milliseconds,
        )
        return JSONResponse(answer.model_dump(mode="json"), headers=exchange.NO_STORE)
