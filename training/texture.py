"""A discriminator that sees drawings of others, and what it says of a recipe's as a term of its loss.

Without a weight it is not there. Patches and the whole are judged at once (StarGAN v2's penalty R1, lazily as in
StyleGAN2; DiffAugment, Zhao et al. 2020); of drawings in the styles of others, read by a published reader, it is told
the kind (projection, Miyato and Koyama 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from training.data.errors import DataError
from training.data.pack import Pack
from training.data.paired import Beside, clusters, column
from training.data.sources import DRAWING
from training.data.streams import in_order
from training.data.views import Views
from training.engine.errors import RecipeError
from training.engine.phase import Phase, Step
from training.engine.recipe import Plan, Positive, Share, Stream
from training.losses.adversarial import NON_SATURATING, note_signs
from training.losses.augmentation import augmented
from training.losses.frozen import Frozen, reader
from training.losses.penalties import lazy, r1
from training.networks.discriminators import Discriminator
from training.networks.pixels import picture
from training.networks.satnet_r import StyleReader, discriminator
from training.networks.warp import FRAME

NETWORK = "discriminator"
"""The discriminator's name in a recipe."""


@dataclass(frozen=True, kw_only=True)
class Textured(Plan):
    """The settings."""

    texture: float = 0.0
    """The weight of the discriminator's word."""
    drawings: str = ""
    """A pack of drawings of any photos, aligned to square-256; or of photos, where these are made."""
    domain: str = DRAWING
    """Which of its pictures are looked at."""
    reader: str = ""
    """A published reader of styles (models/style/1): what the discriminator sees is drawn in those of `drawings`."""
    matched: str = ""
    """A column of both packs: the drawing whose style a photo gets is of somebody who is alike in it."""
    clusters: Annotated[int, Field(ge=0)] = 0
    """How many kinds of those styles there are, of which the discriminator is told the picture's."""
    discriminator_width: Positive = 32
    whole: bool = True
    """Whether the discriminator sees the whole of a picture beside its patches."""
    discriminator_rate: float = 2e-4
    gamma: float = 10.0
    """Of the penalty R1, which comes with every `penalty_every`-th step."""
    penalty_every: Positive = 16
    augmented: Share = 1.0
    """The share of pictures that each kind of augmentation changes before they are judged."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.texture and not self.drawings:
            raise RecipeError("texture: takes drawings; --set drawings=PACK says where they are")
        if self.reader and not self.texture:
            raise RecipeError("reader: is of texture, whose drawings it reads")
        if (self.matched or self.clusters) and not self.reader:
            raise RecipeError("matched and clusters: are of styles that a reader reads; --set reader=models/style/1")


class Texture:
    """The discriminator that some settings ask for, and the drawings that it sees."""

    def __init__(self, settings: Textured) -> None:
        self._settings = settings

    @property
    def sources(self) -> Sequence[str]:
        """The data sets of the drawings, and those that the reader was trained on."""
        knobs = self._settings
        drawings = Pack(Path(knobs.drawings)).present("source") if knobs.texture else ()
        return [*drawings, *(self._reader.sources if knobs.reader else ())]

    @property
    def names(self) -> Sequence[str]:
        """Of the reader, with its digest."""
        return [self._reader.name] if self._settings.reader else []

    @cached_property
    def _reader(self) -> Frozen[StyleReader]:
        return reader(Path(self._settings.reader))

    def networks(self, side: int) -> Mapping[str, Discriminator]:
        """By name, of pictures of a side; none without a weight."""
        knobs = self._settings
        if not knobs.texture:
            return {}
        return {NETWORK: discriminator(side, knobs.discriminator_width, whole=knobs.whole, kinds=knobs.clusters)}

    def phases(self, made: Callable[[Step], Tensor]) -> Sequence[Phase]:
        """In which it learns, if it is there; `made`: the recipe's pictures [B, 3, S, S] of a step."""
        knobs = self._settings
        if not knobs.texture:
            return ()

        def adversarial(step: Step) -> Mapping[str, Tensor]:
            """Pictures of others are such pictures, those that were made are not."""
            real, false = (self._judged(step, each) for each in (picture(step.batch["other"]), made(step).detach()))
            note_signs(step, real["patch_real"], false["patch_real"])
            losses = [NON_SATURATING.discriminator(real[name], false[name]) for name in real]
            return {"adversarial": torch.stack(losses).mean()}

        judge = Phase(
            name=NETWORK,
            trains=(NETWORK,),
            loss=adversarial,
            optimiser=lazy(knobs.discriminator_rate, (0.0, 0.99), knobs.penalty_every),
        )
        penalty = Phase(
            name="r1",
            trains=(NETWORK,),
            loss=self._penalty,
            shares=NETWORK,
            every=knobs.penalty_every,
        )
        return judge, penalty

    def _penalty(self, step: Step) -> Mapping[str, Tensor]:
        """Flat where those of others are."""

        def judged(pictures: Tensor) -> Tensor:
            return torch.stack([each.mean((1, 2, 3)) for each in self._judged(step, pictures).values()]).mean(0)

        penalty = r1(judged, picture(step.batch["other"]))
        return {"gradient": self._settings.gamma * self._settings.penalty_every * penalty}

    def deceived(self, step: Step, made: Tensor) -> Mapping[str, Tensor]:
        """How far it is from taking pictures [B, 3, S, S] that were made for others'."""
        judged = [NON_SATURATING.deceive(logits) for logits in self._judged(step, made).values()]
        return {"texture": self._settings.texture * torch.stack(judged).mean()}

    def _judged(self, step: Step, pictures: Tensor) -> Mapping[str, Tensor]:
        found: Mapping[str, Tensor] = step.networks[NETWORK](
            augmented(pictures, step.random, self._settings.augmented), step.batch.get("cluster")
        )
        return found

    def beside(self, pairs: Stream, photos: Pack, side: int) -> Stream:
        """Pairs with drawings of others, if asked for with the styles that are read of them, and the kinds of those.

        DataError where a pack does not tell what these are to be matched by.
        """
        knobs = self._settings
        drawings = Pack(Path(knobs.drawings)).where("domain", knobs.domain)
        told: dict[str, NDArray[Any]] = {}
        if knobs.reader:
            whole = in_order(Views(drawings, FRAME, margin=0, varied=False), knobs.batch, len(drawings))
            with torch.no_grad():
                told["other_style"] = torch.cat([self._reader.network(each["image"]) for each in whole]).numpy()
        if knobs.clusters:
            told["cluster"] = clusters(told["other_style"], knobs.clusters, knobs.seed)
        alike = None
        if knobs.matched:
            alike = knobs.matched, column(drawings, knobs.matched)
            if lonely := set(column(photos, knobs.matched).tolist()) - set(alike[1].tolist()):
                raise DataError(f"{drawings.path}: no drawing has {knobs.matched} {lonely.pop()}, as photos have")
        return Beside(pairs, Views(drawings, side), knobs.seed + 1, told, alike)
