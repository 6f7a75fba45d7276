"""Where the faces are: dlib's detector and a five-point shape predictor of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from export.alignment import DegeneratePoints, Image, Matrix, Template, apply, similarity
from service.errors import FaceTooSmall, NoFaceFound, TooManyFaces

# Long sides in pixels at which a picture is searched, cheapest first. The detector sees faces from 80 pixels up: an
# quarter of the picture at the first size, a thirty-second at the last.
SEARCH_SIDES = (320, 640, 1280, 2560)
MAX_ENLARGEMENT = 4.0  # a face of 20 pixels is found, and refused as too small rather than not found
USEFUL_ENLARGEMENT = 2.5  # a face that is found only beyond it is too small to draw


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the upright picture; it may reach beyond the picture's edges."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Face:
    """A face: its box, the detector's score (higher is surer) and five points [5, 2] in the template's order."""

    box: Box
    score: float
    points: NDArray[np.float64]

    @property
    def eye_distance(self) -> float:
        """Pixels between the centres of the eyes."""
        return float(np.linalg.norm(self.points[1] - self.points[0]))

    def align(self, template: Template) -> Matrix:
        """The similarity from the picture to the template; NoFaceFound if the points are no face."""
        try:
            return similarity(self.points, template.points)
        except DegeneratePoints as error:
            raise NoFaceFound(f"the facial points make no sense: {error}") from error


class FaceFinder:
    """Finds faces; threads may share it.

    dlib's detector releases the GIL but writes to memory of its own, so that a search takes a detector out of a pool
    and puts it back. The predictor only reads; it holds the GIL for its half millisecond.
    """

    def __init__(
        self, landmarks: Path, *, searches: int = 1, min_eye_distance: float = 16.0, max_faces: int = 32
    ) -> None:
        """`landmarks` is a dlib shape predictor of five points; at most `searches` run at a time."""
        self._predictor = dlib.shape_predictor(str(landmarks))
        self._detectors: SimpleQueue[dlib.fhog_object_detector] = SimpleQueue()
        for _ in range(searches):
            self._detectors.put(dlib.get_frontal_face_detector())
        self._min_eye_distance = min_eye_distance
        self._max_faces = max_faces

    def largest(self, image: Image) -> Face:
        """The largest face. Raises NoFaceFound, FaceTooSmall."""
        for scale in _search_scales(image):
            if boxes := self._detect(image, scale):
                return self._faces(image, boxes[:1])[0]
        raise NoFaceFound("no face was found in the picture")

    def all(self, image: Image) -> list[Face]:
        """Every face that is not too small, largest first. Raises NoFaceFound, FaceTooSmall, TooManyFaces."""
        first, *finer = _search_scales(image)
        useful = [first, *(scale for scale in finer if scale <= USEFUL_ENLARGEMENT)]
        if boxes := self._detect(image, useful[-1]):  # the finest search sees the large faces as well
            return self._faces(image, boxes)
        raise NoFaceFound("no face was found in the picture")

    def points(self, image: Image, box: Box) -> NDArray[np.float64]:
        """The five points [5, 2] of the face in a box that is known already."""
        rectangle = dlib.rectangle(box.x, box.y, box.x + box.width - 1, box.y + box.height - 1)
        shape = self._predictor(image, rectangle)
        return np.array([(part.x, part.y) for part in shape.parts()], np.float64)

    def _faces(self, image: Image, boxes: Sequence[tuple[Box, float]]) -> list[Face]:
        faces = [Face(box, score, self.points(image, box)) for box, score in boxes]
        found = [face for face in faces if face.eye_distance >= self._min_eye_distance]
        if not found:
            widest = max(face.eye_distance for face in faces)
            raise FaceTooSmall(f"{widest:.0f} pixels between the eyes; at least {self._min_eye_distance:g} are needed")
        if len(found) > self._max_faces:
            raise TooManyFaces(f"{len(found)} faces; the limit is {self._max_faces}")
        return found

    def _detect(self, image: Image, scale: float) -> list[tuple[Box, float]]:
        """Boxes and scores, largest first, of a search in the picture resized by `scale`."""
        height, width = image.shape[:2]
        size = max(1, round(width * scale)), max(1, round(height * scale))
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        resized = cv2.resize(image, size, interpolation=interpolation)
        detector = self._detectors.get()
        try:
            rectangles, scores, _ = detector.run(resized, 0, 0.0)
        finally:
            self._detectors.put(detector)
        boxes = [(_scaled(each, 1 / scale), float(score)) for each, score in zip(rectangles, scores, strict=True)]
        return sorted(boxes, key=lambda found: (found[0].width * found[0].height, found[1]), reverse=True)


def moved(box: Box, matrix: Matrix) -> Box:
    """The upright box around the same face after the picture went through `matrix`: centre and size follow."""
    centre = apply(matrix, [(box.x + box.width / 2, box.y + box.height / 2)])[0]
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    width, height = box.width * scale, box.height * scale
    return Box(round(centre[0] - width / 2), round(centre[1] - height / 2), round(width), round(height))


def _search_scales(image: Image) -> list[float]:
    """Factors that bring the picture's long side to the SEARCH_SIDES, without repeats."""
    long_side = max(image.shape[:2])
    return list(dict.fromkeys(min(side / long_side, MAX_ENLARGEMENT) for side in SEARCH_SIDES))


def _scaled(rectangle: dlib.rectangle, factor: float) -> Box:
    x, y = round(rectangle.left() * factor), round(rectangle.top() * factor)
    return Box(x, y, round(rectangle.width() * factor), round(rectangle.height() * factor))
