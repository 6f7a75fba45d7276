"""POST /translate/batch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from service import access, openapi, schemas
from service.access import Scope
from service.api import exchange, orders
from service.api.orders import Order
from service.api.translation import KIND, Drawn
from service.errors import LikenessError
from service.uploads import Picture

router = APIRouter(route_class=exchange.PlainRoute)


@router.post(
    "/translate/batch",
    response_model=schemas.BatchTranslation,
    responses=openapi.problems(orders.ERRORS),
    openapi_extra=openapi.operation(["image"], schemas.TranslateOptions, bare=False, several=True),
)
async def translate_batch(request: Request) -> JSONResponse:
    """Draw the caricatures of several photos.

    The photos are parts `image` of a form, or a list `images` of base64 in JSON; the options of /translate are those of
    all. Each item of the answer is what /translate would answer as JSON, or the problem of this one photo: its status
    and code stand in it, and the others are drawn all the same. Pictures are JPEG where `format` says nothing else.
    """
    seconds = exchange.settings(request).batch_deadline
    with exchange.admitted(request, Scope.TRANSLATE, KIND, seconds=seconds, bulk=True):
        async with orders.ordered(request, seconds) as (order, batch):
            access.charge(request, len(batch.pictures) - 1)
            items = await _items(request, order, batch.pictures)
            return JSONResponse({"id": order.request_id, "items": items}, headers=exchange.NO_STORE)


async def _items(request: Request, order: Order, photos: Sequence[Picture | LikenessError]) -> list[dict[str, Any]]:
    """A schemas.Translation or schemas.ProblemDetails for each photo."""
    bulk = exchange.parts(request).bulk
    items: list[dict[str, Any]] = [{} for _ in photos]
    with ExitStack() as held:

        def end(number: int, outcome: Drawn | Exception) -> None:
            try:
                if isinstance(outcome, Exception):
                    raise outcome
                held.enter_context(bulk.memory.held(outcome.size))
                items[number] = outcome.translation(order.request_id).model_dump(mode="json")
            except Exception as error:
                items[number] = order.problem(error)

        work = bulk.run(
            len(photos),
            lambda number, cancellation: order.chain(photos[number], cancellation),
            end,
            kind=KIND,
            key=request.state.client.id,
            deadline=order.deadline,
        )
        await exchange.attended(request, work)
        return items
