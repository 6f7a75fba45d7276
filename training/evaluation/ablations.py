"""What each part of SATNet-R is worth: variants of the recipe `satnet_r` on a small tier, all with one budget.

    python -m training.evaluation.ablations INTO --shapes SHAPES.pack --drawings DRAWINGS.pack --packed PACKED \
        --law LAW.pack --artists ARTISTS.pack

Every variant is a run INTO/NAME of as many images, of one batch, seed and schedule (`BASE`). A painter begins from the
warp of the run INTO/warp and is judged joined with it. A line of figures for each goes to standard output and to
INTO/ablations.jsonl, the tables follow. The same command goes on where it was interrupted (docs/ablations.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import default_collate

from training.console import told
from training.data.caricaturist import FaceSpace
from training.data.pack import Example, Pack, write
from training.data.painter import DEFAULT
from training.data.paired import Drawings
from training.data.portraits import Portraits
from training.data.sources import DRAWING
from training.engine import checkpoint
from training.engine.drafts import drafted
from training.engine.errors import RunError
from training.engine.recipe import configured
from training.engine.run import Run
from training.engine.session import Session
from training.metrics.interval import Interval, mean, resampled
from training.metrics.judge import Face, Judge, estimates
from training.metrics.warp import energies, folded
from training.networks.pixels import picture
from training.networks.satnet_r import PARTS, Translator, Warp, no_code
from training.recipes.satnet_r import NAME, Recipe, points

BASE: Mapping[str, Any] = {
    "side": 128,
    "warp_width": 12,
    "paint_width": 16,
    "discriminator_width": 16,
    "batch": 8,
    "apart": 200,
    "report": 500,
    "checkpoint": 1_000,
    "sheet": 0,
}
"""Settings of all variants that are not the recipe's own; a variant says where it differs."""
WARP, PAINT = "warp", "paint"
"""The variants that the others are compared with."""
LINES, BUDGET, DRAWN = "ablations.jsonl", "budget.json", "drawn.pack"
"""Files beside the runs: figures, what they were trained and judged with, the discriminator's drawings."""
SOME = 8
"""Photos that are drawn at once."""
COLUMNS = {
    "paint": ("detected", "id_kept", "id_margin", "repaint", "flatness", "sharpness", "colour"),
    "warp": ("explained", "folded", "exaggeration", "detected", "id_kept", "id_margin"),
}
"""Of the tables, by part; the lines have all figures."""


