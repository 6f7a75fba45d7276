"""What is found out about a model: figures by name, remarks, and sheets of pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from export.alignment import Image
from training.metrics.interval import Interval

# A figure's name begins with its kind; what it is measured by follows on @, of what on /.
MEANINGS = {
    "kid": "kernel distance from the data, unbiased; 0: nobody can tell",
    "fid": "Frechet distance from the data; falls with the number of pictures",
    "1nn": "share of pictures nearest to one of their own kind; 0.5: nobody can tell, 1: everybody, 0: copies",
    "detected": "share of drawings in which dlib still finds a face",
    "id_distance": "of dlib's descriptors, photo to drawing; 0.6 is its limit for one person; an encoder's 1 - cosine",
    "id_kept": "share of drawings below the limit for one person, dlib's or the encoder's at FAR 1 %; no face: lost",
    "id_margin": "share of drawings that are nearest to their own photo of all",
    "exaggeration": "slope of the drawing's deviation from the mean face on the photo's; 1: as in the photo",
    "repaint": "mean change of colour where both are aligned, 0..1",
    "flatness": "share of neighbouring pixels that are alike, more than in the photo",
    "sharpness": "mean absolute Laplacian, levels of 255",
    "folded": "share of the warp's cells that are turned over",
    "diversity": "mean difference of two pictures that should differ, 0..1",
    "lipstick": "share of men whose lips are redder than those of 95 of 100 men in photos; 0.05: as in photos",
    "reddened": "share of drawings whose lips, against the cheeks, are redder than in the photo by over 4 of a*",
    "flips": "share of drawings in which the attribute is the other way round",
    "kept": "share of drawings with the photo's attribute, where the classifier is right about the photo",
    "accuracy": "same person or not, mean of ten folds",
    "tar": "share of pairs of one person that are accepted at this rate of false ones",
    "rank-1": "share of probes whose nearest picture of the gallery shows the same person",
    "rank-10": "share of probes with a picture of the same person among the nearest ten of the gallery",
    "auc": "the chance that a pair of one person is more alike than a pair of two",
    "latency": "milliseconds of one row on one thread of this machine, median",
    "megabytes": "of the file",
    "weights": "millions of numbers in the file",
}


@dataclass(frozen=True)
class Sheet:
    """Pictures in rows, each row with a name."""

    title: str
    names: Sequence[str]
    rows: Sequence[Sequence[Image]]


@dataclass
class Findings:
    """Filled by the measurements of a role, one after the other."""

    counts: dict[str, int] = field(default_factory=dict)
    """Of pictures that were looked at."""
    figures: dict[str, Interval] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    """What was not measured and why, and what to know of what was."""
    sheets: list[Sheet] = field(default_factory=list)

    def remark(self, text: str) -> None:
        """Once."""
        if text not in self.remarks:
            self.remarks.append(text)


def meaning(name: str) -> str:
    """Of a figure, in a line."""
    return MEANINGS[re.split("[@/]", name)[0]]
