"""A translator, or a rotator: photos, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.alignment import SPHEREFACE, SQUARE_256, Image, cut, similarity
from export.contract import STYLE, Contract, ControlError
from training.console import watched
from training.data.attributes import ANSWERS, UNKNOWN, Codes, codes_of
from training.data.crops import part
from training.data.points import five
from training.evaluation.comparison import compare
from training.evaluation.faces import faces
from training.evaluation.findings import Findings, Sheet
from training.evaluation.gallery import Gallery, Seen
from training.evaluation.teachers import dlib_s, teachers
from training.exported import Exported, Request, Warp
from training.losses.frozen import Classifier
from training.metrics import attributes, interval
from training.metrics.classifier import answers
from training.metrics.diversity import diversity
from training.metrics.features import Encoder, Network, framed, labelled
from training.metrics.judge import FEWEST, Face, Judge, estimates, identity, sized
from training.metrics.lips import lipstick_rate, reddened_rate, redness

STYLES, STYLED = 6, 40
"""Styles that are tried, and photos that they are tried on."""
SHEET, ROWS = 12, 4
"""Pictures of a sheet, and photos of one that has a row for each."""
STRENGTH, STRENGTHS = "strength", (0.0, 0.5, 1.0, 2.0, 3.0)
MALE = "male"
FEWEST_MEN = 20
NAMES = ("photo", "drawing")


@dataclass(frozen=True)
class Pair:
    """A photo as the model gets it and what came out; the faces that dlib sees, None where it sees none."""

    seen: Seen
    photo: Image
    drawing: Image
    before: Face | None
    after: Face | None


def evaluate(
    model: Exported,
    photos: Gallery,
    drawings: Gallery | Path | None,
    networks: Sequence[Network],
    request: Request,
    classifier: Classifier | None = None,
) -> Findings:
    """Identity, exaggeration, folds, styles, lips, attributes, and the distance from drawings if there are some.

    Encoders among the networks judge identity, too, and a classifier the attributes that it knows. DataError if no
    photo has a face.
    """
    found, judge, template = Findings(), Judge(), model.contract.template
    assert template is not None
    cuts = faces(photos, template, judge)
    found.counts = {"photos": len(photos), "faces": len(cuts)}
    pairs = list(_pairs(model, cuts, request, judge))
    judged = [(pair.before, pair.after) for pair in pairs if pair.before is not None]
    if judged:
        found.figures |= estimates(judged)
    encoders = [network for network in networks if isinstance(network, Encoder)]
    add_identity(found, pairs, encoders)
    add_teachers(found, model, encoders)
    add_folds(found, model, pairs, request)
    add_styles(found, model, pairs, request)
    add_lips(found, pairs)
    if classifier is not None:
        add_kept(found, model, pairs, classifier, photos.path)
    add_attributes(found, pairs)
    if drawings is not None:
        if isinstance(drawings, Gallery):
            found.counts["drawings"] = len(drawings)
        made, before = ([getattr(pair, side) for pair in pairs] for side in ("drawing", "photo"))
        compare(found, networks, drawings, template, ("", made), ("/photos", before))
        found.remark("Figures that end in /photos are those of the photos themselves: what doing nothing gets")
    add_sheets(found, model, pairs, request)
    return found


def _pairs(model: Exported, cuts: Sequence[tuple[Seen, Image]], request: Request, judge: Judge) -> Iterator[Pair]:
    drawings = model.draw([photo for _, photo in cuts], request)
    for (seen, photo), drawing in watched(zip(cuts, drawings, strict=True), "Judging", len(cuts)):
        before = judge.face(sized(photo))
        after = judge.face(sized(drawing)) if before is not None else None
        yield Pair(seen, photo, drawing, before, after)


def add_identity(found: Findings, pairs: Sequence[Pair], encoders: Sequence[Encoder]) -> None:
    """dlib's figures of identity by other recognisers, of the faces that dlib finds."""
    judged = [pair for pair in pairs if pair.before is not None]
    both = _seen(judged)
    if len(both) < FEWEST:
        return
    detected = np.array([pair.after is not None for pair in judged])
    for encoder in encoders:
        apart = encoder.apart([_upright(after) for *_, after in both], [_upright(before) for _, before, _ in both])
        figures = identity(apart, detected, encoder.limit)
        found.figures |= {labelled(name, encoder): value for name, value in figures.items()}


