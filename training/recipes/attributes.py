"""What can be seen of a face, in photos and in drawings: the colour of its hair, glasses, a smile (He et al. 2016).

A judge of translators, which says what of a photo its drawing has kept (`likeness eval --attributes`), and small enough
to stand in a loss; it is read from its run and never served. Here at 64 pixels, with 0.43 million parameters. Data: a
pack of aligned faces with the columns of training.data.attributes, photos and drawings.

    likeness train attributes --data runs/attributes.pack
    python -m training.evaluation.cards attributes runs/attributes runs/attributes.pack

Each step, over views of the faces, photos at times as if painted:

    NAME:  cross-entropy of an attribute, rare answers weighing more; a face of which it is not known: 0
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from export.contract import Contract
from training.data.attributes import ANSWERS, UNKNOWN, Labelled
from training.data.pack import Pack
from training.data.recognition import TEST
from training.data.streams import Shuffled
from training.engine import recipe as engine
from training.engine.clock import half_cosine
from training.engine.errors import RecipeError
from training.engine.phase import Batch, Networks, Phase, Step, adamw
from training.engine.randomness import Random
from training.engine.recipe import Measured, Plan, Positive, Sheet, Stream
from training.metrics.attributes import balanced
from training.metrics.classifier import told
from training.networks.attributes import Attributes
from training.networks.pixels import picture


@dataclass(frozen=True, kw_only=True)
class Config(Plan):
    """For three to four thousand faces."""

    images: int = 120_000
    batch: int = 64
    half_life: int = 3_000
    measure: int = 20_000
    size: Annotated[int, Field(ge=16, multiple_of=16)] = 64
    width: Positive = 20
    rate: float = 2e-3
    warm_up: int = 3_000
    decay: float = 0.05
    drawn: Annotated[float, Field(ge=0, le=1)] = 0.3
    jitter: Annotated[float, Field(ge=0)] = 2.0
    """The last two as in training.data.attributes.Labelled."""


class Recipe(engine.Recipe):
    """One network with a head for each attribute."""

    Config = Config
    averaged = ("classifier",)
    config: Config

    def networks(self) -> dict[str, nn.Module]:
        answers = {name: len(each) for name, each in ANSWERS.items()}
        return {"classifier": Attributes(self.config.width, answers)}

    def phases(self) -> Sequence[Phase]:
        knobs = self.config
        return (
            Phase(
                name="faces",
                trains=("classifier",),
                loss=self.loss,
                optimiser=adamw(knobs.rate, decay=knobs.decay),
                schedule=half_cosine(knobs.images, min(knobs.warm_up, knobs.images // 2)),
                clip=5.0,
            ),
        )

    def loss(self, step: Step) -> Mapping[str, Tensor]:
        """The mean over all rows, to which those that do not weigh add nothing."""
        logits, terms = step.networks["classifier"](picture(step.batch["image"])), dict[str, Tensor]()
        for name, found in logits.items():
            codes, weight = step.batch[name], step.batch[f"{name}_weight"]
            each = functional.cross_entropy(found.float(), codes, ignore_index=UNKNOWN, reduction="none")
            terms[name] = (weight * each).mean()
        return terms

    def stream(self, data: Path) -> Stream:
        knobs = self.config
        return Shuffled(Labelled(Pack(data), knobs.size, drawn=knobs.drawn, jitter=knobs.jitter), knobs.seed)

    def sheet(self, networks: Networks, examples: Batch, random: Random) -> Sheet:
        return examples["image"][None].cpu().numpy()

    def measure(self, networks: Networks, data: Path) -> Measured:
        """The share of right answers about faces set aside, if the pack has any, every answer weighing the same."""
        pack = Pack(data)
        if TEST not in pack.names.get("split", ()):
            return Measured()
        found = told(networks["classifier"], pack.where("split", TEST), self.config.size)
        return Measured({f"{each.attribute}@{each.domain}": balanced(each.known, each.found) for each in found})

    def exported(self, networks: Networks) -> nn.Module:
        raise _unserved()

    def contract(self, provenance: Mapping[str, str]) -> Contract:
        raise _unserved()


def _unserved() -> RecipeError:
    return RecipeError("attributes is a judge, read from its run: there is no role in which it would be served")
