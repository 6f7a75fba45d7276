"""POST /jobs, and what becomes of a job: its state, its drawings, its events, its end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import JSONResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from service import access, errors, openapi, schemas
from service.access import Scope
from service.api import exchange, orders
from service.api.exchange import NO_STORE
from service.api.orders import Order
from service.api.translation import KIND, Drawn, answer_type
from service.cancellation import Cancellation
from service.engine import Chain
from service.errors import BadParameter, ItemPending, JobNotFound, JobsOff, LikenessError
from service.jobs import Event, Item, Job, Jobs
from service.problems import MEDIA_TYPE
from service.uploads import Picture

ERRORS = (
    errors.Unauthenticated,
    errors.Forbidden,
    errors.JobsOff,
    errors.JobNotFound,
    errors.ModelsLoading,
)

_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")
_EVENT_ID = re.compile(r"[0-9]{1,9}")

PhotoJob = Job[Picture | LikenessError, Drawn]
PhotoJobs = Jobs[Picture | LikenessError, Drawn]

router = APIRouter()


async def _visible(request: Request, id: str) -> PhotoJob:
    """The client's job. Asking for it is free: it costs nothing of a quota and takes no place among the requests."""
    access.identified(request, Scope.TRANSLATE)
    return _store(request).get(request.state.client.id, id)


async def _last_event(last_event_id: Annotated[str | None, Header()] = None) -> int:
    """The number of the event that the client saw last."""
    if last_event_id is not None and not _EVENT_ID.fullmatch(last_event_id):
        raise BadParameter("Last-Event-ID takes the id of an event", fields=["Last-Event-ID"])
    return int(last_event_id or 0)


Visible = Annotated[PhotoJob, Depends(_visible)]


@router.post(
    "/jobs",
    status_code=202,
    response_model=schemas.JobStatus,
    responses={
        202: {"headers": {"Location": {"schema": {"type": "string"}, "description": "where the job is"}}},
        **openapi.problems((*orders.ERRORS, errors.JobsOff, errors.JobConflict)),
    },
    openapi_extra=openapi.operation(["image"], schemas.TranslateOptions, bare=False, several=True),
)
async def make(request: Request, idempotency_key: Annotated[str | None, Header()] = None) -> Response:
    """Have several photos drawn without waiting for it.

    Takes what /translate/batch takes. The job and its drawings are in this process' memory, for a client of the same
    key, until some time after its end, its DELETE, or the end of the process. The same Idempotency-Key with the same
    photos and options gives the same job as long as it is there.
    """
    seconds = exchange.settings(request).job_ttl
    with exchange.admitted(request, Scope.TRANSLATE, KIND, seconds=seconds, bulk=True):
        jobs, client = _store(request), request.state.client.id
        if idempotency_key is not None and not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
            raise BadParameter("Idempotency-Key takes 1 to 255 visible characters", fields=["Idempotency-Key"])
        async with orders.ordered(request, seconds) as (order, batch):
            job, digest = None, b""
            if idempotency_key is not None:
                digest = await asyncio.to_thread(jobs.digest, batch.contents)
                job = jobs.find(client, idempotency_key, digest)
            if job is None:
                photos = [(photo, _size(photo)) for photo in batch.pictures]
                job = jobs.add(client, photos, key=idempotency_key, digest=digest)
                access.charge(request, len(photos) - 1)
                _start(request, jobs, job, order)
        headers = {**NO_STORE, "Location": _path(request, job)}
        return JSONResponse(_status(request, job), 202, headers)


@router.get("/jobs/{id}", response_model=schemas.JobStatus, responses=openapi.problems(ERRORS))
async def status(request: Request, job: Visible) -> Response:
    """How far the job is, and where its drawings are."""
    return JSONResponse(_status(request, job), headers=NO_STORE)


