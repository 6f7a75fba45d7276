"""What is compared: settings that all runs have, and where each variant differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

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
WARP, BEGUN, PAINT = "warp", "begun", "paint"
"""The variants that the others are compared with, or begin from."""
ATTRIBUTES = "attributes"
"""The variant in whose loss a classifier stands."""


LOOSE: Mapping[str, Any] = {"colour": 0.1, "edges": 0.3, "lines": 0.1}
"""A tenth of the weight of pairs."""
STYLES: Mapping[str, Any] = {"texture": 0.1, **LOOSE, "reader": "models/style/1", "clusters": 6}
"""A discriminator that sees drawings in the styles of others."""


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
    told: str = ""
    """A column that the drawings must have."""

    @property
    def begins(self) -> str:
        """The variant whose networks it begins from, if there is one."""
        return "" if self.part == WARP else WARP if self.name == BEGUN else BEGUN

    @property
    def budget(self) -> str:
        """Whose number of images it is trained with."""
        return self.name if self.name == BEGUN else self.part


VARIANTS = (
    Variant(WARP, "the warp that all painters are judged with", "warp"),
    Variant("warp-law", "is it the law alone?", "warp", taught="law"),
    Variant("warp-artists", "is it what artists do to every face?", "warp", taught="artists"),
    Variant(BEGUN, "the painter that all others go on from", "paint"),
    Variant(PAINT, "colour, edges, lines and style alone", "paint"),
    Variant("paint-again", "how far is another seed from that?", "paint", {"seed": 1}),
    Variant("paint-raw", "and the weights without their average?", "paint", run=PAINT, averaged=False),
    Variant("paint-unwarped", "and the drawing without the warp?", "paint", run=PAINT, strength=0.0),
    Variant("hinge", "identity: like the person, up to a threshold?", "paint", {"hinge": 1.0, "threshold": 0.6}),
    Variant("cosine", "identity: ever more like the person?", "paint", {"cosine": 1.0}),
    Variant("prototypes", "more like all its photos?", "paint", {"cosine": 1.0, "prototypes": True}, told="person"),
    Variant("contrast", "identity: rather the person than the batch's others?", "paint", {"contrast": 1.5}),
    Variant("distillation", "identity: like whom the person is like?", "paint", {"distillation": 25.0}),
    Variant("distillation-sharp", "the nearest ones above all?", "paint", {"distillation": 35.0, "softness": 0.05}),
    Variant("distillation-soft", "everybody alike?", "paint", {"distillation": 20.0, "softness": 0.3}),
    Variant(ATTRIBUTES, "hair, glasses and smile as the photo has them?", "paint", {"attributes": 0.05}),
    Variant("texture", "a discriminator of patches and of the whole?", "paint", {"texture": 0.1}),
    Variant("texture-patch", "of patches alone?", "paint", {"texture": 0.1, "whole": False}),
    Variant("texture-loose", "its word alone, nearly?", "paint", {"texture": 0.1, **LOOSE}),
    Variant(
        "texture-diverse", "and every style another drawing?", "paint", {"texture": 0.1, **LOOSE, "diversity": 0.1}
    ),
    Variant("texture-styles", "drawn as others were drawn, of whom it is told the kind?", "paint", STYLES),
    Variant("texture-matched", "as those of the same sex?", "paint", {**STYLES, "matched": "gender"}, told="gender"),
)
"""Terms of frozen networks have weights at which each pulls about alike at a trained painter, half as hard as pairs do.

The hinge's own threshold is passed by nearly every drawing there, so that it would pull at nothing.
"""


def names() -> list[str]:
    """Of all variants."""
    return [each.name for each in VARIANTS]


def named(name: str) -> Variant:
    """The variant of a name."""
    return next(each for each in VARIANTS if each.name == name)
