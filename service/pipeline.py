"""What the service does, as chains for the engine: translate a photo, verify two pictures, generate faces."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from types import TracebackType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from export.alignment import Image, Template, cut, paste
from export.contract import STYLE, Contract, Control, ControlError, Value
from service import imaging
from service.admission import Memory
from service.cancellation import Cancellation
from service.engine import Chain, Fork, Run, Served
from service.errors import BadParameter, FaceTooSmall, LikenessError, NoFaceFound
from service.faces import FIRST_DECODE, Face, FaceFinder, aligned, moved
from service.imaging import Format
from service.marking import Source
from service.models import Row
from service.photo import Photo
from service.registry import Registry
from service.settings import Settings
from service.telemetry import Stopwatch, Telemetry
from service.uploads import Picture

EXEMPLAR = "exemplar"
"""What requests call the drawing in whose look they want theirs."""


class Faces(StrEnum):
    """Which faces of a picture are drawn."""

    LARGEST = "largest"
    ALL = "all"
    ALIGNED = "aligned"
    """The picture is one face, cut by the model's template already; nothing is searched."""


@dataclass(frozen=True)
class Watch:
    """What goes along with a request through its stages."""

    stopwatch: Stopwatch
    cancellation: Cancellation
    made: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """The queue is over."""
        self.stopwatch.note("queue", time.monotonic() - self.made)

    def stage(self, name: str) -> Stage:
        """A block of which the time is noted, and that is not begun if the request is not worth it any more."""
        return Stage(self, name)


class Stage:
    """One stage of a request; a class because requests have many and a generator costs twice as much."""

    __slots__ = ("_name", "_started", "_watch")

    def __init__(self, watch: Watch, name: str) -> None:
        self._watch = watch
        self._name = name

    def __enter__(self) -> None:
        cancellation = self._watch.cancellation
        cancellation.stage = self._name
        cancellation.check()
        self._started = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._watch.stopwatch.note(self._name, time.perf_counter() - self._started, error is not None)


@dataclass(frozen=True)
class Look:
    """How an answer's pictures are to be."""

    whole_photo: bool
    format: Format
    quality: int


@dataclass(frozen=True)
class Exemplar:
    """A drawing that says how to draw, and the model that reads its style."""

    picture: Picture
    reader: Served


@dataclass(frozen=True)
class Commission:
    """What a client wants drawn."""

    picture: Picture
    served: Served
    values: Mapping[str, Value]
    faces: Faces
    look: Look
    identity: bool
    """Whether to say how much of the person is left."""
    exemplar: Exemplar | None = None
    """Of which the style is read; it wins over the one of `values`."""


