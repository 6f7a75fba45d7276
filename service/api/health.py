"""What machines ask: alive, ready, metrics."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from service import access, errors, openapi
from service.api import exchange

router = APIRouter()


@router.get("/livez", response_class=PlainTextResponse)
async def livez() -> str:
    """The process runs."""
    return "ok"


@router.get(
    "/readyz", response_class=PlainTextResponse, responses=openapi.problems([errors.ModelsLoading, errors.Draining])
)
async def readyz(request: Request) -> str:
    """Every model has run its warm-up."""
    exchange.parts(request)
    return "ok"


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses=openapi.problems([errors.Unauthenticated, errors.Forbidden]),
)
async def metrics(request: Request) -> Response:
    """Prometheus metrics; with a key of the scope `metrics` where the operator asks for one."""
    if exchange.settings(request).protect_metrics:
        access.identified(request, access.Scope.METRICS)
    content, media_type = exchange.telemetry(request).exposition(request.headers.get("accept"))
    return Response(content, media_type=media_type)
