"""Training pairs: what the procedural caricaturist draws, shapes and drawings, and the procedural cartoonist.

    python -m training.data.pairs shapes PACKED OUT.pack        faces, reshaped at random, and where their landmarks go
    python -m training.data.pairs undrawn-shapes PACKED OUT.pack    drawings of such faces, and where theirs came from
    python -m training.data.pairs drawings PACKED OUT.pack      photos, each beside its painting in a random look
    python -m training.data.pairs layers PACKED OUT.pack        photos, each beside its paint, and its other layers
    python -m training.data.pairs cartoon-shapes PACKED OUT.pack    reshaped faces, and a cartoon's proportions
    python -m training.data.pairs cartoons PACKED OUT.pack      photos so shaped, each beside its cartoon

All write packs; nothing is drawn twice. Shapes can be taught by the law alone, or by what artists do to every face.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import torch
import typer
from rich.progress import track
from threadpoolctl import threadpool_limits

from export.alignment import SQUARE_256, apply, invert, similarity
from training.data import cartoonist, proportions
from training.data.caricaturist import CODE_SIZE, FaceSpace, flow, mirrored
from training.data.heads import head
from training.data.looks import BLACKEST, STYLE_SIZE, STYLES
from training.data.makeover import as_bytes, bespectacled, dyed
from training.data.pack import Example, write
from training.data.painter import layers, paint
from training.data.points import five
from training.data.portraits import Portraits
from training.data.traits import traits

SIDE = 256
MOUTH = 4.0  # random moves of its corners and lips, pixels
QUALITY = 97  # of the pictures: lines are fine
RESHAPING = 0.8  # random reshaping of a face, in standard deviations of its space
WARP_CELLS = 32
COARSE = 64  # the side of layers that have no edges
LOOK_AT = 128  # the warp head looks at pictures of this side
STRONGEST = 2.0  # up to which drawings are exaggerated
DYED, BESPECTACLED = 0.6, 0.35  # shares of cartoons
BEARDED = 3  # times as often as others are drawn who have a beard or moustache
UNSEEN = "oil"  # the look that who makes photos of drawings never learns from, so that one is left to judge by

app = typer.Typer(help=__doc__)


SMALL = "ukparl120x160"
"""In the names of portraits that are."""
SOURCES = {
    "congress256": "Portraits of members of the US Congress (US government works)",
    SMALL: "Portraits of members of the UK Parliament (CC BY 3.0, Chris McAndrew and others / UK Parliament)",
}
"""The photos' terms, by the folder in their names."""
ARTISTS = "AutoToon photos and caricatures (CC BY, CC BY-SA, public domain), geometry only"


def shape_pair(photo: np.ndarray, landmarks: np.ndarray, space: FaceSpace, random: np.random.Generator) -> Example:
    """A face [128, 128] reshaped, shifted and turned at random, with the displacement and the field of strength 1.

    Reshaping a photo along the shape space gives people who do not exist, with exact labels; the mouth is moved on its
    own, since most people smile for a portrait. Every other pair has a warp code.
    """
    image, face = somebody(photo, landmarks.astype(float), space, random)
    code = random.standard_normal(CODE_SIZE) * (random.random() < 0.5)
    displacement = space.displacement(face, code=code)
    return _shape(image, face, displacement, flow(face, displacement, cells=WARP_CELLS), code)


def cartoon_shape_pair(
    photo: np.ndarray, landmarks: np.ndarray, space: FaceSpace, random: np.random.Generator
) -> Example:
    """A face [128, 128] as in `shape_pair`, with the way to its cartoon's proportions."""
    image, face = somebody(photo, landmarks.astype(float), space, random)
    return _shape(image, face, proportions.displacement(face), proportions.flow(face), np.zeros(CODE_SIZE))


