"""The tables of model cards. Of a face encoder, beside dlib's recogniser, on people set aside and drawings of some:

    python -m training.evaluation.cards people models/sphereface/3 FACES.pack
    python -m training.evaluation.cards people models/sphereface/3 FACES.pack --pairs 3000
    python -m training.evaluation.cards teacher FACES.pack
    LIKENESS_DATA=... python -m training.evaluation.cards drawings models/sphereface/3 models/caricature/3

Of a caricature, beside the procedural caricaturist: every strength and look of 100 people set aside.

    python -m training.evaluation.cards caricature models/caricature/3 PACKED --sheet people.png
    python -m training.evaluation.cards beside models/caricature/3 PACKED PHOTO... --sheet beside.jpg

Of a reader of styles: drawings of people set aside in every look, and what the caricature makes of what was read.

    python -m training.evaluation.cards styles models/style/1 models/caricature/3 PACKED

Of photos that are made of drawings: whether a person is known by them among 40 who were in no training.

    LIKENESS_DATA=... python -m training.evaluation.cards photo models/photo/1 models/caricature/3 PACKED

Of cartoons, how far they and the photos are from drawings of the Cartoon Set, of which none was in training:

    LIKENESS_DATA=... python -m training.evaluation.cards cartoon models/cartoon/1 models/sphereface/3 PACKED

Of a classifier of attributes, a run that no model comes of, on faces set aside, each attribute in each domain:

    python -m training.evaluation.cards attributes runs/attributes LABELLED.pack

The pack is that of training.data.recognition, PACKED the folder of training.data.portraits. `likeness eval` has the
figures of any other pictures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from export.alignment import cut, similarity
from export.contract import STYLE
from training.console import told
from training.data.attributes import ANSWERS
from training.data.blends import chip
from training.data.caricaturist import FaceSpace, artists_slope
from training.data.cartoonist import cartoon as drawing
from training.data.pack import Pack
from training.data.painter import DEFAULT, STYLES, nearest, paint
from training.data.pairs import UNSEEN, exaggerated
from training.data.portraits import Portraits, set_aside_drawings
from training.data.portraits import gather as gather_portraits
from training.data.recognition import CHECK, MARGIN, TEST, Faces, Sight, Teacher, gather, photos, see
from training.evaluation.evaluate import network
from training.evaluation.exported import Exported
from training.evaluation.restoration import Eyes, People, recognised
from training.losses.frozen import classifier
from training.metrics.attributes import balanced
from training.metrics.classifier import told as classified
from training.metrics.distances import kernel
from training.metrics.encoders import Embed, against_drawings, realised, table
from training.metrics.features import described, labelled
from training.metrics.interval import share
from training.metrics.judge import Face, Judge, measure
from training.metrics.judge import sheet as contact_sheet
from training.metrics.lips import reddened_rate, redness

STRENGTHS = (0.0, 0.5, 1.0, 2.0, 3.0)

app = typer.Typer(help=__doc__, add_completion=False)
Model = Annotated[Path, typer.Argument(help="models/NAME/VERSION")]


@app.command()
def people(
    model: Model,
    packed: Annotated[Path, typer.Argument(help="a pack with people set aside")],
    pairs: Annotated[
        int | None,
        typer.Option(min=4, help="judge by so many pairs of each set, the same for all models; by default by all"),
    ] = None,
) -> None:
    """People who were in no training, and what the thresholds do to them."""
    with told():
        encoder, faces = Exported(model), Faces.of(Pack(packed).where("split", TEST, CHECK))
        typer.echo(table(embedding(encoder), faces, pairs))
        typer.echo(realised(embedding(encoder), faces, encoder.contract.thresholds))


@app.command()
def teacher(packed: Annotated[Path, typer.Argument(help="a pack with people set aside")]) -> None:
    """What the teacher makes of the pixels that its student sees: the most that can be learnt of it."""
    with told():
        faces, dlib = Faces.of(Pack(packed).where("split", TEST, CHECK)), Teacher()

        def embed(frames: np.ndarray) -> np.ndarray:
            margins = ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0))
            descriptors = dlib.describe([*map(chip, np.pad(frames, margins, "reflect"))])
            return descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True)

        typer.echo(table(embed, faces))


@app.command()
def drawings(
    model: Model,
    translator: Model,
    data: Annotated[Path, typer.Option(envvar="LIKENESS_DATA", help="the data folder")],
    strength: float = 1.0,
) -> None:
    """Photos of the people of congress256 who are set aside, against a translator's drawings of them."""
    with told():
        rows = [photo for photo in photos(data) if photo.split == TEST and photo.source.startswith("congress256")]
        drawn = gather(drawn_by(Exported(translator), see(rows), strength))
        typer.echo(against_drawings(embedding(Exported(model)), gather(see(rows)), drawn))


