"""A face encoder on people who were in no training, beside dlib's recogniser on exactly the same pairs.

Both get the same five points of every photo, so the figures compare recognisers, not detectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from export.parity import ParityError
from export.precision import Stored
from training.data.errors import DataError
from training.data.recognition import Faces
from training.metrics.interval import Interval
from training.metrics.verification import (
    FARS,
    Pairs,
    Roc,
    accuracy,
    all_pairs,
    bootstrap,
    drawn,
    impostor_threshold,
    roc,
)

Embed = Callable[[np.ndarray], np.ndarray]  # uint8 [N, 112, 96, 3] RGB -> float32 [N, 512] of unit length

NEAREST: Mapping[Stored, float] = {"float32": 1.0, "float16": 0.999, "int8": 0.99}
"""The cosine to the trained network's embedding that no face by shortened weights may be below."""
TAR_CHANGE = 0.005
"""The most that shortened weights may change TAR at FAR 1 % by, or else a single pair."""


@dataclass(frozen=True)
class Figures:
    """What is reported of one recogniser on one set of people."""

    people: int
    pictures: int
    accuracy: float
    tar: Mapping[float, Interval]
    auc: Interval


def populations(faces: Faces) -> dict[str, Faces]:
    """The faces by the name of the set that they come from; a photo without a name is a person of its own."""
    names = np.array([name or f"alone/{row}" for row, name in enumerate(faces.persons)])
    sets = np.array([source.partition(" (")[0] or "people" for source in faces.sources])
    known = replace(faces, persons=names)
    return {name: known[sets == name] for name in sorted(set(sets))}


def cosine(embeddings: np.ndarray, pairs: Pairs) -> np.ndarray:
    """Similarity of unit rows."""
    return np.einsum("ij,ij->i", embeddings[pairs.left], embeddings[pairs.right])


def nearness(descriptors: np.ndarray, pairs: Pairs) -> np.ndarray:
    """dlib's similarity: the negative distance of its descriptors."""
    return -np.linalg.norm(descriptors[pairs.left] - descriptors[pairs.right], axis=1)


def figures(similarity: np.ndarray, pairs: Pairs, persons: np.ndarray) -> Figures:
    """All figures, intervals by resampling people."""
    *tar, auc = bootstrap(_tar_and_auc, similarity, pairs, persons)
    return Figures(
        people=len(set(persons)),
        pictures=len(persons),
        accuracy=accuracy(similarity, pairs.same(persons)),
        tar=dict(zip(FARS, tar, strict=True)),
        auc=auc,
    )


def thresholds(populations_of_impostors: Sequence[np.ndarray]) -> dict[str, float]:
    """False-accept rate ("0.01") -> the cosine at which none of these populations has a higher rate.

    Each array holds the similarities of pairs of two people. Populations are kept apart, since people of one sort,
    portrayed alike, are mistaken for each other more often than strangers from two albums.
    """
    return {f"{far:g}": max(impostor_threshold(each, far) for each in populations_of_impostors) for far in FARS}


def table(embed: Embed, faces: Faces, count: int | None = None) -> str:
    """Markdown: own and, with descriptors, dlib's figures on every population that has pairs of both kinds.

    With a `count`, of so many pairs of each population, as `drawn` has them; of all otherwise.
    """
    lines = [
        "| people (pictures) | recogniser | accuracy | TAR at FAR 1 % | TAR at FAR 0.1 % | AUC |",
        "|---|---|---|---|---|---|",
    ]
    for name, group in populations(faces).items():
        pairs = all_pairs(len(group))
        if not _of_both_kinds(pairs.same(group.persons)):
            continue
        if count is not None:
            pairs = drawn(pairs, group.persons, count)
        scored = {"this model": cosine(embed(group.frames()), pairs)}
        if group.descriptors.size:
            scored["dlib"] = nearness(group.descriptors, pairs)
        for recogniser, similarity in scored.items():
            found = figures(similarity, pairs, group.persons)
            lines.append(_row(f"{name}: {found.people} ({found.pictures})", recogniser, found))
    return "\n".join(lines)


