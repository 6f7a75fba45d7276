"""What the graphs of SATNet-R promise: three translators and what reads the style of a drawing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from export.alignment import SQUARE_256, Template
from export.contract import STYLE, Contract, Control
from training.data.caricaturist import CODE_SIZE
from training.data.looks import DEFAULT, STYLE_SIZE, STYLES
from training.networks.satnet_r import STYLE_REACH, Cartoonist, Restorer, StyleReader, Translator
from training.networks.warp import FRAME, PARTS

EXAGGERATED = Control("strength", (), 0.0, 3.0, 1.0, "Exaggeration: 0 keeps the face as it is")
SHAPED = Control("strength", (), 0.0, 2.0, 1.0, "How far the face takes a cartoon's proportions: 0 keeps its own")
UNDONE = Control("strength", (), 0.0, 2.0, 1.0, "How far the exaggeration is undone: 0 keeps the drawing's shape")
DRAWN = Control(STYLE, (STYLE_SIZE,), -STYLE_REACH, STYLE_REACH, DEFAULT.style(), "How it is drawn, each N(0, 1)")
CODED = Control("code", (CODE_SIZE,), -4.0, 4.0, (0.0,) * CODE_SIZE, "Another exaggeration of the face, each N(0, 1)")
SHARES = Control("parts", (len(PARTS),), 0.0, 2.0, (1.0,) * len(PARTS), f"Share of the strength for {', '.join(PARTS)}")
TEXTURE = Control("texture", (), 0.0, 1.0, 1.0, "0 the warped photo, 1 the drawing")


@dataclass(frozen=True)
class Kind:
    """One kind of graph."""

    graph: type[nn.Module]
    description: str
    controls: tuple[Control, ...] = ()
    """In the order of the graph's inputs."""
    styles: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    given: Literal["photo", "drawing"] = "photo"
    """Which of a pair it takes."""
    reads: bool = False
    """Whether it gives the style of a picture, and not a picture."""

    def contract(self, side: int, provenance: Mapping[str, str]) -> Contract:
        """Of the graph for pictures [side, side]."""
        return Contract(
            role="style" if self.reads else "translator",
            template=template(side),
            controls=self.controls,
            styles=self.styles,
            output="style" if self.reads else "image",
            output_shape=(STYLE_SIZE,) if self.reads else (side, side, 3),
            description=self.description,
            provenance=dict(provenance),
        )


KINDS: Mapping[str, Kind] = {
    "caricature": Kind(
        Translator,
        "Photo to caricature: exaggerates what is particular about a face and paints it (SATNet-R)",
        (EXAGGERATED, DRAWN, CODED, SHARES, TEXTURE),
        {name: look.style() for name, look in STYLES.items()},
    ),
    "cartoon": Kind(
        Cartoonist,
        "Photo to cartoon: gives a face a cartoon's proportions and draws it in vector art (SATNet-R)",
        (SHAPED, SHARES, TEXTURE),
    ),
    "photo": Kind(
        Restorer,
        "Drawing to photo: undoes what was exaggerated about a face and makes a photo of it (SATNet-R)",
        (UNDONE, SHARES),
        given="drawing",
    ),
    "exemplar": Kind(
        StyleReader,
        "Drawing to style: reads how it is drawn, as the translator's `style` takes it (SATNet-R)",
        given="drawing",
        reads=True,
    ),
}
"""By direction, but for what reads styles."""


def template(side: int) -> Template:
    """The frame of SQUARE_256 on fewer pixels, whose centres are at integers."""
    if side == FRAME:
        return SQUARE_256
    share = side / FRAME
    return Template(side, side, tuple(((x + 0.5) * share - 0.5, (y + 0.5) * share - 0.5) for x, y in SQUARE_256.points))