def _upright(face: Face) -> Image:
    """As an encoder sees it."""
    return cut(face.image, similarity(five(face.landmarks), SPHEREFACE.points), SPHEREFACE)


def add_teachers(found: Findings, model: Exported, encoders: Sequence[Encoder]) -> None:
    """Which of those that judge identity were in the model's losses, and whether all were."""
    judges = {dlib_s(): "dlib's recogniser", **{encoder.name: encoder.name for encoder in encoders}}
    taught = judges.keys() & teachers(model)
    for name in sorted(taught):
        found.remark(f"{judges[name]} was in the losses of {model.name}: what it says of identity is no evidence")
    if taught == judges.keys():
        found.remark("Identity is to be judged by an encoder that was in no loss: --features models/NAME/VERSION")


def add_folds(found: Findings, model: Exported, pairs: Sequence[Pair], request: Request) -> None:
    """Of a graph that has a warp."""
    warp = Warp.of(model)
    if warp is not None:
        found.figures["folded"] = interval.mean(warp.folded([pair.photo for pair in pairs], request))


def add_styles(found: Findings, model: Exported, pairs: Sequence[Pair], request: Request) -> None:
    """How much drawings of one photo differ by style, and a sheet of them."""
    requests = _in_styles(model.contract, request)
    if not requests:
        return
    photos = [pair.photo for pair in pairs[:STYLED]]
    drawn = [model.draw(photos, each) for each in requests.values()]
    found.figures["diversity"] = diversity([np.stack(group) for group in zip(*drawn, strict=True)])
    rows = [[photo, *styled] for photo, *styled in zip(photos[:ROWS], *drawn, strict=False)]
    found.sheets.append(Sheet(f"Styles: {', '.join(requests)}", [""] * len(rows), rows))


def _in_styles(contract: Contract, request: Request) -> dict[str, Request]:
    """The request in the first named styles, or else in drawn ones; none if there is no choice."""
    if STYLE not in [control.name for control in contract.controls]:
        return {}
    named = list(contract.styles)[:STYLES]
    if len(named) > 1:
        return {name: {**request, STYLE: name} for name in named}
    return {f"seed {seed}": {**request, STYLE: contract.draw_style(seed)} for seed in range(1, STYLES + 1)}


def add_lips(found: Findings, pairs: Sequence[Pair]) -> None:
    """Of all, each beside the own photo, and of those whom their set calls men, beside all men's photos."""
    seen = _seen(pairs)
    if not seen:
        return
    red = np.array([[redness(face.image, face.landmarks) for face in faces] for _, *faces in seen])
    found.figures["reddened"] = reddened_rate(*red.T)
    men = np.array([_is_man(each) for each, *_ in seen])
    if men.sum() < FEWEST_MEN:
        found.remark(f"No lipstick: it needs {FEWEST_MEN} photos with the attribute {MALE}; there are {men.sum()}")
        return
    found.figures["lipstick"] = lipstick_rate(*red[men].T)


def _seen(pairs: Sequence[Pair]) -> list[tuple[Seen, Face, Face]]:
    """Those in which dlib sees both faces."""
    return [(each.seen, each.before, each.after) for each in pairs if each.before and each.after]


def _is_man(seen: Seen) -> bool:
    """By the set's own word: 1 is yes, 0 or -1 no."""
    return any(name.lower() == MALE and value > 0 for name, value in seen.attributes.items())


