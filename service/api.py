"""The routes. Handlers read options and bodies and shape answers; the work is the pipeline's."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from service import errors, openapi, schemas
from service.batching import Admission
from service.errors import ClientClosed, ModelsLoading, NotAcceptable
from service.faces import Face
from service.imaging import Format
from service.negotiation import negotiate
from service.pipeline import Look, Pipeline, Served, Translated, control_values
from service.settings import Settings
from service.telemetry import Stopwatch, Telemetry, route_of
from service.uploads import Upload, read_upload

T = TypeVar("T")

JSON = "application/json"
NO_STORE = {"Cache-Control": "no-store", "Vary": "Accept"}

BODY_ERRORS = (
    errors.BadParameter,
    errors.MalformedBody,
    errors.AmbiguousBody,
    errors.EmptyBody,
    errors.MalformedImage,
    errors.ModelNotFound,
    errors.BodyTimeout,
    errors.BodyTooLarge,
    errors.UnsupportedBody,
    errors.UnsupportedImage,
    errors.ImageTypeMismatch,
    errors.TooManyPixels,
    errors.NoFaceFound,
    errors.FaceTooSmall,
    errors.Overloaded,
    errors.Draining,
    errors.ModelsLoading,
    errors.DeadlineExceeded,
)
TRANSLATE_ERRORS = (*BODY_ERRORS, errors.NotAcceptable, errors.TooManyFaces)

router = APIRouter()


@router.post(
    "/translate",
    response_model=schemas.Translation,
    responses={
        200: {"content": openapi.pictures(), "description": "The picture; metadata in X-Likeness-* headers, or JSON"},
        **openapi.problems(TRANSLATE_ERRORS),
    },
    openapi_extra=openapi.operation(["image"], schemas.TranslateOptions, bare=True),
)
async def translate(request: Request) -> Response:
    """Draw the caricature of a photo.

    The photo is the part `image` of a form, base64 in JSON, or the body itself; options come with it or in the query.
    Beside the options below, every control of the chosen model (GET /models) is one, e.g. `strength` and `style`.
    Accept chooses picture or JSON; `*/*` is image/jpeg. `faces=all` with `output=crop` answers as JSON only.
    """
    with _admission(request):
        settings, pipeline = _settings(request), _pipeline(request)
        upload = await _upload(request, ["image"])
        options = schemas.TranslateOptions.parse(dict(upload.options))
        served = pipeline.choose(options.model, settings.default_model, "translator")
        values = control_values(served.model.contract, options.controls, options.seed)
        media_type, format = _answer_type(request, options)
        stopwatch: Stopwatch = request.state.stopwatch
        translated = await _while_connected(
            request,
            pipeline.translate(
                upload.pictures["image"],
                served,
                values,
                every_face=options.faces == "all",
                look=Look(options.output == "photo", format, options.quality),
                stopwatch=stopwatch,
            ),
        )
        if media_type == JSON:
            return JSONResponse(_translation(request, translated, format).model_dump(mode="json"), headers=NO_STORE)
        return _picture(translated, media_type)


@router.post(
    "/verify",
    response_model=schemas.Verification,
    responses=openapi.problems(BODY_ERRORS),
    openapi_extra=openapi.operation(["image1", "image2"], schemas.VerifyOptions, bare=False),
)
async def verify(request: Request) -> Response:
    """Say whether two pictures, photos or drawings, show the same person (their largest faces are compared)."""
    with _admission(request):
        settings, pipeline = _settings(request), _pipeline(request)
        upload = await _upload(request, ["image1", "image2"])
        options = schemas.VerifyOptions.parse(dict(upload.options))
        served = pipeline.choose(options.model, settings.encoder, "encoder")
        pictures = {name: upload.pictures[name] for name in ("image1", "image2")}
        stopwatch: Stopwatch = request.state.stopwatch
        verified = await _while_connected(request, pipeline.verify(pictures, served, options.far, stopwatch))
        answer = schemas.Verification(
            id=request.state.request_id,
            same_person=verified.similarity >= verified.threshold,
            similarity=verified.similarity,
            threshold=verified.threshold,
            far=options.far,
            faces=[schemas.FoundFace(**_found(face)) for face in verified.faces],
            model=served.label,
            notice=served.model.contract.notice,
            timings=stopwatch.milliseconds,
        )
        return JSONResponse(answer.model_dump(mode="json"), headers=NO_STORE)


@router.get("/models", responses=openapi.problems([errors.ModelsLoading]))
async def models(request: Request) -> schemas.ModelList:
    """The served models: notice first, then what they take, give and were made from."""
    settings = _settings(request)
    defaults = (settings.default_model, settings.encoder)
    served = _pipeline(request).served.values()
    return schemas.ModelList(models=[_model_info(each, each.model.name in defaults) for each in served])


@router.get("/livez", response_class=PlainTextResponse)
async def livez() -> str:
    """The process runs."""
    return "ok"


@router.get("/readyz", response_class=PlainTextResponse, responses=openapi.problems([errors.ModelsLoading]))
async def readyz(request: Request) -> str:
    """Every model has run its warm-up."""
    _pipeline(request)
    return "ok"


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Prometheus metrics."""
    telemetry: Telemetry = request.app.state.telemetry
    return Response(generate_latest(telemetry.registry), media_type=CONTENT_TYPE_LATEST)


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