@dataclass(frozen=True)
class Variant:
    """One row of a table."""

    name: str
    question: str
    part: Literal["warp", "paint"]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Those that differ from the base."""
    taught: Literal["both", "law", "artists"] = "both"
    """By what of the caricaturist its shapes are."""
    run: str = ""
    """Whose networks are judged; by default it is trained itself."""
    averaged: bool = True
    """Whether the average of the weights is judged, or else the weights themselves."""
    strength: float = 1.0
    """At which it is judged."""


VARIANTS = (
    Variant(WARP, "the warp that all painters begin from", "warp"),
    Variant("warp-law", "what does the warp learn of the law alone?", "warp", taught="law"),
    Variant("warp-artists", "and of the artists' habit alone?", "warp", taught="artists"),
    Variant(PAINT, "colour, edges, lines and style alone", "paint"),
    Variant("paint-again", "how far is another seed from that?", "paint", {"seed": 1}),
    Variant("paint-raw", "what is the average of weights worth?", "paint", run=PAINT, averaged=False),
    Variant("paint-unwarped", "what does the warp cost, and what does it bring?", "paint", run=PAINT, strength=0.0),
    Variant("hinge", "identity: what is below the threshold", "paint", {"hinge": 1.0}),
    Variant("cosine", "identity: nearer at any distance", "paint", {"cosine": 1.0}),
    Variant("contrast", "identity: nearer than the others of the batch", "paint", {"contrast": 0.1}),
    Variant("distillation", "identity: who looks like whom", "paint", {"distillation": 1.0}),
    Variant("distillation-sharp", "the same at half the temperature", "paint", {"distillation": 1.0, "softness": 0.05}),
    Variant("distillation-soft", "the same at three times it", "paint", {"distillation": 1.0, "softness": 0.3}),
    Variant("texture", "a discriminator of patches and the whole", "paint", {"texture": 0.1}),
    Variant("texture-patch", "a discriminator of patches alone", "paint", {"texture": 0.1, "whole": False}),
)

app = typer.Typer(help=__doc__, add_completion=False)


@app.command()
def main(
    into: Annotated[Path, typer.Argument(help="folder of the runs and figures")],
    shapes: Annotated[Path, typer.Option(help="a pack of shapes")],
    drawings: Annotated[Path, typer.Option(help="a pack of drawings")],
    packed: Annotated[Path, typer.Option(help="folder that training.data.portraits wrote")],
    law: Annotated[Path | None, typer.Option(help="shapes by the law alone; without, that variant is left out")] = None,
    artists: Annotated[Path | None, typer.Option(help="the same by the artists' habit alone")] = None,
    images: Annotated[int, typer.Option(min=1, help="that each variant is trained with")] = 6_000,
    people: Annotated[int, typer.Option(min=1, help="set aside, by whom each is judged")] = 100,
    only: Annotated[list[str] | None, typer.Option(help="a variant; may be repeated; by default all")] = None,
) -> None:
    """Train and judge every variant that has no figures yet; then the tables."""
    packs = {"both": shapes, "law": law, "artists": artists}
    chosen = [each for each in VARIANTS if packs[each.taught] and each.name in (only or names())]
    if unknown := set(only or ()) - {each.name for each in chosen}:
        raise typer.BadParameter(f"--only: no variant {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    with told():
        keep_to(into, {"images": images, "people": people})
        runs = Runs(into, {name: pack for name, pack in packs.items() if pack}, drawings, images)
        bench, lines = Bench(packed, drawings, people), into / LINES
        for variant in chosen:
            if variant.name in (known := figures(lines)):
                found = known[variant.name]
            else:
                found = bench.judged(variant, runs.trained(variant))
                add(lines, variant, found)
            typer.echo(line(variant, found))
        known = figures(lines)
        for part, columns in COLUMNS.items():
            typer.echo("\n" + table([each for each in VARIANTS if each.part == part], known, columns))


def names() -> list[str]:
    """Of all variants."""
    return [each.name for each in VARIANTS]


# Training


@dataclass(frozen=True)
class Runs:
    """The variants' runs in a folder."""

    into: Path
    shapes: Mapping[str, Path]
    """Packs, by what they are taught by."""
    drawings: Path
    images: int

    def trained(self, variant: Variant) -> Path:
        """The run whose networks are the variant's, at its end; what it begins from is trained first.

        Raises TrainingError, and KeyboardInterrupt if somebody interrupts.
        """
        if variant.run:
            return self.trained(named(variant.run))
        folder, paints = self.into / variant.name, variant.part == "paint"
        begin_from = self.trained(named(WARP)) if paints else None
        session = Session(NAME, self._settings(variant), folder)
        if not session.train(self.drawings if paints else self.shapes[variant.taught], begin_from=begin_from):
            raise KeyboardInterrupt
        return folder

    def _settings(self, variant: Variant) -> Mapping[str, Any]:
        settings = {**BASE, "images": self.images, "part": variant.part, **variant.settings}
        return settings | ({"drawings": str(self._drawn)} if settings.get("texture") else {})

    @cached_property
    def _drawn(self) -> Path:
        """Drawings without their photos, of the pairs that are learnt from: what a discriminator takes for drawings."""
        path, pack = self.into / DRAWN, Pack(self.drawings)
        if not path.exists():
            sources = [pack.names["source"][code] for code in pack.columns["source"][: -BASE["apart"]]]
            halves = (np.hsplit(pack.image(index), 2)[1] for index in range(len(sources)))
            names = ({"domain": DRAWING, "source": source} for source in sources)
            write(path, map(Example, halves, names))
        return path


def named(name: str) -> Variant:
    """The variant of a name."""
    return next(each for each in VARIANTS if each.name == name)


# Judging


