"""POST /translate."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service import errors, openapi, schemas
from service.access import Scope
from service.api import exchange
from service.api.translation import KIND, answer_type, commissioner, draw
from service.pipeline import Faces

ERRORS = (*exchange.BODY_ERRORS, errors.NotAcceptable, errors.TooManyFaces)

router = APIRouter(route_class=exchange.PlainRoute)


@router.post(
    "/translate",
    response_model=schemas.Translation,
    responses={
        200: {"content": openapi.pictures(), "description": "The picture; metadata in X-Likeness-* headers, or JSON"},
        **openapi.problems(ERRORS),
    },
    openapi_extra=openapi.operation(["image"], schemas.TranslateOptions, bare=True),
)
async def translate(request: Request) -> Response:
    """Draw the caricature of a photo.

    The photo is the part `image` of a form, base64 in JSON, or the body itself; options come with it or in the query.
    Beside the options below, every control of the chosen model (GET /models) is one, e.g. `strength` and `style`.
    Accept chooses picture or JSON; `*/*` is image/jpeg. `faces=all` with `output=crop` answers as JSON only.
    """
    with exchange.admitted(request, Scope.TRANSLATE, KIND):
        settings, parts = exchange.settings(request), exchange.parts(request)
        upload = await exchange.read(request, ["image"])
        options = schemas.TranslateOptions.parse(dict(upload.options))
        single = options.output == "photo" or options.faces is not Faces.ALL
        media_type, format = answer_type(request.headers.get("accept"), options.format, single=single)
        watch = exchange.watch(request)
        served = await exchange.model(request, watch, options.model or settings.default_model, "translator")
        commission = commissioner(served, options, format)(upload.pictures["image"])
        drawn = await exchange.run(request, draw(parts.pipeline, commission, watch), KIND, watch)
        return drawn.response(media_type, request.state.request_id)