@app.command()
def caricature(
    model: Model,
    packed: Annotated[Path, typer.Argument(help="folder that training.data.portraits wrote")],
    sheet: Annotated[Path | None, typer.Option(help="picture of the first 24 people, photo above drawing")] = None,
) -> None:
    """Judged by dlib: every strength in the default look, every look; last what the procedural caricaturist reaches.

    That one has the photos' landmarks. The first line is about the artists, the slope of whose moves on what is
    particular about a face would be 1 if they doubled it.
    """
    with told():
        people, space, judge = Portraits.load(packed / "set-aside.npz"), FaceSpace.load(packed), Judge()
        translator, photos = Exported(model), [*people.images]
        with np.load(packed / "artists.npz") as artists:
            slope = artists_slope(space, artists["before"], artists["after"])
        typer.echo(json.dumps({"slope of the artists' moves on the deviation": round(slope, 3)}))
        show = reporter(judge, photos)
        for strength in STRENGTHS:
            show(f"strength {strength:g}", translator.draw(photos, {"strength": strength}))
        for style in translator.contract.styles:
            show(f"style {style}", translator.draw(photos, {"style": style}))
        show("procedural caricaturist, strength 1", [*taught(people, space)])
        if sheet:
            contact_sheet([*zip(photos[:24], translator.draw(photos[:24], {}), strict=True)]).save(sheet)


@app.command()
def beside(
    model: Model,
    packed: Annotated[Path, typer.Argument(help="folder that training.data.portraits wrote")],
    photos: Annotated[list[Path], typer.Argument(help="of anybody, a face each")],
    sheet: Annotated[Path | None, typer.Option(help="picture: photo, procedural drawing, the model's")] = None,
) -> None:
    """A caricature beside the procedural caricaturist, who has the photos' landmarks: at every strength."""
    with told():
        people, space = gather_portraits((path.stem, path) for path in photos), FaceSpace.load(packed)
        translator, faces = Exported(model), [*people.images]
        show = reporter(Judge(), faces)
        for strength in STRENGTHS[1:]:
            show(f"procedural caricaturist, strength {strength:g}", [*taught(people, space, strength)])
            show(f"{translator.name}, strength {strength:g}", translator.draw(faces, {"strength": strength}))
        if sheet:
            groups = zip(faces, taught(people, space), translator.draw(faces, {}), strict=True)
            contact_sheet([*groups], columns=10).save(sheet, quality=88)


