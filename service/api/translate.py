"""POST /translate."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from export.contract import STYLE
from service import errors, openapi, schemas
from service.access import Scope
from service.api import exchange
from service.api.translation import KIND, answer_type, commissioner, draw
from service.engine import Served
from service.errors import BadParameter, ModelNotFound
from service.pipeline import EXEMPLAR, Exemplar, Faces, Watch
from service.uploads import Upload

OPTIONAL = {
    EXEMPLAR: "a drawing in whose look to draw, instead of `style`; its largest face is looked at, or where none is "
    "found the middle of it. It takes a model of the role style"
}
ERRORS = (*exchange.BODY_ERRORS, errors.NotAcceptable, errors.TooManyFaces)

router = APIRouter(route_class=exchange.PlainRoute)


@router.post(
    "/translate",
    response_model=schemas.Translation,
    responses={
        200: {"content": openapi.pictures(), "description": "The picture; metadata in X-Likeness-* headers, or JSON"},
        **openapi.problems(ERRORS),
    },
    openapi_extra=openapi.operation(["image"], schemas.TranslateOptions, bare=True, optional=OPTIONAL),
)
async def translate(request: Request) -> Response:
    """Draw the caricature of a photo.

    The photo is the part `image` of a form, base64 in JSON, or the body itself; options come with it or in the query.
    Beside the options below, every control of the chosen model (GET /models) is one, e.g. `strength` and `style`.
    A form and JSON may bring a drawing too, the `exemplar`, in whose look the photo is drawn.
    Accept chooses picture or JSON; `*/*` is image/jpeg. `faces=all` with `output=crop` answers as JSON only.
    """
    with exchange.admitted(request, Scope.TRANSLATE, KIND):
        settings, parts = exchange.settings(request), exchange.parts(request)
        upload = await exchange.read(request, ["image"], optional=list(OPTIONAL))
        options = schemas.TranslateOptions.parse(dict(upload.options))
        single = options.output == "photo" or options.faces is not Faces.ALL
        media_type, format = answer_type(request.headers.get("accept"), options.format, single=single)
        watch = exchange.watch(request)
        served = await exchange.model(request, watch, options.model or settings.default_model, "translator")
        exemplar = await _exemplar(request, watch, upload, served)
        commission = commissioner(served, options, format, exemplar)(upload.pictures["image"])
        kind = KIND if exemplar is None else EXEMPLAR  # which costs more
        drawn = await exchange.run(request, draw(parts.pipeline, commission, watch), kind, watch)
        return drawn.response(media_type, request.state.request_id)


async def _exemplar(request: Request, watch: Watch, upload: Upload, served: Served) -> Exemplar | None:
    """The drawing that was sent along, with the model that reads it.

    Raises BadParameter where the style is given too, or the two models do not know the same styles, ModelNotFound where
    none reads styles, and what `exchange.model` raises.
    """
    picture = upload.pictures.get(EXEMPLAR)
    if picture is None:
        return None
    if STYLE in upload.options:
        raise BadParameter("the style is that of the exemplar, or it is given: not both", fields=[STYLE, EXEMPLAR])
    name = exchange.settings(request).style_reader
    try:
        reader = await exchange.model(request, watch, name, "style")
    except ModelNotFound:
        raise ModelNotFound(f"there is no model {name!r} that reads exemplars", fields=[EXEMPLAR]) from None
    if not served.model.contract.takes_style_of(reader.model.contract):
        raise BadParameter(f"{served.label} takes no style that {reader.label} reads", fields=[EXEMPLAR])
    return Exemplar(picture, reader)