def _pipeline(request: Request) -> Pipeline:
    pipeline: Pipeline | None = request.app.state.pipeline
    if pipeline is None:
        raise ModelsLoading("the models are not ready")
    return pipeline


def _admission(request: Request) -> Admission:
    admission: Admission = request.app.state.admission
    return admission


async def _upload(request: Request, names: list[str]) -> Upload:
    settings = _settings(request)
    upload = await read_upload(request, names, max_bytes=settings.max_body_bytes, seconds=settings.body_timeout)
    size = sum(len(picture.content) for picture in upload.pictures.values())
    request.app.state.telemetry.body_bytes.labels(route_of(request.scope)).observe(size)
    return upload


def _answer_type(request: Request, options: schemas.TranslateOptions) -> tuple[str, Format]:
    """Content-Type of the answer and the format of its pictures; NotAcceptable if Accept leaves none.

    An explicit format decides about pictures whatever Accept says; Accept then only decides between picture and JSON.
    """
    accept = request.headers.get("accept")
    single = options.output == "photo" or options.faces == "largest"
    formats = [options.format] if options.format else list(Format)
    offers = [each.media_type for each in formats] if single else []
    chosen = negotiate(accept, [*offers, JSON])
    if chosen is None and options.format and single:
        chosen = options.format.media_type
    if chosen is None:
        raise NotAcceptable(f"the answer can be {', '.join([*offers, JSON])}", fields=[])
    if chosen == JSON:
        return JSON, formats[0]
    return chosen, Format(chosen.removeprefix("image/"))


async def _while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The work's result; it is cancelled if the client goes away, and ClientClosed raised."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientClosed("the client went away")
        return task.result()
    finally:
        for each in (task, gone):
            each.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _found(face: Face) -> dict[str, Any]:
    box = schemas.Box(x=face.box.x, y=face.box.y, width=face.box.width, height=face.box.height)
    return {"box": box, "score": face.score, "landmarks": [(float(x), float(y)) for x, y in face.points]}


def _translation(request: Request, translated: Translated, format: Format) -> schemas.Translation:
    return schemas.Translation(
        id=request.state.request_id,
        model=translated.served.label,
        notice=translated.served.model.contract.notice,
        media_type=format.media_type,
        image=_base64(translated.photo),
        faces=[
            schemas.DrawnFace(**_found(each.face), similarity=each.similarity, image=_base64(each.file))
            for each in translated.drawings
        ],
        timings=request.state.stopwatch.milliseconds,
    )


def _picture(translated: Translated, media_type: str) -> Response:
    """The one picture, with what JSON would say in headers; several faces are separated by commas, box by spaces."""
    content = translated.photo if translated.photo is not None else translated.drawings[0].file
    faces = [each.face for each in translated.drawings]
    similarities = [each.similarity for each in translated.drawings if each.similarity is not None]
    headers = {
        **NO_STORE,
        "X-Likeness-Model": translated.served.label,
        "X-Likeness-Faces": str(len(faces)),
        "X-Likeness-Box": ", ".join(f"{f.box.x} {f.box.y} {f.box.width} {f.box.height}" for f in faces),
        "X-Likeness-Score": ", ".join(f"{face.score:.3f}" for face in faces),
    }
    if similarities:
        headers["X-Likeness-Similarity"] = ", ".join(f"{similarity:.4f}" for similarity in similarities)
    return Response(content, media_type=media_type, headers=headers)


def _base64(file: bytes | None) -> str | None:
    return None if file is None else b64encode(file).decode()


def _model_info(served: Served, default: bool) -> schemas.ModelInfo:
    contract = served.model.contract
    return schemas.ModelInfo(
        notice=contract.notice,
        name=served.model.name,
        version=served.model.version,
        role=contract.role,
        default=default,
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
        digest=served.model.digest,
        provenance=dict(contract.provenance),
    )
