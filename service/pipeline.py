"""The two jobs, from bytes to bytes: translate a photo, verify two pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from export.alignment import Image, Matrix, Template, cut, paste
from export.contract import STYLE, Contract, ControlError, Value
from service import imaging
from service.batching import Lane
from service.errors import BadParameter, LikenessError, ModelNotFound
from service.faces import Face, FaceFinder, moved
from service.imaging import Format
from service.marking import Source
from service.models import Model, Row
from service.settings import Settings
from service.telemetry import Stopwatch, Telemetry
from service.uploads import Picture

P = ParamSpec("P")
T = TypeVar("T")

ModelLane = Lane[Row, NDArray[Any]]


@dataclass(frozen=True)
class Served:
    """A model and the lane that leads to it."""

    model: Model
    lane: ModelLane

    @property
    def label(self) -> str:
        """name/version."""
        return f"{self.model.name}/{self.model.version}"

    @property
    def template(self) -> Template:
        """How its faces are aligned; models without an aligned image are not for photos."""
        assert self.model.contract.template is not None
        return self.model.contract.template


@dataclass(frozen=True)
class Look:
    """How an answer's pictures are to be."""

    whole_photo: bool
    format: Format
    quality: int


@dataclass(frozen=True)
class Opened:
    """A decoded photo, its faces, how each is aligned and cut."""

    photo: Image
    faces: Sequence[Face]
    matrices: Sequence[Matrix]
    crops: Sequence[Image]


@dataclass(frozen=True)
class Drawing:
    """A face of the photo and what became of it; `file` is None where the whole photo is asked for."""

    face: Face
    similarity: float | None
    file: bytes | None


@dataclass(frozen=True)
class Translated:
    """Every drawn face, largest first, and the whole photo if it was asked for."""

    served: Served
    drawings: Sequence[Drawing]
    photo: bytes | None


@dataclass(frozen=True)
class Verified:
    """Two faces compared."""

    served: Served
    faces: Sequence[Face]
    similarity: float
    threshold: float


class Pipeline:
    """Photo stages in a pool of threads, networks in their lanes.

    Neighbouring photo stages run as one task: a photo changes threads once on its way in and once on its way out.
    """

    def __init__(
        self,
        settings: Settings,
        served: Mapping[str, Served],
        finder: FaceFinder,
        pool: ThreadPoolExecutor,
        telemetry: Telemetry,
    ) -> None:
        self.served = served
        self._settings = settings
        self._finder = finder
        self._pool = pool
        self._telemetry = telemetry

    def choose(self, name: str | None, default: str, role: str) -> Served:
        """The served model of that name and role; ModelNotFound."""
        found = self.served.get(name or default)
        if found is None or found.model.contract.role != role:
            raise ModelNotFound(f"there is no {role} {name or default!r}", fields=["model"])
        return found

    async def translate(
        self,
        picture: Picture,
        served: Served,
        values: Mapping[str, Value],
        *,
        every_face: bool,
        look: Look,
        stopwatch: Stopwatch,
    ) -> Translated:
        """The caricature of the largest face or of all; raises the errors of imaging, faces and batching."""
        opened = await self._in_pool(self._open, picture, every_face, served.template, stopwatch)
        with stopwatch.stage("translate"):
            rows = [Row(crop, values) for crop in opened.crops]
            drawn = await served.lane.submit(rows, seconds=self._settings.deadline)
        with stopwatch.stage("identity"):
            similarities = await self._similarities(opened, drawn)
        for similarity in similarities:
            if similarity is not None:
                self._telemetry.similarity.labels(served.model.name).observe(similarity)
        files, whole = await self._in_pool(_finish, opened, drawn, served.template, look, stopwatch)
        drawings = [Drawing(*each) for each in zip(opened.faces, similarities, files, strict=True)]
        return Translated(served, drawings, whole)

    async def verify(
        self, pictures: Mapping[str, Picture], served: Served, far: float, stopwatch: Stopwatch
    ) -> Verified:
        """Whether the largest faces of two pictures are one person's; NoFaceFound and its like say in which picture."""
        threshold = _threshold(served.model.contract, far)
        opened = []
        for name, picture in pictures.items():
            try:
                opened.append(await self._in_pool(self._open, picture, False, served.template, stopwatch))
            except LikenessError as error:
                error.fields = (name,)
                raise
        with stopwatch.stage("identity"):
            rows = [Row(each.crops[0], {}) for each in opened]
            vectors = await served.lane.submit(rows, seconds=self._settings.deadline)
        faces = [each.faces[0] for each in opened]
        return Verified(served, faces, _cosine(*vectors), threshold)

    def _open(self, picture: Picture, every_face: bool, template: Template, stopwatch: Stopwatch) -> Opened:
        """Decode, find faces and cut them, in one thread."""
        with stopwatch.stage("decode"):
            photo = imaging.decode(picture.content, picture.media_type, self._settings.max_pixels)
        self._telemetry.megapixels.observe(photo.shape[0] * photo.shape[1] / 1e6)
        with stopwatch.stage("detect"):
            faces = self._finder.all(photo) if every_face else [self._finder.largest(photo)]
        self._telemetry.faces.observe(len(faces))
        with stopwatch.stage("cut"):
            matrices = [face.align(template) for face in faces]
            crops = [cut(photo, matrix, template) for matrix in matrices]
        return Opened(photo, faces, matrices, crops)

    async def _similarities(self, opened: Opened, drawn: Sequence[Image]) -> list[float | None]:
        """How alike the encoder finds each face and its drawing; None without an encoder."""
        encoder = self.served.get(self._settings.encoder)
        if encoder is None:
            return [None] * len(drawn)
        crops = await self._in_pool(self._pairs, encoder.template, opened, drawn)
        rows = [Row(crop, {}) for crop in crops]
        vectors = await encoder.lane.submit(rows, seconds=self._settings.deadline)
        return [_cosine(*pair) for pair in zip(vectors[: len(drawn)], vectors[len(drawn) :], strict=True)]

    def _pairs(self, template: Template, opened: Opened, drawn: Sequence[Image]) -> list[Image]:
        """The encoder's crops of every face, then of every drawing.

        A caricature moves the features, so its points are found anew, in the box that the face has in the drawing: the
        score is then the one that /verify would give the two pictures.
        """
        crops = [cut(opened.photo, face.align(template), template) for face in opened.faces]
        for face, matrix, drawing in zip(opened.faces, opened.matrices, drawn, strict=True):
            box = moved(face.box, matrix)
            redrawn = Face(box, face.score, self._finder.points(drawing, box))
            crops.append(cut(drawing, redrawn.align(template), template))
        return crops

    async def _in_pool(self, function: Callable[P, T], *arguments: P.args, **_: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)