@app.command()
def photo(
    model: Model,
    translator: Model,
    packed: Annotated[Path, typer.Argument(help="folder that training.data.portraits wrote")],
    data: Annotated[Path, typer.Option(envvar="LIKENESS_DATA", help="the data folder")],
    strength: Annotated[float, typer.Option(help="of the drawings")] = 1.0,
    sheet: Annotated[Path | None, typer.Option(help="picture of 8 people a line, drawing above photo")] = None,
) -> None:
    """People of faces-id who are set aside are drawn, by the translator in its default look and by the procedural
    caricaturist in all of its own, and the drawings become photos.

    Of both dlib says in how many it finds a face, and in how many that is the nearest to another photo of the person;
    first of all of the photos that are drawn. The procedural caricaturist has their landmarks. Nothing was learnt from
    drawings in the look that is marked as unseen.
    """
    with told():
        restorer, drawer, space, eyes = Exported(model), Exported(translator), FaceSpace.load(packed), Eyes()
        template = restorer.contract.template
        assert template is not None
        rows = (each for each in photos(data) if each.split == TEST and each.source.startswith("faces-id"))
        people = People.of(rows, template)
        known = eyes.known(people.known, template)

        def judged(pictures: Sequence[np.ndarray]) -> dict[str, str]:
            return {
                name: f"{value:.3f}" for name, value in recognised(eyes.seen(pictures), people.persons, known).items()
            }

        typer.echo(json.dumps({"of": "photos themselves", "people": len(known)} | judged(people.photos)))
        drawn = {drawer.name: drawer.draw(people.photos, {"strength": strength})}
        landmarks = [eyes.landmarks(each, template) for each in people.photos]
        shaped = [exaggerated(*each, space, strength) for each in zip(people.photos, landmarks, strict=True)]
        for name, look in STYLES.items():
            drawn[f"{name}, unseen" if name == UNSEEN else name] = [paint(*each, look) for each in shaped]
        pairs = []
        for name, drawings in drawn.items():
            made = restorer.draw(drawings, {})
            typer.echo(json.dumps({"of": name, "drawings": judged(drawings), "photos": judged(made)}))
            pairs += [*zip(drawings, made, strict=True)][:16:2]
        if sheet:
            contact_sheet(pairs).save(sheet)


@app.command()
def cartoon(
    model: Model,
    encoder: Model,
    packed: Annotated[Path, typer.Argument(help="folder that training.data.portraits wrote")],
    data: Annotated[Path, typer.Option(envvar="LIKENESS_DATA", help="the data folder")],
    sheet: Annotated[Path | None, typer.Option(help="picture of the first 24 people, photo above cartoon")] = None,
) -> None:
    """The kernel distance by an encoder's features, and how much less it is than that of the photos themselves.

    Of 100 people set aside, what the procedural cartoonist draws, who has their landmarks, and what the model does.
    """
    with told():
        people, translator, eyes = Portraits.load(packed / "set-aside.npz"), Exported(model), network(str(encoder))
        photos = [*people.images]

        def features(pictures: Sequence[np.ndarray]) -> np.ndarray:
            return described(pictures, eyes, translator.contract.template)

        wanted = features([*gather_portraits(set_aside_drawings(data)).images])
        before, made = kernel(wanted, features(photos)), translator.draw(photos, {})
        faces = zip(photos, people.landmarks.astype(float), strict=True)
        drawn = {"procedural cartoonist": [drawing(*face) for face in faces], translator.name: made}
        typer.echo(json.dumps({"of": "photos themselves", labelled("kid", eyes): f"{before:.3f}"}))
        for name, pictures in drawn.items():
            after = kernel(wanted, features(pictures))
            less = round(1 - after.value / before.value, 3)
            typer.echo(json.dumps({"of": name, labelled("kid", eyes): f"{after:.3f}", "less": less}))
        if sheet:
            contact_sheet([*zip(photos[:24], made, strict=False)]).save(sheet)


@app.command()
def attributes(
    run: Annotated[Path, typer.Argument(help="a run of the recipe attributes")],
    packed: Annotated[Path, typer.Argument(help="a pack with labels and faces set aside")],
) -> None:
    """How often it is right; drawings are asked about their smile a second time with the mouth upside down."""
    with told():
        judge, pack = classifier(run), Pack(packed).where("split", TEST)
        typer.echo("| faces | attribute | count | right | by answer | their mean |\n|---|---|---|---|---|---|")
        for each in classified(judge.network, pack, judge.size):
            names = ANSWERS[each.attribute]
            right = share(each.known == each.found, each.pictures)
            answers = [
                f"{names[code]} {(each.found[each.known == code] == code).mean():.2f} of {(each.known == code).sum()}"
                for code in np.unique(each.known)
            ]
            cells = [each.domain, each.attribute, f"{each.pictures}", f"{right:.3f}", ", ".join(answers)]
            typer.echo(f"| {' | '.join(cells)} | {balanced(each.known, each.found):.3f} |")


