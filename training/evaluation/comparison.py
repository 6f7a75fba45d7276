"""Pictures that were made beside pictures that are there: the same distances for every role that makes some."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from export.alignment import DegeneratePoints, Image, Template, cut, similarity
from training.console import watched
from training.data.errors import DataError
from training.data.points import five
from training.evaluation.findings import Findings
from training.evaluation.gallery import Gallery, Seen
from training.metrics import statistics
from training.metrics.distances import Features, Moments, distances
from training.metrics.features import Network, described, labelled


def compare(
    found: Findings,
    networks: Iterable[Network],
    real: Gallery | Path,
    template: Template | None,
    *sets: tuple[str, Sequence[Image]],
) -> None:
    """Each set's distances from the real pictures; all are seen in the frame of the template, if there is one.

    Of real pictures whose statistics alone are known, `real` is the file. A set is told by what its figures' names end
    in. Distances that are refused leave a remark. DataError if the statistics are of another network.
    """
    for network in networks:
        known = statistics.read(real) if isinstance(real, Path) else features_of(real, network, template)
        for suffix, made in sets:
            features = described(watched(made, f"Features of what is made{suffix}", len(made)), network, template)
            if isinstance(known, Moments) and features.shape[1:] != known.mean.shape:
                which = labelled("fid", network)
                raise DataError(f"{real}: {len(known.mean)} features; {which} is of {features.shape[1]} (--features)")
            _add(found, network, suffix, known, features)


def features_of(pictures: Gallery, network: Network, template: Template | None) -> Features:
    """[N, D], of the pictures as `shown`."""
    seen = watched(shown(pictures, template), f"Features of {pictures.path.name}", len(pictures))
    return described(seen, network, template)


def shown(gallery: Iterable[Seen], template: Template | None) -> Iterator[Image]:
    """The pictures as a template's frame cuts them; those whose points are not known are taken to show it already."""
    for seen in gallery:
        try:
            yield seen.image if template is None or seen.points is None else _cut(seen, template)
        except DegeneratePoints:
            yield seen.image


def _cut(seen: Seen, template: Template) -> Image:
    assert seen.points is not None
    return cut(seen.image, similarity(five(seen.points), template.points), template)


def _add(found: Findings, network: Network, suffix: str, known: Features | Moments, features: Features) -> None:
    figures, refused = distances(known, features)
    found.figures |= {labelled(name, network) + suffix: value for name, value in figures.items()}
    for refusal in refused:
        found.remark(refusal)
