"""The faces of photos, cut as a model's template wants them."""

from __future__ import annotations

import numpy as np

from export.alignment import DegeneratePoints, Image, Template, cut, similarity
from training.console import watched
from training.data.errors import DataError
from training.data.points import Points, five
from training.data.portraits import Landmarker
from training.evaluation.gallery import Gallery, Seen
from training.metrics.judge import Judge, sized


def faces(photos: Gallery, template: Template, judge: Judge) -> list[tuple[Seen, Image]]:
    """The photos with a face and its crop, by the points that are known or else by those that dlib finds.

    DataError if no photo has one.
    """
    found = []
    for seen in watched(photos, "Faces", len(photos)):
        points = five(seen.points) if seen.points is not None else look(seen.image, judge.landmarker)
        if points is not None:
            try:
                found.append((seen, cut(seen.image, similarity(points, template.points), template)))
            except DegeneratePoints:
                continue
    if not found:
        raise DataError(f"{photos.path}: dlib finds a face in none of {len(photos)} photos")
    return found


def look(image: Image, landmarker: Landmarker) -> Points | None:
    """Five points in the picture's own pixels, looked for where it has some hundreds of them; None without a face."""
    small = sized(image)
    landmarks = landmarker(small)
    if landmarks is None:
        return None
    factors = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]])
    return np.asarray((five(landmarks) + 0.5) * factors - 0.5)
