"""What a classifier of attributes says of faces, and how often it is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from export.alignment import Image
from training.data.attributes import SMILE, UNKNOWN, Codes, codes_of, domains_of
from training.data.mouths import turned
from training.data.pack import Pack
from training.data.pictures import squared
from training.data.sources import DRAWING
from training.networks.pixels import picture

BATCH = 256


@dataclass(frozen=True)
class Told:
    """Of the faces of one domain of which an attribute is known."""

    domain: str
    attribute: str
    known: Codes
    found: Codes
    """Both [N], as training.data.attributes has them."""
    pictures: int
    """How many of them are not made of others."""


def told(classifier: nn.Module, pack: Pack, size: int) -> Iterator[Told]:
    """Of a pack of aligned squares, each attribute in each domain. DataError.

    Drawings that smile are asked about a second time with their mouths turned, which do not.
    """
    known, domains = codes_of(pack.columns, len(pack), pack.path), domains_of(pack)
    images = [pack.image(row) for row in range(len(pack))]
    found = answers(classifier, [squared(image, size) for image in images])
    for domain in np.unique(domains):
        for name, codes in known.items():
            rows = np.flatnonzero((domains == domain) & (codes != UNKNOWN))
            asked, said = codes[rows], found[name][rows]
            turning = rows[asked == 1] if (domain, name) == (DRAWING, SMILE) else []
            if len(turning):
                changed = [squared(turned(images[row], upside_down=True), size) for row in turning]
                asked = np.append(asked, np.zeros(len(turning), np.int64))
                said = np.append(said, answers(classifier, changed)[name])
            if len(rows):
                yield Told(str(domain), name, asked, said, len(rows))


@torch.inference_mode()
def answers(classifier: nn.Module, faces: Sequence[Image]) -> Mapping[str, Codes]:
    """The likeliest code of every attribute [N], of faces uint8 [S, S, 3] of the size that it learnt on."""
    device = next(classifier.parameters()).device
    parts = [classifier(picture(part.to(device))) for part in torch.from_numpy(np.stack(faces)).split(BATCH)]
    return {name: torch.cat([part[name] for part in parts]).argmax(1).cpu().numpy() for name in parts[0]}
