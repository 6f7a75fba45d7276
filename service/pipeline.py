"""The two jobs, from bytes to bytes: translate a photo, verify two pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from export.alignment import Image, Template, cut, paste
from export.contract import STYLE, Contract, Control, ControlError, Value
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
    """A photo's faces, largest first, cut for every model that will see them: `crops[model][face]`.

    `photo` is None where nobody needs it any more: what waits in a queue should be a crop, not 40 megapixels.
    """

    faces: Sequence[Face]
    crops: Sequence[Sequence[Image]]
    photo: Image | None


@dataclass(frozen=True)
class Finished:
    """What came of the drawings: a file for each or one of the whole photo, and their crops for the encoder."""

    files: Sequence[bytes | None]
    photo: bytes | None
    identity_crops: Sequence[Image] = ()


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
        encoder = self.served.get(self._settings.encoder)
        templates = [served.template, *([encoder.template] if encoder else [])]
        opened = await self._in_pool(self._open, picture, every_face, templates, look.whole_photo, stopwatch)
        with stopwatch.stage("translate"):
            rows = [Row(crop, values) for crop in opened.crops[0]]
            drawn = await served.lane.submit(rows, seconds=self._settings.deadline)
        finished = await self._in_pool(self._finish, opened, drawn, templates, look, stopwatch)
        similarities: Sequence[float | None] = [None] * len(drawn)
        if encoder:
            with stopwatch.stage("identity"):
                similarities = await self._compare(encoder, opened.crops[1], finished.identity_crops)
            for similarity in similarities:
                self._telemetry.similarity.labels(served.model.name).observe(similarity)
        drawings = [Drawing(*each) for each in zip(opened.faces, similarities, finished.files, strict=True)]
        return Translated(served, drawings, finished.photo)

    async def verify(
        self, pictures: Mapping[str, Picture], served: Served, far: float, stopwatch: Stopwatch
    ) -> Verified:
        """Whether the largest faces of two pictures are one person's; NoFaceFound and its like say in which picture."""
        threshold = _threshold(served.model.contract, far)
        outcomes = await asyncio.gather(
            *(
                self._in_pool(self._open, picture, False, [served.template], False, stopwatch)
                for picture in pictures.values()
            ),
            return_exceptions=True,
        )
        opened = [_opened(name, outcome) for name, outcome in zip(pictures, outcomes, strict=True)]
        with stopwatch.stage("identity"):
            (similarity,) = await self._compare(served, *(each.crops[0] for each in opened))
        return Verified(served, [each.faces[0] for each in opened], similarity, threshold)

    def _open(
        self, picture: Picture, every_face: bool, templates: Sequence[Template], keep_photo: bool, stopwatch: Stopwatch
    ) -> Opened:
        """Decode, find faces and cut them, in one thread."""
        with stopwatch.stage("decode"):
            photo = imaging.decode(picture.content, picture.media_type, self._settings.max_pixels)
        self._telemetry.megapixels.observe(photo.shape[0] * photo.shape[1] / 1e6)
        with stopwatch.stage("detect"):
            faces = self._finder.all(photo) if every_face else [self._finder.largest(photo)]
        self._telemetry.faces.observe(len(faces))
        with stopwatch.stage("cut"):
            crops = [[cut(photo, face.align(template), template) for face in faces] for template in templates]
        return Opened(faces, crops, photo if keep_photo else None)

    def _finish(
        self,
        opened: Opened,
        drawn: Sequence[Image],
        templates: Sequence[Template],
        look: Look,
        stopwatch: Stopwatch,
    ) -> Finished:
        """Encode the drawings, or the photo with the drawings laid into it, and cut the drawings for the encoder."""
        template, *identity = templates
        with stopwatch.stage("cut"):
            crops = [self._redrawn(opened.faces, drawn, template, each) for each in identity]
        if opened.photo is None:
            with stopwatch.stage("encode"):
                files = [imaging.encode(drawing, look.format, look.quality, Source.DRAWN) for drawing in drawn]
            return Finished(files, None, *crops)
        photo = opened.photo
        with stopwatch.stage("paste"):
            for drawing, face in zip(reversed(drawn), reversed(opened.faces), strict=True):  # the largest on top
                photo = paste(photo, drawing, face.align(template), template)
        with stopwatch.stage("encode"):
            file = imaging.encode(photo, look.format, look.quality, Source.PASTED)
        return Finished([None] * len(drawn), file, *crops)

    def _redrawn(
        self, faces: Sequence[Face], drawn: Sequence[Image], template: Template, identity: Template
    ) -> list[Image]:
        """The encoder's crops of the drawings, which show the frame of `template`.

        A caricature moves the features, so its points are found anew, in the box that the face has in the drawing: the
        score is then the one that /verify would give the two pictures.
        """
        crops = []
        for face, drawing in zip(faces, drawn, strict=True):
            box = moved(face.box, face.align(template))
            redrawn = Face(box, face.score, self._finder.points(drawing, box))
            crops.append(cut(drawing, redrawn.align(identity), identity))
        return crops

    async def _compare(self, encoder: Served, first: Sequence[Image], second: Sequence[Image]) -> list[float]:
        """Cosines, -1..1, of the encoder's crops pair by pair."""
        rows = [Row(crop, {}) for crop in (*first, *second)]
        vectors = await encoder.lane.submit(rows, seconds=self._settings.deadline)
        return [_cosine(*pair) for pair in zip(vectors[: len(first)], vectors[len(first) :], strict=True)]

    async def _in_pool(self, function: Callable[P, T], *arguments: P.args, **_: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)


def control_values(contract: Contract, requested: Mapping[str, Any], seed: int) -> Mapping[str, Value]:
    """The model's control values for a request; BadParameter names the control that does not take its value.

    A style that is asked for by name or vector wins over the seed.
    """
    try:
        values = {name: _from_text(contract.control(name), contract, value) for name, value in requested.items()}
        if STYLE not in values and any(control.name == STYLE for control in contract.controls):
            values[STYLE] = contract.draw_style(seed)
        return contract.values(values)
    except ControlError as error:
        raise BadParameter(str(error), fields=[error.control]) from None


def _from_text(control: Control, contract: Contract, value: Any) -> Value:
    """Forms and queries know only text: there a vector is numbers separated by commas, or a style's name."""
    if isinstance(value, str) and control.shape and value not in contract.styles:
        return value.split(",")
    return cast(Value, value)


def _opened(name: str, outcome: Opened | BaseException) -> Opened:
    """The opened picture, or its error with the picture's name."""
    if isinstance(outcome, LikenessError):
        outcome.fields = (name,)
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def _threshold(contract: Contract, far: float) -> float:
    for rate, threshold in contract.thresholds.items():
        if float(rate) == far:
            return threshold
    raise BadParameter(f"far: the encoder is calibrated for {', '.join(contract.thresholds)}", fields=["far"])


def _cosine(first: NDArray[Any], second: NDArray[Any]) -> float:
    return float(np.clip(np.dot(first, second), -1.0, 1.0))