@router.get(
    "/jobs/{id}/items/{number}",
    response_model=schemas.Translation,
    responses={
        200: {"content": openapi.pictures(), "description": "What /translate would answer"},
        **openapi.problems((*ERRORS, *orders.ERRORS, errors.ItemPending, errors.NotAcceptable)),
    },
)
async def item(request: Request, job: Visible, number: str) -> Response:
    """What /translate would have answered for the photo, counted from 0: picture or JSON by Accept, or its problem."""
    found = _numbered(job, number)
    if found.problem is not None:
        seconds = found.problem.get("retry_after")
        headers = {**NO_STORE, **({"Retry-After": str(seconds)} if seconds else {})}
        return JSONResponse(found.problem, found.problem["status"], headers, media_type=MEDIA_TYPE)
    if found.result is None:
        raise ItemPending("the photo is not drawn yet")
    drawn = found.result
    media_type, _ = answer_type(request.headers.get("accept"), drawn.format, single=len(drawn.pictures) == 1)
    return drawn.response(media_type, request.state.request_id)


@router.get(
    "/jobs/{id}/events",
    response_class=EventSourceResponse,
    responses=openapi.problems((*ERRORS, errors.BadParameter)),
)
async def events(
    request: Request, job: Visible, last: Annotated[int, Depends(_last_event)]
) -> AsyncIterator[ServerSentEvent]:
    """What happens to the job, as server-sent events, from its beginning or after Last-Event-ID.

    `started`, then an `item` for each that is done or has failed, then `done`, after which nothing comes: close it.
    """
    async for number, event in job.follow(last):
        told: schemas.JobItem | schemas.JobSummary
        told = _summary(job, event) if event.item is None else _item(request, job, event.item)
        yield ServerSentEvent(event=event.kind, id=str(number), raw_data=told.model_dump_json(exclude_none=True))


@router.delete("/jobs/{id}", status_code=204, responses=openapi.problems(ERRORS))
async def remove(request: Request, job: Visible) -> Response:
    """Stop what of the job is not done, and forget its photos and drawings."""
    _store(request).remove(job.client, job.id)
    return Response(status_code=204)


def _store(request: Request) -> PhotoJobs:
    jobs = exchange.parts(request).jobs
    if jobs is None:
        raise JobsOff("a job lives in one process, and this service may have several: use /translate/batch")
    return jobs


def _start(request: Request, jobs: PhotoJobs, job: PhotoJob, order: Order) -> None:
    """Draw the job's photos in the background."""

    def begin(number: int, cancellation: Cancellation) -> Chain[Drawn]:
        return order.chain(jobs.begin(job, number), cancellation)

    def end(number: int, outcome: Drawn | Exception) -> None:
        try:
            if isinstance(outcome, Exception):
                raise outcome
            jobs.settle(job, number, outcome, outcome.size)
        except Exception as error:
            jobs.fail(job, number, order.problem(error))

    run = partial(exchange.parts(request).bulk.run, kind=KIND, key=job.client, deadline=order.deadline)
    jobs.start(job, run(len(job.items), begin, end))


def _numbered(job: PhotoJob, number: str) -> Item[Picture | LikenessError, Drawn]:
    if number not in map(str, range(len(job.items))):
        raise JobNotFound("the job has no such item")
    return job.items[int(number)]


def _size(photo: Picture | LikenessError) -> int:
    return len(photo.content) if isinstance(photo, Picture) else 0


def _path(request: Request, job: PhotoJob) -> str:
    return f"{request.scope.get('root_path', '')}/jobs/{job.id}"


def _summary(job: PhotoJob, moment: PhotoJob | Event) -> schemas.JobSummary:
    """How it was with the job at the moment of an event, or is now."""
    counts = {state.value: count for state, count in moment.counts.items()}
    return schemas.JobSummary(id=job.id, state=moment.state, counts=schemas.JobCounts(**counts))


def _status(request: Request, job: PhotoJob) -> dict[str, Any]:
    """A schemas.JobStatus."""
    items = [_item(request, job, number) for number in range(len(job.items))]
    status = schemas.JobStatus(**dict(_summary(job, job)), items=items, expires_in=_store(request).lifetime(job))
    return status.model_dump(mode="json", exclude_none=True)


def _item(request: Request, job: PhotoJob, number: int) -> schemas.JobItem:
    each = job.items[number]
    problem = None if each.problem is None else schemas.ProblemDetails(**each.problem)
    url = f"{_path(request, job)}/items/{number}" if each.result is not None else None
    return schemas.JobItem(number=number, state=each.state, url=url, problem=problem)