def add_kept(found: Findings, model: Exported, pairs: Sequence[Pair], classifier: Classifier, photos: Path) -> None:
    """What drawings keep of the attributes that their photos are known to have, of all answers and of each.

    Of all pairs, whether dlib sees a face or not. DataError if nothing is known of the photos.
    """
    judge = classifier.name.partition(", ")[0]
    columns = {name: [pair.seen.attributes.get(name, np.nan) for pair in pairs] for name in ANSWERS}
    before, after = (_answers(classifier, model, [getattr(pair, side) for pair in pairs]) for side in NAMES)
    for name, codes in codes_of(columns, len(pairs), photos).items():
        chosen = {name: codes != UNKNOWN}
        chosen |= {f"{name}/{answer}": codes == code for code, answer in enumerate(ANSWERS[name])}
        for label, rows in chosen.items():
            share = attributes.kept(codes[rows], before[name][rows], after[name][rows])
            if share is not None:
                found.figures[f"kept/{label}"] = share
        rows = chosen[name]
        if rows.any():
            right = attributes.balanced(codes[rows], before[name][rows])
            of = f"{right:.0%} of {rows.sum()} photos, every answer weighing the same"
            found.remark(f"{judge} is right about {name} in {of}")
    if judge in teachers(model):
        found.remark(f"{judge} was in the losses of {model.name}: what it says of attributes is no evidence")


def _answers(classifier: Classifier, model: Exported, pictures: Sequence[Image]) -> Mapping[str, Codes]:
    """About pictures in the frame of the model."""
    frame = part(SQUARE_256, classifier.size, classifier.size)
    return answers(classifier.network, [framed(each, model.contract.template, frame) for each in pictures])


def add_attributes(found: Findings, pairs: Sequence[Pair]) -> None:
    """Flips of every attribute of two values that all faces have, by probes that are worth their answers.

    Not of those that a classifier was asked about.
    """
    judged = _seen(pairs)
    if not judged:
        return
    photos = np.array([before.descriptor for _, before, _ in judged])
    drawings = np.array([after.descriptor for _, _, after in judged])
    names = set.intersection(*(set(seen.attributes) for seen, _, _ in judged))
    for name in sorted(each for each in names if f"kept/{each}" not in found.figures):
        values = np.array([seen.attributes[name] for seen, _, _ in judged])
        flipped = attributes.flips(photos, drawings, values == values.max()) if len(set(values)) == 2 else None
        if flipped is not None and flipped.accuracy >= attributes.TRUSTED:
            found.figures[f"flips/{name}"] = flipped.rate
        if flipped is not None:
            found.remark(f"The probe for {name} is right about {flipped.accuracy:.0%} of the photos")


def add_sheets(found: Findings, model: Exported, pairs: Sequence[Pair], request: Request) -> None:
    """Before and after, every strength, and where it went wrong."""
    found.sheets.insert(0, _beside("Before and after", pairs[:SHEET]))
    strengths = [each for each in STRENGTHS if _takes(model.contract, each)]
    if strengths:
        photos = [pair.photo for pair in pairs[:ROWS]]
        drawn = [model.draw(photos, {**request, STRENGTH: each}) for each in strengths]
        rows = [list(row) for row in zip(photos, *drawn, strict=True)]
        title = f"Strengths: {', '.join(f'{each:g}' for each in strengths)}"
        found.sheets.append(Sheet(title, [""] * len(rows), rows))
    worst = sorted((pair for pair in pairs if pair.before is not None), key=_lost, reverse=True)[:SHEET]
    if worst:
        found.sheets.append(_beside("The least like their photos", worst))


def _beside(title: str, pairs: Sequence[Pair]) -> Sheet:
    """Photos above drawings."""
    return Sheet(title, NAMES, [[getattr(pair, side) for pair in pairs] for side in NAMES])


def _takes(contract: Contract, strength: float) -> bool:
    """Whether there is a strength and it may be that."""
    try:
        contract.control(STRENGTH).value(strength)
    except ControlError:
        return False
    return True


def _lost(pair: Pair) -> float:
    """Distance of the descriptors; a face that is not found is the farthest."""
    if pair.before is None or pair.after is None:
        return np.inf
    return float(np.linalg.norm(pair.before.descriptor - pair.after.descriptor))
