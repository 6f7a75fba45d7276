"""What the routes share: the application's parts, the way of a request through the engine, common refusals."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar, cast

from fastapi import Request, Response
from fastapi.routing import APIRoute

from service import access, errors
from service.admission import Admission
from service.bulk import Bulk, on_loop
from service.cancellation import Cancellation
from service.engine import Chain, Engine, Served
from service.errors import BadParameter, ClientClosed, DeadlineExceeded, ModelNotFound, ModelsLoading
from service.faces import Face
from service.fetch import Fetcher
from service.jobs import Jobs
from service.pipeline import Pipeline, Watch
from service.registry import Registry
from service.settings import Settings
from service.telemetry import Telemetry, route_of
from service.uploads import Upload, read_upload

T = TypeVar("T")

JSON = "application/json"
NO_STORE = {"Cache-Control": "no-store", "Vary": "Accept"}
TIMEOUT = "X-Request-Timeout"

REQUEST_ERRORS = (
    *access.ERRORS,
    errors.BadParameter,
    errors.MalformedBody,
    errors.ModelNotFound,
    errors.BodyTimeout,
    errors.BodyTooLarge,
    errors.UnsupportedBody,
    errors.Overloaded,
    errors.Draining,
    errors.ModelsLoading,
    errors.ModelUnsound,
    errors.DeadlineExceeded,
    errors.ModelTooLarge,
)
BODY_ERRORS = (
    *REQUEST_ERRORS,
    errors.AmbiguousBody,
    errors.EmptyBody,
    errors.MalformedImage,
    errors.UrlNotAllowed,
    errors.FetchFailed,
    errors.UnsupportedImage,
    errors.ImageTypeMismatch,
    errors.TooManyPixels,
    errors.NoFaceFound,
    errors.FaceTooSmall,
)


class PlainRoute(APIRoute):
    """A route whose handler reads the request and makes the response itself: nothing is injected or validated."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler as it is, without FastAPI's layers around it, which cost a cheap request a tenth of its time."""
        return cast(Callable[[Request], Coroutine[Any, Any, Response]], self.endpoint)


class Parts:
    """What lives as long as the application is ready."""

    def __init__(
        self, engine: Engine, registry: Registry, pipeline: Pipeline, bulk: Bulk, jobs: Jobs[Any, Any] | None
    ) -> None:
        """Without `jobs` none are taken."""
        self.engine = engine
        self.registry = registry
        self.pipeline = pipeline
        self.bulk = bulk
        self.jobs = jobs


def parts(request: Request) -> Parts:
    """ModelsLoading before the application is ready and after it was."""
    found: Parts | None = request.app.state.parts
    if found is None:
        raise ModelsLoading("the models are not ready")
    return found


def settings(request: Request) -> Settings:
    """The application's settings."""
    found: Settings = request.app.state.settings
    return found


def telemetry(request: Request) -> Telemetry:
    """The application's telemetry."""
    found: Telemetry = request.app.state.telemetry
    return found


@contextmanager
def admitted(
    request: Request, scope: access.Scope | None, kind: str, *, seconds: float | None = None, bulk: bool = False
) -> Iterator[None]:
    """A place among the requests in work, before anything of the body is read; `kind` is what it will cost.

    `seconds` are those that the answer may take, if not settings.deadline. Raises the errors of access, and Overloaded
    if there is no place or an answer in time cannot be expected.
    """
    admission: Admission = request.app.state.admission
    request.state.arrived = time.monotonic()
    with access.admitted(request, scope), admission:
        budget = min(seconds or settings(request).deadline, _requested_seconds(request))
        parts(request).engine.admit(kind, budget, bulk=bulk)
        with nullcontext() if bulk else parts(request).pipeline.memory.held(_body_bytes(request)):
            yield