def against_drawings(embed: Embed, photos: Faces, drawings: Faces) -> str:
    """Markdown: every photo against every drawing; row i of both shows one person, alone in its set."""
    count = len(photos)
    persons = np.tile(np.arange(count).astype(str), 2)
    left, right = np.meshgrid(np.arange(count), np.arange(count) + count, indexing="ij")
    pairs = Pairs(left.ravel(), right.ravel())
    embeddings = np.concatenate([embed(photos.frames()), embed(drawings.frames())])
    descriptors = np.concatenate([photos.descriptors, drawings.descriptors])
    return "\n".join(
        _row(f"photo and drawing: {count} ({2 * count})", recogniser, figures(similarity, pairs, persons))
        for recogniser, similarity in (
            ("this model", cosine(embeddings, pairs)),
            ("dlib", nearness(descriptors, pairs)),
        )
    )


def against_others(embed: Embed, photos: Faces, drawings: Faces) -> str:
    """Markdown: photos against drawings of other photos; row i of both is one photo and its drawing.

    Of every population with several photos of a person. Ranks are of a drawing among photos, one of each person, and
    of a photo among such drawings; never of its own.
    """
    lines = [
        "| people (photos) | recogniser | TAR at FAR 0.1 % | TAR at FAR 1 % | AUC "
        "| drawing to photo: rank-1, rank-10 | photo to drawing: rank-1, rank-10 |",
        "|---|---|---|---|---|---|---|",
    ]
    painted = populations(drawings)
    for name, group in populations(photos).items():
        persons, count = group.persons, len(group)
        if len(set(persons)) == count:
            continue
        both = {"this model": [embed(each.frames()) for each in (group, painted[name])]}
        if group.descriptors.size:
            both["dlib"] = [unit(each.descriptors) for each in (group, painted[name])]
        for recogniser, (seen, drawn_of) in both.items():
            cosines = seen @ drawn_of.T
            found = figures(*_off_diagonal(cosines), np.tile(persons, 2))
            rates = [f"{found.tar[far]:.3f}" for far in sorted(FARS)]
            searches = [ranks(each, persons) for each in (cosines.T, cosines)]
            shares = [", ".join(f"{np.mean(each < best):.3f}" for best in (1, 10)) for each in searches]
            cells = [f"{name}: {found.people} ({count})", recogniser, *rates, f"{found.auc:.4f}", *shares]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def ranks(cosines: np.ndarray, persons: np.ndarray) -> np.ndarray:
    """How many other people are nearer than the right one, int [P]; [P, P] from probes to a gallery of the same rows.

    The gallery has the first picture of each person, and of the probe's own the second if it was made of the first.
    """
    _, first, person = np.unique(persons, return_index=True, return_inverse=True)
    found = []
    for row, own in enumerate(person):
        others = np.flatnonzero((person == own) & (np.arange(len(person)) != row))
        if len(others):
            gallery = first.copy()
            gallery[own] = others[0]
            found.append(int((cosines[row, gallery] > cosines[row, others[0]]).sum()))
    return np.array(found)


