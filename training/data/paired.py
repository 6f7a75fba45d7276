"""Pairs of the procedural caricaturist as they are read out of a pack: shapes, and photos beside their drawings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.nn import functional as F

from training.data.caricaturist import CODE_SIZE
from training.data.errors import DataError
from training.data.looks import BLACKEST, STYLE_SIZE, Layers, nearest
from training.data.materials import Material
from training.data.pack import Pack
from training.data.pairs import COARSE, SIDE, random_style
from training.data.portraits import MIRROR
from training.data.streams import Rows
from training.engine.phase import Batch
from training.engine.randomness import seed_of
from training.engine.recipe import Row, Stream

COLUMNS = {
    "warp": {"landmarks": 68, "displacement": 68, "field": 32, "code": CODE_SIZE},
    "paint": {"style": STYLE_SIZE},
    "layers": {"lines": SIDE, "where": COARSE, "lightness": 1},
    "cartoon": {"regions": SIDE, "palette": len(Material)},
}
"""What a pack for the warp, for paint, for layers or for cartoons has beside pictures; how long its first axis is."""


class Shapes:
    """Photos and where they should be warped; every other one is mirrored (rows)."""

    def __init__(self, pack: Pack, begin: int, end: int, *, varied: bool = True, told: Sequence[str] = ()) -> None:
        """`told`: further columns of the pack."""
        self._pack, self._begin, self._end, self._varied, self._told = pack, begin, end, varied, told

    def __len__(self) -> int:
        return self._end - self._begin

    def row(self, index: int, random: np.random.Generator) -> Row:
        """`image` uint8 [128, 128, 3] and the columns of the pack, in pixels of the frame."""
        place = self._begin + index
        row = {name: self._pack.columns[name][place].astype(np.float32) for name in COLUMNS["warp"]}
        row["image"] = self._pack.image(place)
        turned = mirrored(row) if self._varied and random.random() < 0.5 else row
        return turned | {name: self._pack.columns[name][place] for name in self._told}


class Drawings:
    """Photos and drawings of them in a style (rows); without those that are nearest to a look that stays `unseen`."""

    def __init__(
        self, pack: Pack, side: int, begin: int, end: int, *, unseen: str = "", told: Sequence[str] = ()
    ) -> None:
        """`told`: further columns of the pack."""
        self._pack, self._side, self._told = pack, side, told
        styles = pack.columns["style"]
        self._places = [place for place in range(begin, end) if not unseen or nearest(styles[place]) != unseen]

    def __len__(self) -> int:
        return len(self._places)

    def row(self, index: int, random: np.random.Generator) -> Row:
        """`photo` and `drawing`, both uint8 [side, side, 3], and the `style`."""
        place = self._places[index]
        style = self._pack.columns["style"][place].astype(np.float32)
        told = {name: self._pack.columns[name][place] for name in self._told}
        return {**halves(self._pack, place, self._side), "style": style, **told}


class Layered:
    """Photos and their layers, each to be drawn in a random style; every other one is mirrored (rows)."""

    def __init__(self, pack: Pack, side: int, begin: int, end: int, *, varied: bool = True) -> None:
        self._pack, self._side, self._begin, self._end, self._varied = pack, side, begin, end, varied

    def __len__(self) -> int:
        return self._end - self._begin

    def row(self, index: int, random: np.random.Generator) -> Row:
        """`photo` uint8 [side, side, 3] and a `style`; `paint` uint8 [256, 256, 3] and the columns of the pack.

        `layers_of` makes layers of a batch of them.
        """
        place = self._begin + index
        columns = {name: self._pack.columns[name][place] for name in COLUMNS["layers"]}
        photo, paint = halves(self._pack, place, SIDE).values()
        row = {"paint": paint, **columns, "style": random_style(random).astype(np.float32)}
        row["photo"] = cv2.resize(photo, (self._side, self._side), interpolation=cv2.INTER_CUBIC)
        if self._varied and random.random() < 0.5:
            row |= {name: np.ascontiguousarray(row[name][:, ::-1]) for name in ("photo", "paint", "lines", "where")}
        return row


def layers_of(batch: Batch) -> Layers:
    """The layers of a batch of rows of `Layered`, as large as its photos."""
    size = batch["photo"].shape[1:3]
    paint, lines, where = (
        F.interpolate(batch[name].permute(0, 3, 1, 2).float(), size=size, mode="bilinear", align_corners=False)
        for name in ("paint", "lines", "where")
    )
    where = where / 255
    return Layers(paint / 255, lines * (BLACKEST / 127), where[:, :1], where[:, 1:], batch["lightness"][:, 0])


class Cartoons:
    """Photos, cartoons of them, and what those are made of (rows)."""

    def __init__(self, pack: Pack, side: int, begin: int, end: int) -> None:
        self._pack, self._side, self._begin, self._end = pack, side, begin, end

    def __len__(self) -> int:
        return self._end - self._begin

    def row(self, index: int, random: np.random.Generator) -> Row:
        """`photo` and `drawing` uint8 [side, side, 3], `regions` uint8 [side, side] and the `palette` uint8 [M, 3]."""
        place, step = self._begin + index, SIDE // self._side
        regions = self._pack.columns["regions"][place, step // 2 :: step, step // 2 :: step]
        palette = self._pack.columns["palette"][place]
        return {**halves(self._pack, place, self._side), "regions": np.ascontiguousarray(regions), "palette": palette}


def halves(pack: Pack, place: int, side: int) -> dict[str, Any]:
    """A `photo` and the `drawing` beside it, both uint8 [side, side, 3]; DataError if they are of another size."""
    pair = pack.image(place)
    if pair.shape[:2] != (SIDE, 2 * SIDE):
        raise DataError(f"{pack.path}: picture {place} is not {SIDE} pixels high and {2 * SIDE} wide")
    pair = cv2.resize(pair, (2 * side, side), interpolation=cv2.INTER_AREA)
    photo, drawing = (np.ascontiguousarray(half) for half in np.split(pair, 2, axis=1))
    return {"photo": photo, "drawing": drawing}


def opened(data: Path, kind: str, apart: int) -> Pack:
    """A pack of a kind of COLUMNS; DataError if it is of another, or leaves nothing to learn from but what is apart."""
    pack = Pack(data)
    for name, length in COLUMNS[kind].items():
        if name not in pack.columns:
            raise DataError(f"{data}: {kind} takes a pack with {', '.join(COLUMNS[kind])}; it has no {name}")
        if (found := pack.columns[name].shape[1:2]) != (length,):
            raise DataError(f"{data}: {name} has {found[0] if found else 1} numbers a row, not {length}")
    if len(pack) <= apart:
        raise DataError(f"{data}: apart={apart} leaves none of its {len(pack)} pairs to learn from")
    return pack


def column(pack: Pack, name: str) -> NDArray[Any]:
    """What a pack tells of its pictures; DataError if it does not, or does not name some person."""
    if name not in pack.columns:
        raise DataError(f"{pack.path}: has no column {name}")
    if "" in pack.present(name):
        raise DataError(f"{pack.path}: does not say which {name} some pictures are of")
    return pack.columns[name]


class Known:
    """Pairs, each with what is known of its `person` as `prototype` (stream)."""

    def __init__(self, pairs: Stream, prototypes: NDArray[np.float32]) -> None:
        """`prototypes` [P, D] by the codes of persons."""
        self._pairs, self._prototypes = pairs, prototypes

    def __getitem__(self, place: int) -> Row:
        row = self._pairs[place]
        return {**row, "prototype": self._prototypes[row["person"]]}


class Beside:
    """Pairs, each with the picture of a drawing of somebody else as `other`, and what is told of that (stream)."""

    def __init__(
        self,
        pairs: Stream,
        drawings: Rows,
        seed: int,
        told: Mapping[str, NDArray[Any]] | None = None,
        alike: tuple[str, NDArray[Any]] | None = None,
    ) -> None:
        """`told`: columns of the drawings. `alike`: a column of pairs, in which a drawing is the same, and its own."""
        self._pairs, self._drawings, self._seed, self._told = pairs, drawings, seed, told or {}
        self._column, values = alike or ("", np.zeros(len(drawings)))
        self._chosen = {value: np.flatnonzero(values == value) for value in np.unique(values).tolist()}

    def __getitem__(self, place: int) -> Row:
        row, random = self._pairs[place], np.random.default_rng(seed_of(self._seed, place))
        index = int(random.choice(self._chosen[row.get(self._column, 0)]))
        other = self._drawings.row(index, random)["image"]
        return {**row, "other": other, **{name: values[index] for name, values in self._told.items()}}


def clusters(styles: NDArray[np.float32], count: int, seed: int = 0) -> NDArray[np.int64]:
    """Which of `count` kinds of styles [N, STYLE_SIZE] each is of: k-means, the best of four. DataError."""
    if len(styles) < count:
        raise DataError(f"{len(styles)} drawings are of no {count} kinds")
    cv2.setRNGSeed(seed)
    enough = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-4)
    codes = cv2.kmeans(styles, count, np.empty(0), enough, 4, cv2.KMEANS_PP_CENTERS)[1]
    return codes[:, 0].astype(np.int64)


def mirrored(row: Row) -> dict[str, Any]:
    """The same shape in a mirrored picture; what a code does to a face is mirrored with that."""
    turn = np.array([-1, 1], np.float32)
    return {
        "image": np.ascontiguousarray(row["image"][:, ::-1]),
        "landmarks": row["landmarks"][MIRROR] * turn + np.array([SIDE - 1, 0], np.float32),
        "displacement": row["displacement"][MIRROR] * turn,
        "field": np.ascontiguousarray(row["field"][:, ::-1] * turn),
        "code": row["code"],
    }
