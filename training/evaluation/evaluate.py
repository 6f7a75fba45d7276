"""`likeness eval`: a published model on pictures, what applies to its role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.contract import Contract
from training.data.errors import DataError
from training.data.sources import DRAWING, PHOTO
from training.evaluation import encoding, generation, translation
from training.evaluation.findings import Findings
from training.evaluation.gallery import Gallery, has_domain
from training.exported import Exported, Request
from training.losses import frozen
from training.metrics import statistics
from training.metrics.features import Dlib, Encoder, Inception, Network
from training.metrics.interval import Interval

DLIB = "dlib"
TRANSLATING = "translator", "rotator"
"""Roles that make pictures of photos."""
FAR = "0.01"
"""The rate of an encoder's thresholds by which identity is judged."""


@dataclass(frozen=True)
class Evaluation:
    """A model and what was found out about it."""

    name: str
    contract: Contract
    request: Request
    found: Findings


def evaluate(
    folder: Path,
    data: Path,
    against: Path | None = None,
    *,
    features: Sequence[str] = (DLIB,),
    attributes: Path | None = None,
    request: Request | None = None,
    count: int = 0,
) -> Evaluation:
    """Run models/NAME/VERSION over at most `count` pictures (0: all).

    `data` are photos: a folder, a table or a pack. `against` are drawings, by default those of the same pack if it has
    any, or of a generator other photos than `data`; or their statistics (.npz), which are good for FID.
    `features` are the networks that distances are measured by: dlib, the folder of an encoder, or a file of
    Inception-v3's weights. Each encoder is asked, too, whether drawings keep who a face is.
    `attributes` is a run of that recipe, which is asked what else drawings keep of photos with labels.

    Raises RepositoryError, ContractError, ControlError for a request that the model does not take, DataError, and of a
    run RunError and CheckpointError.
    """
    model, request = Exported(folder), request or {}
    model.contract.values(request)
    photos = Gallery(data, PHOTO, count)
    classifier = None if attributes is None else frozen.classifier(attributes)
    if against is None and has_domain(data, DRAWING):
        against = data
    networks = [network(name) for name in features]
    if classifier is not None and model.contract.role not in TRANSLATING:
        raise DataError(f"{folder} ({model.contract.role}): only what becomes of photos is judged by attributes")
    match model.contract.role:
        case role if role in TRANSLATING:
            drawings = None if against is None else _real(against, DRAWING, count)
            found = translation.evaluate(model, photos, drawings, networks, request, classifier)
        case "generator":
            real = photos if against is None else _real(against, PHOTO, count)
            found = generation.evaluate(model, photos, real, networks, request)
        case "encoder":
            found = encoding.evaluate(model, photos)
        case role:
            found = Findings(remarks=[f"Of a model of the role {role} only the cost is measured"])
    cost = model.cost()
    found.figures |= {
        "latency": cost.latency,
        "megabytes": _exact(cost.bytes / 1e6),
        "weights": _exact(cost.weights / 1e6),
    }
    return Evaluation(model.name, model.contract, request, found)


def network(name: str) -> Network:
    """By its name: dlib, the folder of an encoder, a file of Inception-v3's weights. DataError."""
    path = Path(name)
    if name == DLIB:
        return Dlib()
    if path.is_file():
        return Inception(path)
    if not path.is_dir():
        raise DataError(f"{name} is neither dlib, nor the folder of an encoder, nor a file of Inception-v3's weights")
    encoder = Exported(path)
    if encoder.contract.role != "encoder":
        raise DataError(f"{path} is no encoder but a {encoder.contract.role}")
    limit = 1 - encoder.contract.thresholds[FAR] if FAR in encoder.contract.thresholds else None
    return Encoder(encoder.name, lambda crops: np.asarray(encoder.run(list(crops), [{}] * len(crops))), limit)


def _real(path: Path, domain: str, count: int) -> Gallery | Path:
    """What is compared with: pictures, or the file of their statistics."""
    return path if path.suffix == statistics.SUFFIX else Gallery(path, domain, count)


def _exact(value: float) -> Interval:
    return Interval(value, value, value)
