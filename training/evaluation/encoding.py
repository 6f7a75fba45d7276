"""A face encoder: whether it tells people apart, beside dlib's recogniser on the same pictures."""

from __future__ import annotations

from collections import Counter

import numpy as np

from training.console import watched
from training.data.errors import DataError
from training.evaluation.faces import faces
from training.evaluation.findings import Findings
from training.evaluation.gallery import Gallery
from training.exported import Exported
from training.metrics.encoders import cosine, figures, nearness
from training.metrics.judge import Judge, sized
from training.metrics.verification import all_pairs

FEWEST = 20
"""People with two pictures or more, below which a figure says nothing about others."""


def evaluate(model: Exported, photos: Gallery) -> Findings:
    """All pairs of the pictures in which dlib finds a face. DataError below FEWEST people of two pictures."""
    judge, template = Judge(), model.contract.template
    assert template is not None
    cuts = faces(photos, template, judge)
    seen = [
        (image.person, crop, face.descriptor)
        for image, crop in watched(cuts, "Judging", len(cuts))
        if image.person and (face := judge.face(sized(image.image))) is not None
    ]
    persons = np.array([person for person, _, _ in seen])
    recurring = sum(count > 1 for count in Counter(persons).values())
    if recurring < FEWEST:
        raise DataError(f"{photos.path}: it needs {FEWEST} people of two pictures or more; there are {recurring}")
    pairs = all_pairs(len(seen))
    embeddings = model.run([crop for _, crop, _ in seen], [{}] * len(seen))
    descriptors = np.array([descriptor for _, _, descriptor in seen])
    found = Findings(counts={"photos": len(photos), "faces": len(seen), "people": len(set(persons))})
    for by, similarity in (("", cosine(embeddings, pairs)), ("@dlib", nearness(descriptors, pairs))):
        reached = figures(similarity, pairs, persons)
        found.figures |= {f"tar/{far:g}{by}": value for far, value in reached.tar.items()} | {f"auc{by}": reached.auc}
    found.remark("Figures that end in @dlib are those of dlib's recogniser on the same pairs")
    return found
