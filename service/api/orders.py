"""What batches and jobs share: a body of many photos, the chain of each, and what is told where there is no drawing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from service import errors, schemas
from service.api import exchange
from service.api.translation import Drawn, commissioner, draw
from service.cancellation import Cancellation
from service.engine import Chain
from service.errors import LikenessError
from service.imaging import Format
from service.pipeline import Commission, Pipeline, Watch
from service.settings import Settings
from service.telemetry import Stopwatch, Telemetry, route_of
from service.uploads import Batch, Picture, read_batch

ERRORS = (*exchange.BODY_ERRORS, errors.TooManyFaces, errors.TooManyItems)


@dataclass(frozen=True)
class Order:
    """What is wanted of each of many photos."""

    commission: Callable[[Picture], Commission]
    deadline: float
    request_id: str
    pipeline: Pipeline
    stopwatch: Stopwatch
    telemetry: Telemetry

    def chain(self, photo: Picture | LikenessError, cancellation: Cancellation) -> Chain[Drawn]:
        """What draws the photo; raises what is wrong with one that could not be read."""
        if isinstance(photo, LikenessError):
            raise photo
        return draw(self.pipeline, self.commission(photo), Watch(self.stopwatch.apart(), cancellation))

    def problem(self, error: Exception) -> dict[str, Any]:
        """What a request for the one photo would be answered, counted as such an answer."""
        problem = errors.problem_of(error)
        self.telemetry.refused(problem, error)
        return errors.body(problem, error, self.request_id)


@asynccontextmanager
async def ordered(request: Request, seconds: float) -> AsyncIterator[tuple[Order, Batch]]:
    """What is wanted of which photos, within `seconds`; the body's bytes count as long as the block lasts.

    Raises those of ERRORS that are not of one photo.
    """
    settings, parts = exchange.settings(request), exchange.parts(request)
    with parts.bulk.admission, parts.bulk.memory.held(_body_bytes(request, settings)):
        batch = await read_batch(
            request,
            max_items=settings.max_batch_items,
            max_picture_bytes=settings.max_body_bytes,
            max_bytes=settings.max_batch_bytes,
            seconds=settings.body_timeout,
        )
        telemetry = exchange.telemetry(request)
        size = sum(len(photo.content) for photo in batch.pictures if isinstance(photo, Picture))
        telemetry.body_bytes.labels(route_of(request.scope)).observe(size)
        options = schemas.TranslateOptions.parse(dict(batch.options))
        watch = exchange.watch(request, seconds=seconds)
        served = await exchange.model(request, watch, options.model or settings.default_model, "translator")
        order = Order(
            commission=commissioner(served, options, options.format or Format.JPEG),
            deadline=watch.cancellation.deadline,
            request_id=request.state.request_id,
            pipeline=parts.pipeline,
            stopwatch=watch.stopwatch,
            telemetry=telemetry,
        )
        yield order, batch


def _body_bytes(request: Request, settings: Settings) -> int:
    """How large the body can be, as far as its head says."""
    declared = request.headers.get("content-length", "")
    return min(int(declared), settings.max_batch_bytes) if declared.isdigit() else settings.max_batch_bytes