async def read(request: Request, names: Sequence[str], optional: Sequence[str] = ()) -> Upload:
    """The upload, within its limits; those of `optional` may be missing."""
    knobs = settings(request)
    fetcher: Fetcher | None = request.app.state.fetcher
    seconds = min(knobs.deadline, _requested_seconds(request))
    fetch = partial(fetcher.fetch, seconds=seconds) if fetcher else None
    upload = await read_upload(
        request,
        names,
        optional=optional,
        max_bytes=knobs.max_body_bytes,
        seconds=knobs.body_timeout,
        fetch=fetch,
    )
    size = sum(len(picture.content) for picture in upload.pictures.values())
    telemetry(request).body_bytes.labels(route_of(request.scope)).observe(size)
    return upload


def watch(request: Request, *, seconds: float | None = None) -> Watch:
    """The clocks of a request whose body is there: the server's limit counts from now, the client's from the head."""
    now = time.monotonic()
    asked = request.state.arrived + _requested_seconds(request)
    limit = now + (seconds or settings(request).deadline)
    return Watch(request.state.stopwatch, Cancellation(min(limit, asked)))


async def model(request: Request, watching: Watch, name: str, *roles: str) -> Served:
    """The model of that name, of one of the roles; if it is not in memory the request waits for it.

    Raises ModelNotFound, ModelUnsound, ModelTooLarge and DeadlineExceeded.
    """
    registry = parts(request).registry
    found = registry.get(name)
    if found is None:
        # Shielded: one that gives up must not take the load away from the others that wait for it.
        arrival = asyncio.shield(asyncio.wrap_future(registry.demand(name)))
        try:
            async with asyncio.timeout(watching.cancellation.deadline - time.monotonic()):
                found = await arrival
        except TimeoutError:
            raise DeadlineExceeded(f"the model {name} was still being loaded") from None
    if found.model.contract.role not in roles:
        raise ModelNotFound(f"there is no {' or '.join(roles)} {name!r}", fields=["model"])
    return found


async def run(request: Request, chain: Chain[T], kind: str, watching: Watch, *, bulk: bool = False) -> T:
    """What the chain returns; ClientClosed, and the work let go, as soon as the client has left."""
    engine, cancellation = parts(request).engine, watching.cancellation
    waiter = on_loop(engine.submit(chain, kind, cancellation, key=request.state.client.id, bulk=bulk))
    leaving = asyncio.ensure_future(_give_up(request, waiter))
    try:
        return await waiter
    except BaseException:
        cancellation.cancel()
        raise
    finally:
        leaving.cancel()


async def attended(request: Request, work: Coroutine[Any, Any, None]) -> None:
    """Do the work; ClientClosed, and the work cancelled, as soon as the client has left."""
    task, leaving = asyncio.create_task(work), asyncio.create_task(_left(request))
    try:
        await asyncio.wait((task, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientClosed("the client went away")
        await task
    finally:
        leaving.cancel()
        task.cancel()


def found(face: Face) -> dict[str, Any]:
    """The members of a schemas.FoundFace."""
    box = {"x": face.box.x, "y": face.box.y, "width": face.box.width, "height": face.box.height}
    return {"box": box, "score": face.score, "landmarks": [(float(x), float(y)) for x, y in face.points]}


def _body_bytes(request: Request) -> int:
    """What the body will take, as far as its head says; one that must be refused later takes no more than the limit."""
    limit, declared = settings(request).max_body_bytes, request.headers.get("content-length", "")
    if declared.isdigit():
        return min(int(declared), limit)
    return limit if "transfer-encoding" in request.headers else 0  # neither: there is no body (RFC 9112, 6.3)


def _requested_seconds(request: Request) -> float:
    text = request.headers.get(TIMEOUT)
    if text is None:
        return float("inf")
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise BadParameter(f"{TIMEOUT} takes a positive number of seconds", fields=[TIMEOUT])
    return seconds


async def _give_up(request: Request, waiter: asyncio.Future[Any]) -> None:
    await _left(request)
    if not waiter.done():
        waiter.set_exception(ClientClosed("the client went away"))


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