def somebody(
    photo: np.ndarray, face: np.ndarray, space: FaceSpace, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A photo [128, 128] of a face reshaped, shifted and turned at random, and its landmarks in the frame."""
    reshaping = random_reshaping(face, space, random)
    wobble = alignment_error(random)
    # The crop that the service's five points cut differs a little from the one that 68 landmarks cut.
    at = came_from(wobble, LOOK_AT)
    image = sample(cv2.blur(photo, (2, 2)), resampled(flow(face, reshaping), at))
    return image, apply(wobble, face + reshaping)


def undrawn_shape_pair(
    photo: np.ndarray, landmarks: np.ndarray, space: FaceSpace, random: np.random.Generator
) -> Example:
    """A drawing [128, 128] of a reshaped face, exaggerated at random, with displacement and field of the way back.

    Half of the drawings are aligned by their own five points, as one is that comes without its photo; the others stand
    as they were drawn.
    """
    face = landmarks.astype(float)
    reshaping = random_reshaping(face, space, random)
    person = face + reshaping
    move = space.displacement(person, random.uniform(0, STRONGEST))
    at = resampled(flow(face, reshaping), resampled(flow(person, move), everywhere()))
    drawing = paint(relit(sample(photo, at), random), person + move, random_style(random, UNSEEN))
    frame = alignment_error(random)
    if random.random() < 0.5:
        frame = after(frame, similarity(five(person + move), SQUARE_256.points))
    at = came_from(frame, LOOK_AT)
    drawn, wanted = apply(frame, person + move), apply(frame, person)
    back = wanted - drawn
    image, field = sample(cv2.blur(drawing, (2, 2)), at), flow(drawn, back, cells=WARP_CELLS)
    return _shape(image, drawn, back, field, np.zeros(CODE_SIZE))


def _shape(
    image: np.ndarray, landmarks: np.ndarray, displacement: np.ndarray, field: np.ndarray, code: np.ndarray
) -> Example:
    numbers = {
        "landmarks": landmarks.astype(np.float32),
        "displacement": displacement.astype(np.float32),
        "field": (field - cell_centres(WARP_CELLS).reshape(field.shape)).astype(np.float16),
        "code": code.astype(np.float32),
    }
    return Example(image, numbers=numbers)


def drawing_pair(photo: np.ndarray, landmarks: np.ndarray, space: FaceSpace, random: np.random.Generator) -> Example:
    """A photo, relit and exaggerated at random, and beside it its painting in a random look [256, 512]."""
    warped, moved = exaggerated(photo, landmarks.astype(float), space, random.uniform(0, STRONGEST))
    warped = relit(warped, random)
    style = random_style(random)
    drawing = paint(warped, moved, style)
    return Example(np.hstack([warped, drawing]), numbers={"style": style.astype(np.float32)})


def layered_pair(photo: np.ndarray, landmarks: np.ndarray, space: FaceSpace, random: np.random.Generator) -> Example:
    """A photo as in `drawing_pair`, and beside it its layer of paint [256, 512]; the other layers as numbers."""
    warped, moved = exaggerated(photo, landmarks.astype(float), space, random.uniform(0, STRONGEST))
    warped = relit(warped, random)
    *pictures, lightness = layers(warped, moved)
    paint, lines, attention, painted = (each[0].permute(1, 2, 0).numpy() for each in pictures)
    where = cv2.resize(np.dstack([attention, painted]), (COARSE, COARSE), interpolation=cv2.INTER_AREA)
    numbers = {
        "lines": np.clip(np.round(lines / BLACKEST * 127), -127, 127).astype(np.int8),
        "where": as_bytes(255 * where),
        "lightness": lightness.numpy(),
    }
    return Example(np.hstack([warped, as_bytes(255 * paint)]), numbers=numbers)


def cartoon_pair(photo: np.ndarray, landmarks: np.ndarray, space: FaceSpace, random: np.random.Generator) -> Example:
    """A photo in its cartoon's proportions, mirrored and relit at random, and beside it the cartoon [256, 512].

    Some have their hair dyed or glasses put on. The cartoon is drawn before the light is changed: skin and hair keep
    their colours. The cartoonist exaggerates himself, so the `space` is not asked.
    """
    face = landmarks.astype(float)
    if random.random() < 0.5:
        photo, face = np.ascontiguousarray(photo[:, ::-1]), mirrored(face[None], SIDE)[0]
    wobble = alignment_error(random)
    photo, face = sample(photo, came_from(wobble, SIDE)), apply(wobble, face)
    borders = head(photo, face)
    if random.random() < DYED:
        photo = dyed(photo, borders, random)
    person = traits(photo, face, borders)
    if not person.glasses and random.random() < BESPECTACLED:
        photo, person = bespectacled(photo, face, random), replace(person, glasses=True)
    cartoon = cartoonist.drawn(face, borders, person)
    shaped = sample(photo, resampled(proportions.flow(face), everywhere()))
    return Example(
        np.hstack([relit(shaped, random), cartoon.picture]),
        numbers={"regions": cartoon.regions, "palette": cartoon.palette},
    )


def bearded(photo: np.ndarray, landmarks: np.ndarray) -> bool:
    """Whether a portrait shows a beard or a moustache."""
    face = landmarks.astype(float)
    person = traits(photo, face, head(photo, face))
    return person.beard or person.moustache


def exaggerated(
    photo: np.ndarray, face: np.ndarray, space: FaceSpace, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """The photo and its landmarks as the procedural caricaturist exaggerates them."""
    displacement = space.displacement(face, strength)
    return sample(photo, resampled(flow(face, displacement), everywhere())), face + displacement


def random_reshaping(face: np.ndarray, space: FaceSpace, random: np.random.Generator) -> np.ndarray:
    """Moves of the landmarks [68, 2] that make somebody else of a face."""
    noise = (RESHAPING * random.standard_normal(len(space.deviations)) * space.deviations) @ space.components
    noise += MOUTH * random.standard_normal(2) @ space.expression
    reshaping: np.ndarray = noise.reshape(68, 2) @ np.linalg.inv(similarity(face, space.mean)[:, :2]).T
    return reshaping


def random_style(random: np.random.Generator, unseen: str = "") -> np.ndarray:
    """The style vector [10] of a look near a named one, or further from what lies between two; one name is left out."""
    looks = [look for name, look in STYLES.items() if name != unseen]
    if random.random() < 0.5:
        return np.array(random.choice(looks).style()) + 0.15 * random.standard_normal(STYLE_SIZE)
    first, second = (np.array(random.choice(looks).style()) for _ in range(2))
    style: np.ndarray = first + random.random() * (second - first) + 0.5 * random.standard_normal(STYLE_SIZE)
    return style


def alignment_error(random: np.random.Generator) -> np.ndarray:
    """A small random similarity [2, 3] about the middle of the frame."""
    angle, scale = random.normal(0, 0.03), np.exp(random.normal(0, 0.03))
    shift = random.normal(0, 2.5, 2)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.full(2, (SIDE - 1) / 2)
    return np.column_stack([linear, middle - linear @ middle + shift])


def relit(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Exposure, contrast, tint, grain and softness as cameras differ: uint8 [H, W, 3] in and out."""
    light = (image.astype(np.float32) / 255) ** np.exp(random.normal(0, 0.3))
    light = (light - 0.5) * np.exp(random.normal(0, 0.15)) + 0.5 + random.normal(0, 0.04)
    light = light * np.exp(random.normal(0, 0.06, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(light, (0, 0), 1.2)
    light = light + random.uniform(-0.6, 1.8) * (light - blurred)
    light = light + random.normal(0, random.uniform(0, 0.02), light.shape).astype(np.float32)
    if random.random() < 0.06:
        light = np.repeat(light.mean(-1, keepdims=True), 3, -1)
    return np.clip(255 * light + 0.5, 0, 255).astype(np.uint8)


def after(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """One similarity [2, 3] after another."""
    return second @ np.vstack([first, [0, 0, 1]])


def came_from(moved: np.ndarray, side: int) -> np.ndarray:
    """Where the pixels [side, side, 2] of a picture come from whose content a similarity [2, 3] moves."""
    return apply(invert(moved), cell_centres(side)).reshape(side, side, 2)


def everywhere() -> np.ndarray:
    """The coordinates [256, 256, 2] of the frame's pixels."""
    return cell_centres(SIDE).reshape(SIDE, SIDE, 2)


def cell_centres(cells: int) -> np.ndarray:
    """Pixel coordinates [cells * cells, 2] of the centres of a coarse grid's cells."""
    centres = (np.arange(cells) + 0.5) * SIDE / cells - 0.5
    return np.stack(np.meshgrid(centres, centres), -1).reshape(-1, 2)


def resampled(field: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A coarse backward map [cells, cells, 2] at given pixels [h, w, 2]."""
    cells = len(field)
    grid = ((at + 0.5) * cells / SIDE - 0.5).astype(np.float32)
    offset = (field - cell_centres(cells).reshape(cells, cells, 2)).astype(np.float32)
    return at + cv2.remap(offset, *np.moveaxis(grid, -1, 0), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def sample(image: np.ndarray, source: np.ndarray) -> np.ndarray:
    """The picture whose every pixel comes from `source` [h, w, 2]."""
    return cv2.remap(
        image, *np.moveaxis(source, -1, 0).astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


PAIRS = {
    "shapes": shape_pair,
    "undrawn-shapes": undrawn_shape_pair,
    "cartoon-shapes": cartoon_shape_pair,
    "drawings": drawing_pair,
    "layers": layered_pair,
    "cartoons": cartoon_pair,
}
TAUGHT: Mapping[str, Callable[[FaceSpace], FaceSpace]] = {
    "both": lambda space: space,
    "law": FaceSpace.law,
    "artists": FaceSpace.artists,
}
"""By what of the caricaturist."""


@app.command()
def main(
    kind: Annotated[str, typer.Argument(help=", ".join(PAIRS))],
    packed: Annotated[Path, typer.Argument(help="folder that training.data.portraits wrote")],
    out: Annotated[Path, typer.Argument(help="the pack")],
    count: Annotated[int, typer.Option(help="pairs to draw")] = 10_000,
    source: Annotated[str, typer.Option(help=f"what shapes are taught by: {', '.join(TAUGHT)}")] = "both",
    seed: int = 0,
    processes: Annotated[int, typer.Option(min=1, help="that draw; the pairs are the same")] = 1,
) -> None:
    """Draw pairs until there are COUNT."""
    if source not in TAUGHT:
        raise typer.BadParameter(f"--source {source}: there are {', '.join(TAUGHT)}")
    if source != "both" and kind != "shapes":
        raise typer.BadParameter(f"--source {source}: is for shapes, not for {kind}")
    portraits = Portraits.load(packed / "train.npz")
    space = TAUGHT[source](FaceSpace.load(packed))
    # Studio portraits of 120 pixels are sharp enough for a shape, not for a texture.
    chosen = np.array([kind.endswith("shapes") or SMALL not in name for name in portraits.names])
    if kind == "cartoons":
        chosen &= np.array([proportions.turned(face) < proportions.FRONTAL for face in portraits.landmarks])
    pool = chosen.nonzero()[0]

    def seen(places: np.ndarray) -> Iterator[Iterator[np.ndarray]]:
        """Photos and landmarks."""
        return (map(each.__getitem__, places) for each in (portraits.images, portraits.landmarks))

    with ProcessPoolExecutor(processes, initializer=single_threaded) as hands:
        if kind == "cartoons":
            pool = np.repeat(pool, [BEARDED if found else 1 for found in hands.map(bearded, *seen(pool))])
        random = np.random.default_rng(seed)
        order = np.concatenate([random.permutation(pool) for _ in range(-(-count // len(pool)))])[:count]
        pairs = track(hands.map(PAIRS[kind], *seen(order), repeat(space), random.spawn(count)), kind, count)
        write(out, told(pairs, portraits, order), QUALITY)


def single_threaded() -> None:
    """What a hand computes with: threads for systems as small as a face's take four times as long as none."""
    threadpool_limits(1)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def told(pairs: Iterable[Example], portraits: Portraits, order: Iterable[int]) -> Iterator[Example]:
    """The pairs with the terms of their photos, and what a table says of those."""
    for pair, index in zip(pairs, order, strict=True):
        labels = {name: values[index] for name, values in portraits.labels.items()}
        names = {name: str(value) for name, value in labels.items() if value.dtype.kind == "U"}
        numbers = {name: value for name, value in labels.items() if name not in names}
        if not names:
            names = {"source": SOURCES[portraits.names[index].split("/")[1]]}
        yield replace(pair, names={**names, "geometry": ARTISTS}, numbers={**pair.numbers, **numbers})


if __name__ == "__main__":
    app()
