"""What the routes that draw share: from options to a commission, from what was drawn to an answer."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

from fastapi.responses import JSONResponse, Response

from service import schemas
from service.api import exchange
from service.api.exchange import JSON, NO_STORE
from service.engine import Chain, Served
from service.errors import NotAcceptable
from service.imaging import Format
from service.negotiation import negotiate
from service.pipeline import Commission, Drawing, Exemplar, Look, Pipeline, Translated, Watch, control_values
from service.telemetry import Stopwatch
from service.uploads import Picture

KIND = "translate"


def commissioner(
    served: Served, options: schemas.TranslateOptions, format: Format, exemplar: Exemplar | None = None
) -> Callable[[Picture], Commission]:
    """What is wanted of any photo with these options; BadParameter if the model does not take them."""
    values = control_values(served.model.contract, options.controls, options.seed)
    look = Look(options.output == "photo", format, options.quality)
    return partial(
        Commission,
        served=served,
        values=values,
        faces=options.faces,
        look=look,
        identity=options.identity,
        exemplar=exemplar,
    )


def answer_type(accept: str | None, format: Format | None, *, single: bool) -> tuple[str, Format]:
    """Content-Type of the answer and the format of its pictures; NotAcceptable if Accept leaves none.

    An explicit format decides about pictures whatever Accept says; Accept then only decides between picture and JSON.
    What is not a `single` picture can be told as JSON alone.
    """
    formats = [format] if format else list(Format)
    offers = [each.media_type for each in formats] if single else []
    chosen = negotiate(accept, [*offers, JSON])
    if chosen is None and format and single:
        chosen = format.media_type
    if chosen is None:
        raise NotAcceptable(f"the answer can be {', '.join([*offers, JSON])}", fields=[])
    if chosen == JSON:
        return JSON, formats[0]
    return chosen, Format(chosen.removeprefix("image/"))


def draw(pipeline: Pipeline, commission: Commission, watch: Watch) -> Chain[Drawn]:
    """The pipeline's chain, with what a client is told as its end."""
    translated = yield from pipeline.translate(commission, watch)
    return Drawn.of(translated, commission.look.format, watch.stopwatch)


@dataclass(frozen=True)
class Drawn:
    """A translated photo, ready to be told as JSON or as the picture itself. It keeps no model alive."""

    model: str
    notice: str
    format: Format
    drawings: Sequence[Drawing]
    photo: bytes | None
    timings: Mapping[str, float]

    @classmethod
    def of(cls, translated: Translated, format: Format, stopwatch: Stopwatch) -> Self:
        """What a client is told of `translated`."""
        served = translated.served
        notice = served.model.contract.notice
        return cls(served.label, notice, format, translated.drawings, translated.photo, stopwatch.milliseconds)

    @property
    def pictures(self) -> list[bytes]:
        """The whole photo, or every drawn face, largest first."""
        if self.photo is not None:
            return [self.photo]
        return [each.file for each in self.drawings if each.file is not None]

    @property
    def size(self) -> int:
        """Bytes of the pictures."""
        return sum(map(len, self.pictures))

    def translation(self, request_id: str) -> schemas.Translation:
        """As JSON, with the pictures in base64."""
        return schemas.Translation(
            id=request_id,
            model=self.model,
            notice=self.notice,
            media_type=self.format.media_type,
            image=_base64(self.photo),
            faces=[
                schemas.DrawnFace(**exchange.found(each.face), similarity=each.similarity, image=_base64(each.file))
                for each in self.drawings
            ],
            timings=dict(self.timings),
        )

    def response(self, media_type: str, request_id: str) -> Response:
        """The answer of the type that `answer_type` chose."""
        if media_type == JSON:
            return JSONResponse(self.translation(request_id).model_dump(mode="json"), headers=NO_STORE)
        return self._picture()

    def _picture(self) -> Response:
        """The picture, with what JSON would say in headers: several faces are separated by commas, a box by spaces."""
        faces = [each.face for each in self.drawings]
        similarities = [each.similarity for each in self.drawings if each.similarity is not None]
        headers = {
            **NO_STORE,
            "X-Likeness-Model": self.model,
            "X-Likeness-Faces": str(len(faces)),
            "X-Likeness-Box": ", ".join(f"{f.box.x} {f.box.y} {f.box.width} {f.box.height}" for f in faces),
            "X-Likeness-Score": ", ".join(f"{face.score:.3f}" for face in faces),
        }
        if similarities:
            headers["X-Likeness-Similarity"] = ", ".join(f"{similarity:.4f}" for similarity in similarities)
        return Response(self.pictures[0], media_type=self.format.media_type, headers=headers)


def _base64(file: bytes | None) -> str | None:
    return None if file is None else b64encode(file).decode()