def unit(rows: np.ndarray) -> np.ndarray:
    """Of length 1 each."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _off_diagonal(cosines: np.ndarray) -> tuple[np.ndarray, Pairs]:
    """Of rows and columns [N, N] that are not of the same photo; the columns are numbered from N on."""
    count = len(cosines)
    left, right = np.nonzero(~np.eye(count, dtype=bool))
    return cosines[left, right], Pairs(left, right + count)


def calibrate(embed: Embed, faces: Faces) -> dict[str, float]:
    """`thresholds` over all populations; people who are not among them show what they are worth.

    Of one person alone nothing is known about others. DataError if no population has two people.
    """
    groups = populations(faces)
    scored = [_scored(embed, group) for group in groups.values()]
    impostors = [similarity[~same] for similarity, same in scored if not same.all()]
    if not impostors:
        named = ", ".join(groups)
        raise DataError(f"a threshold is between two people of one set; those set aside are one of each: {named}")
    return thresholds(impostors)


def verified(embed: Embed, faces: Faces) -> dict[str, float]:
    """TAR at FAR 1 % and area under the curve, for every population with pairs of both kinds."""
    found = {}
    for name, group in populations(faces).items():
        similarity, same = _scored(embed, group)
        if _of_both_kinds(same):
            curve = roc(similarity, same)
            found |= {f"{name}/tar": curve.at(FARS[0])[0], f"{name}/auc": curve.auc}
    return found


def agreement(full: Embed, short: Embed, faces: Faces, stored: Stored) -> dict[str, float]:
    """How far embeddings by shortened weights are from the trained network's: `cosine` and `tar`, 0 where they agree.

    The largest distance of a face from itself, 1 - cosine, and the largest change of TAR at FAR 1 % of a population.
    ParityError names where one is too large.
    """
    far, change = 0.0, 0.0
    for name, group in populations(faces).items():
        pairs, frames = all_pairs(len(group)), group.frames()
        before, after = full(frames), short(frames)
        lowest = float(np.einsum("ij,ij->i", before, after).min())
        if not lowest >= NEAREST[stored]:
            raise ParityError(f"a face of {name} has the cosine {lowest:.5f} by {stored}; {NEAREST[stored]} is asked")
        far = max(far, 1 - lowest)
        same = pairs.same(group.persons)
        if _of_both_kinds(same):
            known, found = (roc(cosine(each, pairs), same).at(FARS[0])[0] for each in (before, after))
            allowed = max(TAR_CHANGE, 1 / same.sum())
            if abs(found - known) > allowed + 1e-9:
                raise ParityError(f"TAR at FAR 1 % of {name} is {found:.4f} by {stored}, {known:.4f} as it was trained")
            change = max(change, abs(found - known))
    return {"cosine": far, "tar": change}


def realised(embed: Embed, faces: Faces, limits: Mapping[str, float]) -> str:
    """Markdown: what the calibrated thresholds do on each population, above all on the one that they have not seen."""
    lines = ["| people | threshold for FAR | accepted of two people | accepted of one person |", "|---|---|---|---|"]
    for name, group in populations(faces).items():
        similarity, same = _scored(embed, group)
        for far, limit in limits.items():
            impostors, genuine = _accepted(similarity[~same], limit, 2), _accepted(similarity[same], limit, 1)
            lines.append(f"| {name} | {float(far):.1%} | {impostors} | {genuine} |")
    return "\n".join(lines)


def _accepted(similarity: np.ndarray, limit: float, digits: int) -> str:
    """The share of some pairs that reaches a threshold, and how many they are; a dash if there are none."""
    return f"{100 * (similarity >= limit).mean():.{digits}f} % of {len(similarity):,}" if len(similarity) else "-"


def _of_both_kinds(same: np.ndarray) -> bool:
    """Whether there are pairs of one person and pairs of two."""
    return bool(same.any() and not same.all())


def _scored(embed: Embed, group: Faces) -> tuple[np.ndarray, np.ndarray]:
    pairs = all_pairs(len(group))
    return cosine(embed(group.frames()), pairs), pairs.same(group.persons)


def _row(who: str, recogniser: str, found: Figures) -> str:
    cells = [f"{found.accuracy:.3f}", *(f"{found.tar[far]:.3f}" for far in FARS), f"{found.auc:.4f}"]
    return f"| {who} | {recogniser} | {' | '.join(cells)} |"


def _tar_and_auc(curve: Roc) -> list[float]:
    return [*(curve.at(far)[0] for far in FARS), curve.auc]
