"""Where the faces are: dlib's detector and a five-point shape predictor of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from export.alignment import DegeneratePoints, Image, Matrix, Template, apply, cut, similarity
from service.errors import FaceTooSmall, NoFaceFound, TooManyFaces
from service.machine import trim
from service.photo import Photo

cv2.setNumThreads(1)  # photo stages run one a core: threads within one would take the cores of its neighbours

# Long sides in pixels at which a picture is searched, cheapest first. The detector's smallest box is 73 pixels wide:
# nearly a quarter of the picture at the first size, a thirty-fifth at the last.
SMALLEST_FACE = 72
SEARCH_SIDES = (320, 640, 1280, 2560)
# A search of more pixels takes up to a hundred megabytes in pieces of all sizes, and gives them back at once: else they
# would stay, in a heap full of holes, between requests that need less.
LIGHT_SEARCH = 640
NOTHING = np.zeros((80, 80, 3), np.uint8)
MAX_ENLARGEMENT = 4.0  # a face of 20 pixels is found, and refused as too small rather than not found
USEFUL_ENLARGEMENT = 2.5  # a face that is found only beyond it is too small to draw

# Pixels of a face's width that its points are found on, where the picture has as many. The predictor returns whole
# pixels, of which half a one is then less than a hundredth of the distance between the eyes; more pixels than these
# give no better points.
LANDMARK_WIDTH = 180
# A decode of this long side shows every face that the first search finds with LANDMARK_WIDTH pixels.
FIRST_DECODE = SEARCH_SIDES[0] * LANDMARK_WIDTH / SMALLEST_FACE

BOX_SIDE = 2.4  # the detector's box in distances between the eyes, around the mean of the five points


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

    def crop(self, photo: Photo, template: Template) -> Image:
        """The aligned crop uint8 [template.height, template.width, 3], cut from a decode no coarser than itself.

        Raises NoFaceFound if the points are no face.
        """
        matrix = self.align(template)
        pixels, scale = photo.pixels(max(photo.size) * float(np.sqrt(np.linalg.det(matrix[:, :2]))))
        return cut(pixels, _on_decode(matrix, scale), template)

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

    def largest(self, photo: Photo) -> Face:
        """The largest face. Raises NoFaceFound, FaceTooSmall, and what decoding raises."""
        for side in _search_sides(photo):
            if boxes := self._detect(photo, side):
                return self._faces(photo, boxes[:1])[0]
        raise NoFaceFound("no face was found in the picture")

    def all(self, photo: Photo) -> list[Face]:
        """Every face that is not too small, largest first.

        Raises NoFaceFound, FaceTooSmall, TooManyFaces, and what decoding raises.
        """
        first, *finer = _search_sides(photo)
        useful = [first, *(side for side in finer if side <= USEFUL_ENLARGEMENT * max(photo.size))]
        if boxes := self._detect(photo, useful[-1]):  # the finest search sees the large faces as well
            return self._faces(photo, boxes)
        raise NoFaceFound("no face was found in the picture")

    def points(self, image: Image, box: Box) -> NDArray[np.float64]:
        """The five points [5, 2] of the face in a box that is known already."""
        rectangle = dlib.rectangle(box.x, box.y, box.x + box.width - 1, box.y + box.height - 1)
        shape = self._predictor(image, rectangle)
        return np.array([(part.x, part.y) for part in shape.parts()], np.float64)

    def _points(self, photo: Photo, box: Box) -> NDArray[np.float64]:
        """The five points [5, 2] in the whole picture, found on a decode that shows the face wide enough."""
        pixels, scale = photo.pixels(max(photo.size) * LANDMARK_WIDTH / max(1, box.width))
        return (self.points(pixels, _scaled(box, scale)) + 0.5) / scale - 0.5

    def _faces(self, photo: Photo, boxes: Sequence[tuple[Box, float]]) -> list[Face]:
        faces = [Face(box, score, self._points(photo, box)) for box, score in boxes]
        found = [face for face in faces if face.eye_distance >= self._min_eye_distance]
        if not found:
            widest = max(face.eye_distance for face in faces)
            raise FaceTooSmall(f"{widest:.0f} pixels between the eyes; at least {self._min_eye_distance:g} are needed")
        if len(found) > self._max_faces:
            raise TooManyFaces(f"{len(found)} faces; the limit is {self._max_faces}")
        return found

    def _detect(self, photo: Photo, side: float) -> list[tuple[Box, float]]:
        """Boxes and scores, largest first, of a search in the picture resized to a long side of `side` pixels."""
        image, scale = photo.pixels(max(side, FIRST_DECODE))
        height, width = image.shape[:2]
        factor = side / max(height, width)
        size = max(1, round(width * factor)), max(1, round(height * factor))
        interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        resized = cv2.resize(image, size, interpolation=interpolation)
        detector = self._detectors.get()
        try:
            rectangles, scores, _ = detector.run(resized, 0, 0.0)
        finally:
            if side > LIGHT_SEARCH:
                detector.run(NOTHING, 0, 0.0)  # else it would keep what it made of this picture until its next search
            self._detectors.put(detector)
        if side > LIGHT_SEARCH:
            trim()
        found = [
            (_scaled(Box(each.left(), each.top(), each.width(), each.height()), 1 / (factor * scale)), float(score))
            for each, score in zip(rectangles, scores, strict=True)
        ]
        return sorted(found, key=lambda each: (each[0].width * each[0].height, each[1]), reverse=True)


@lru_cache(maxsize=64)
def aligned(width: int, height: int, template: Template) -> Face:
    """The face of a picture of that size that is a crop of `template` already: nothing is searched.

    Its crop by the same template is the picture, resized; where the picture has another shape than the template, the
    middle of what fits.
    """
    factors = np.array([width / template.width, height / template.height])
    points = (np.asarray(template.points) + 0.5) * factors - 0.5
    side = BOX_SIDE * float(np.linalg.norm(points[1] - points[0]))
    x, y = points.mean(axis=0) - side / 2
    return Face(Box(round(x), round(y), round(side), round(side)), 1.0, points)


def moved(box: Box, matrix: Matrix) -> Box:
    """The upright box around the same face after the picture went through `matrix`: centre and size follow."""
    centre = apply(matrix, [(box.x + box.width / 2, box.y + box.height / 2)])[0]
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    width, height = box.width * scale, box.height * scale
    return Box(round(centre[0] - width / 2), round(centre[1] - height / 2), round(width), round(height))


def _search_sides(photo: Photo) -> list[float]:
    """The SEARCH_SIDES as far as the picture may be enlarged, without repeats."""
    return list(dict.fromkeys(min(side, MAX_ENLARGEMENT * max(photo.size)) for side in SEARCH_SIDES))


def _scaled(box: Box, factor: float) -> Box:
    return Box(round(box.x * factor), round(box.y * factor), round(box.width * factor), round(box.height * factor))


def _on_decode(matrix: Matrix, scale: float) -> Matrix:
    """The matrix of the whole picture, for a decode at `scale` whose pixels cover 1 / scale of its own."""
    linear, shift = matrix[:, :2], matrix[:, 2:]
    return np.hstack([linear / scale, shift + linear.sum(1, keepdims=True) * (0.5 / scale - 0.5)])