def control_values(contract: Contract, requested: Mapping[str, Any], seed: int) -> Mapping[str, Value]:
    """The model's control values for a request; BadParameter names the control that does not take its value.

    A style that is asked for by name or vector wins over the seed.
    """
    values: dict[str, Value] = {name: _from_text(contract, name, value) for name, value in requested.items()}
    try:
        if STYLE not in values and any(control.name == STYLE for control in contract.controls):
            values[STYLE] = contract.draw_style(seed)
        return contract.values(values)
    except ControlError as error:
        raise BadParameter(str(error), fields=[error.control]) from None


def _from_text(contract: Contract, name: str, value: Any) -> Any:
    """Forms and queries know only text: a vector is numbers separated by commas."""
    if not isinstance(value, str) or value in contract.styles:
        return value
    parts = value.split(",")
    return parts if len(parts) > 1 else value


def _threshold(contract: Contract, far: float) -> float:
    for rate, threshold in contract.thresholds.items():
        if float(rate) == far:
            return threshold
    raise BadParameter(f"far: the encoder is calibrated for {', '.join(contract.thresholds)}", fields=["far"])


def _cosine(first: NDArray[Any], second: NDArray[Any]) -> float:
    return float(np.clip(np.dot(first, second), -1.0, 1.0))


def _finish(
    opened: Opened, drawn: Sequence[Image], template: Template, look: Look, stopwatch: Stopwatch
) -> tuple[list[bytes | None], bytes | None]:
    """Files of the drawings, or one of the whole photo with the drawings laid into it, the largest on top."""
    if not look.whole_photo:
        with stopwatch.stage("encode"):
            return [imaging.encode(drawing, look.format, look.quality, Source.DRAWN) for drawing in drawn], None
    photo = opened.photo
    with stopwatch.stage("paste"):
        for drawing, matrix in zip(reversed(drawn), reversed(opened.matrices), strict=True):
            photo = paste(photo, drawing, matrix, template)
    with stopwatch.stage("encode"):
        return [None] * len(drawn), imaging.encode(photo, look.format, look.quality, Source.PASTED)