class Bench:
    """People set aside and dlib's judge, who sees each photo once; pairs that no painter has learnt from."""

    def __init__(self, packed: Path, drawings: Path, people: int) -> None:
        self._packed, self._drawings, self._count = packed, drawings, people

    @torch.no_grad()
    def judged(self, variant: Variant, run: Path) -> Mapping[str, Interval]:
        """The figures of a variant, whose networks are a run's.

        Of `estimates`, for its drawings in the default look, or of a warp for warped photos. Of a warp also which share
        it reaches of the displacement that law and habit ask for, and where it folds; of a painter also how far its
        colours are off, -1..1, where the pairs' photos are given. Intervals are those of other people.
        """
        networks = weights(run, averaged=variant.averaged)
        translator = Translator(Warp(networks["warp"].head, BASE["side"]).eval(), networks["painter"])
        paints = variant.part == "paint"
        made = [each for photos in self._photos.split(SOME) for each in drawn(translator, photos, variant)]
        pairs = [(photo, self._judge.face(each)) for photo, each in zip(self._faces, made, strict=True) if photo]
        return estimates(pairs) | (self._painted(networks["painter"]) if paints else self._warped(translator.warp))

    def _warped(self, warp: Warp) -> Mapping[str, Interval]:
        space = FaceSpace.load(self._packed)
        landmarks = self._people.landmarks[: self._count].astype(np.float64)
        targets = landmarks + [space.displacement(face) for face in landmarks]
        fields = torch.cat(
            [warp.displacement(picture(some), *controls(len(some))) for some in self._photos.split(SOME)]
        )
        sums = energies(fields, *(points(torch.from_numpy(each).float()) for each in (landmarks, targets)))
        return {
            "explained": resampled(lambda drawn: 1 - float(np.divide(*drawn.sum(0))), sums.double().numpy()),
            "folded": mean([folded(each[None]) for each in fields]),
        }

    def _painted(self, painter: nn.Module) -> Mapping[str, Interval]:
        pack, random, missed = Pack(self._drawings), np.random.default_rng(0), list[Tensor]()
        rows = Drawings(pack, BASE["side"], len(pack) - BASE["apart"], len(pack))
        for begin in range(0, len(rows), SOME):
            some = range(begin, min(begin + SOME, len(rows)))
            batch = default_collate([rows.row(index, random) for index in some])
            painted = painter(picture(batch["photo"]), batch["style"])
            missed.append((painted - picture(batch["drawing"])).abs().mean((1, 2, 3)))
        return {"colour": mean(torch.cat(missed))}

    @cached_property
    def _people(self) -> Portraits:
        return Portraits.load(self._packed / "set-aside.npz")

    @cached_property
    def _photos(self) -> Tensor:
        """As the networks take them: uint8 [N, S, S, 3]."""
        size = (BASE["side"], BASE["side"])
        images = self._people.images[: self._count]
        return torch.from_numpy(np.stack([cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in images]))

    @cached_property
    def _judge(self) -> Judge:
        return Judge()

    @cached_property
    def _faces(self) -> Sequence[Face | None]:
        return [self._judge.face(each) for each in self._photos.numpy()]


def weights(folder: Path, *, averaged: bool) -> Mapping[str, nn.Module]:
    """The networks of a run, or the averages of them."""
    run = Run(folder)
    state = run.state(NAME)
    if state is None:
        raise RunError(f"{folder} has no checkpoint yet")
    recipe = configured(Recipe, run.facts()["settings"])
    networks = {name: network.eval() for name, network in recipe.networks().items() if name in recipe.averaged}
    found = checkpoint.unpacked("averages" if averaged else "networks", state[0])
    checkpoint.restore(networks, found, str(run.latest))
    return networks


def controls(count: int, strength: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Strength, code and parts of as many faces: what is a face's own."""
    strengths = torch.full((count,), strength)
    return strengths, no_code(strengths), torch.ones(count, len(PARTS))


def drawn(translator: Translator, photos: Tensor, variant: Variant) -> NDArray[np.uint8]:
    """What a variant makes of photos, both uint8 [B, S, S, 3]: drawings in the default look, or warped photos."""
    strength, code, parts = controls(len(photos), variant.strength)
    style = torch.tensor(DEFAULT.style()).expand(len(photos), -1)
    texture = torch.full_like(strength, variant.part == "paint")
    made: NDArray[np.uint8] = translator(photos, strength, style, code, parts, texture).numpy()
    return made


# Figures


def keep_to(into: Path, budget: Mapping[str, int]) -> None:
    """RunError if the folder was begun with another budget, whose figures cannot be compared with these."""
    path = into / BUDGET
    if path.exists():
        if (known := json.loads(path.read_text())) != budget:
            raise RunError(f"{into} was begun with {known}; it cannot go on with {budget}")
        return
    into.mkdir(parents=True, exist_ok=True)
    with drafted(path) as draft:
        draft.write_text(json.dumps(budget) + "\n")


def line(variant: Variant, found: Mapping[str, Interval]) -> str:
    """JSON without a line break; each figure as [value, low, high]."""
    ends = {name: [round(end, 4) for end in (each.value, each.low, each.high)] for name, each in found.items()}
    return json.dumps({"variant": variant.name, "figures": ends})


def add(path: Path, variant: Variant, found: Mapping[str, Interval]) -> None:
    """A line more in the file, which is whole whenever somebody interrupts."""
    before = path.read_text() if path.exists() else ""
    with drafted(path) as draft:
        draft.write_text(before + line(variant, found) + "\n")


def figures(path: Path) -> Mapping[str, Mapping[str, Interval]]:
    """Of each variant that has a line in the file."""
    lines = map(json.loads, path.read_text().splitlines() if path.exists() else [])
    return {each["variant"]: {name: Interval(*ends) for name, ends in each["figures"].items()} for each in lines}


def table(variants: Sequence[Variant], known: Mapping[str, Mapping[str, Interval]], columns: Sequence[str]) -> str:
    """Markdown: a row for each variant that has figures, with intervals."""
    rows = [["variant", *columns], ["---"] * (len(columns) + 1)]
    for variant in variants:
        if found := known.get(variant.name):
            rows.append([variant.name, *(f"{found[name]:.3f}" if name in found else "-" for name in columns)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    app()