@dataclass(frozen=True)
class Opened:
    """A photo's faces, largest first, cut for every model that will see them: `crops[model][face]`."""

    faces: Sequence[Face]
    crops: Sequence[Sequence[Image]]
    photo: Image | None
    """Only where it is needed again: what waits in a queue should be a crop, not 40 megapixels."""


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
    """Makes the chains; the engine runs them."""

    def __init__(
        self, settings: Settings, registry: Registry, finder: FaceFinder, memory: Memory, telemetry: Telemetry
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._finder = finder
        self.memory = memory
        """What bodies and decoded pictures take together."""
        self._telemetry = telemetry

    def translate(self, commission: Commission, watch: Watch) -> Chain[Translated]:
        """The caricature of the largest face or of all; raises the errors of photo and faces.

        Where there is an exemplar they say in which of the two pictures.
        """
        watch.begin()
        served, look = commission.served, commission.look
        encoder = self._registry.get(self._settings.encoder) if commission.identity else None
        templates = [_template(served), *([_template(encoder)] if encoder else [])]
        opening = partial(self._open, commission.picture, commission.faces, templates, look.whole_photo, watch)
        if commission.exemplar is None:
            opened, values = opening(), commission.values
        else:
            opened, style = yield from self._beside(opening, commission.exemplar, watch)
            values = {**commission.values, STYLE: served.model.contract.control(STYLE).nearest(style)}
        with watch.stage("translate"):
            drawn = yield Run(served, [Row(crop, values) for crop in opened.crops[0]])
        similarities: Sequence[float | None] = [None] * len(drawn)
        if encoder:
            with watch.stage("cut"):
                redrawn = self._redrawn(opened.faces, drawn, *templates)
            with watch.stage("identity"):
                vectors = yield Run(encoder, [Row(crop, {}) for crop in (*opened.crops[1], *redrawn)])
            cosines = [_cosine(*pair) for pair in zip(vectors[: len(drawn)], vectors[len(drawn) :], strict=True)]
            for similarity in cosines:
                self._telemetry.similarity.labels(served.model.name).observe(similarity)
            similarities = cosines
        if opened.photo is None:
            with watch.stage("encode"):
                files = [imaging.encode(drawing, look.format, look.quality, Source.DRAWN) for drawing in drawn]
            drawings = [Drawing(*each) for each in zip(opened.faces, similarities, files, strict=True)]
            return Translated(served, drawings, None)
        with watch.stage("paste"):
            photo = _pasted(opened.photo, opened.faces, drawn, templates[0])
        with watch.stage("encode"):
            file = imaging.encode(photo, look.format, look.quality, Source.PASTED)
        drawings = [Drawing(face, score, None) for face, score in zip(opened.faces, similarities, strict=True)]
        return Translated(served, drawings, file)

    def verify(self, pictures: Mapping[str, Picture], served: Served, far: float, watch: Watch) -> Chain[Verified]:
        """Whether the largest faces of two pictures are one person's; NoFaceFound and its like say in which picture."""
        threshold = _threshold(served.model.contract, far)
        watch.begin()
        templates = [_template(served)]
        outcomes = yield Fork(
            [partial(self._open, picture, Faces.LARGEST, templates, False, watch) for picture in pictures.values()]
        )
        opened: list[Opened] = [_given(name, outcome) for name, outcome in zip(pictures, outcomes, strict=True)]
        with watch.stage("identity"):
            first, second = yield Run(served, [Row(each.crops[0][0], {}) for each in opened])
        return Verified(served, [each.faces[0] for each in opened], _cosine(first, second), threshold)

    def generate(
        self, faces: Sequence[Mapping[str, Value]], served: Served, look: Look, watch: Watch
    ) -> Chain[Sequence[bytes]]:
        """A file of each face, which is nothing but its control values; Overloaded if they do not fit into memory."""
        watch.begin()
        with self.memory.held(len(faces) * math.prod(served.model.contract.output_shape)):
            with watch.stage("generate"):
                made = yield Run(served, [Row(None, values) for values in faces])
            with watch.stage("encode"):
                return [imaging.encode(face, look.format, look.quality, Source.DRAWN) for face in made]

    def _open(
        self, picture: Picture, which: Faces, templates: Sequence[Template], keep_photo: bool, watch: Watch
    ) -> Opened:
        """Decode as far as is needed, find faces and cut them."""
        with self._decoded(picture, watch) as photo:
            with watch.stage("detect"):
                faces = self._faces(photo, which, templates[0])
            self._telemetry.faces.observe(len(faces))
            with watch.stage("cut"):
                first = templates[0]
                cut_already = [[photo.fitted(first.width, first.height)]] if which is Faces.ALIGNED else []
                others = templates[len(cut_already) :]
                crops = cut_already + [[face.crop(photo, template) for face in faces] for template in others]
            return Opened(faces, crops, photo.full() if keep_photo else None)

    def _beside(
        self, opening: Callable[[], Opened], exemplar: Exemplar, watch: Watch
    ) -> Chain[tuple[Opened, NDArray[Any]]]:
        """The opened photo, and the style that is read of the exemplar."""
        outcomes = yield Fork([opening, partial(self._look, exemplar, watch)])
        opened, crop = (_given(*each) for each in zip(("image", EXEMPLAR), outcomes, strict=True))
        with watch.stage("style"):
            (style,) = yield Run(exemplar.reader, [Row(crop, {})])
        return opened, style

    def _look(self, exemplar: Exemplar, watch: Watch) -> Image:
        """The largest face of a drawing or, where none is found that can be cut, the middle of it."""
        template = _template(exemplar.reader)
        with self._decoded(exemplar.picture, watch) as photo, watch.stage("detect"):
            try:
                return self._finder.largest(photo).crop(photo, template)
            except (NoFaceFound, FaceTooSmall):
                return photo.middle(template.width, template.height)

    @contextmanager
    def _decoded(self, picture: Picture, watch: Watch) -> Iterator[Photo]:
        """The picture, decoded for a first search; its memory is held within the block."""
        photo = Photo(picture.content, picture.media_type, self._settings.max_pixels)
        self._telemetry.megapixels.observe(photo.decoded_bytes / 3e6)
        with self.memory.held(photo.decoded_bytes):
            with watch.stage("decode"):
                photo.pixels(FIRST_DECODE)
            yield photo

    def _faces(self, photo: Photo, which: Faces, template: Template) -> list[Face]:
        match which:
            case Faces.LARGEST:
                return [self._finder.largest(photo)]
            case Faces.ALL:
                return self._finder.all(photo)
            case Faces.ALIGNED:
                return [aligned(*photo.size, template)]

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


def _template(served: Served) -> Template:
    """How the model's faces are aligned; models without an aligned image are not for photos."""
    assert served.model.contract.template is not None
    return served.model.contract.template


def _pasted(photo: Image, faces: Sequence[Face], drawn: Sequence[Image], template: Template) -> Image:
    """The photo with the drawings laid into it, the largest on top."""
    for drawing, face in zip(reversed(drawn), reversed(faces), strict=True):
        photo = paste(photo, drawing, face.align(template), template)
    return photo


def _given(name: str, outcome: Any) -> Any:
    """What a fork has made of a picture, or its error with the picture's name."""
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