@app.command()
def styles(
    model: Model,
    translator: Model,
    packed: Annotated[Path, typer.Argument(help="folder that training.data.portraits wrote")],
) -> None:
    """Of every fourth person set aside, drawn by the painter's rules in every look: which share is read as that look.

    Somebody else is then drawn in the style that was read: how far that is from the true style's drawing, and how far
    those of other looks are from it, as mean differences of colour, 0..1.
    """
    with told():
        people, reader, drawer = Portraits.load(packed / "set-aside.npz"), Exported(model), Exported(translator)
        rows = range(0, len(people), 4)
        others = [people.images[(row + 37) % len(people)] for row in rows]
        named = {name: np.stack(drawer.draw(others, {STYLE: name})) / 255 for name in STYLES}
        for name, look in STYLES.items():
            drawings = [paint(people.images[row], people.landmarks[row].astype(float), look) for row in rows]
            read = reader.run(drawings, [{}] * len(drawings))
            redrawn = drawer.run(others, [{STYLE: style} for style in read]) / 255
            away = {each: float(np.abs(named[name] - drawn).mean()) for each, drawn in named.items() if each != name}
            figures = {
                "named": float(np.mean([nearest(style) == name for style in read])),
                "difference": float(np.abs(named[name] - redrawn).mean()),
                "of other looks": float(np.mean([*away.values()])),
            }
            typer.echo(json.dumps({"of": name} | {key: round(value, 3) for key, value in figures.items()}))


def reporter(judge: Judge, photos: Sequence[np.ndarray]) -> Callable[[str, Sequence[np.ndarray]], None]:
    """Prints the figures of drawings of the photos, under a label."""
    seen = [judge.face(photo) for photo in photos]

    def show(label: str, drawn: Sequence[np.ndarray]) -> None:
        pairs = [(photo, judge.face(each)) for photo, each in zip(seen, drawn, strict=True) if photo is not None]
        figures = measure(pairs) | reddened(pairs)
        typer.echo(json.dumps({"of": label} | {name: round(value, 4) for name, value in figures.items()}))

    return show


def reddened(pairs: Sequence[tuple[Face, Face | None]]) -> dict[str, float]:
    """`reddened_rate` of the drawings in which dlib sees a face, if there are any."""
    red = [[redness(face.image, face.landmarks) for face in (photo, drawn)] for photo, drawn in pairs if drawn]
    return {"reddened": reddened_rate(*np.array(red).T).value} if red else {}


def taught(people: Portraits, space: FaceSpace, strength: float = 1.0) -> Iterator[np.ndarray]:
    """The procedural caricaturist's drawings in the default look."""
    for photo, landmarks in zip(people.images, people.landmarks.astype(float), strict=True):
        yield paint(*exaggerated(photo, landmarks, space, strength), DEFAULT)


def embedding(encoder: Exported) -> Embed:
    """uint8 [N, 112, 96, 3] -> float32 [N, 512]."""
    return lambda frames: encoder.run(list(frames), [{}] * len(frames))


def drawn_by(translator: Exported, sights: Iterator[Sight], strength: float) -> Iterator[Sight]:
    """Drawings in the translator's own frame, where the template says what stands where."""
    template = translator.contract.template
    assert template is not None
    for sight in sights:
        crop = cut(sight.image, similarity(sight.points, template.points), template)
        (drawing,) = translator.draw([crop], {"strength": strength})
        yield replace(sight, image=drawing, points=np.array(template.points))


if __name__ == "__main__":
    app()
