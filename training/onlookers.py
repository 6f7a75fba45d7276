"""Frozen networks that look at what a recipe makes, and what they say of it as terms of its loss.

Terms without a weight are not there, and a network that none of them asks is not looked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.engine.errors import RecipeError
from training.engine.phase import Batch, Step
from training.engine.recipe import Plan
from training.losses.attributes import attribute_loss, shown
from training.losses.distillation import neighbour_loss
from training.losses.frozen import Classifier, Frozen, classifier, recogniser
from training.losses.identity import contrast, faces_of_square, identity_hinge, prototypes, similarity
from training.networks.pixels import picture
from training.networks.sphereface import SphereFace


@dataclass(frozen=True, kw_only=True)
class Looking(Plan):
    """The settings."""

    hinge: float = 0.0
    threshold: float = 0.2875
    """The cosine from which a face is the person's."""
    cosine: float = 0.0
    contrast: float = 0.0
    temperature: float = 0.07
    """Of the contrast."""
    distillation: float = 0.0
    softness: float = 0.1
    """The temperature of distillation."""
    prototypes: bool = False
    """Whether a person is known by all photos of it, not by the one of which something is made."""
    recogniser: str = "models/sphereface/3"
    """The face encoder: models/NAME/VERSION, a run of the recipe `sphereface`, or a file of sphere20a."""
    attributes: float = 0.0
    """Of what a drawing keeps of hair, glasses and smile, as a classifier sees them."""
    classifier: str = "runs/attributes"
    """A run of the recipe `attributes`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.temperature <= 0 or self.softness <= 0:
            raise RecipeError("temperature and softness: must be more than 0")
        if self.prototypes and not self.identity:
            raise RecipeError("prototypes: are what hinge, cosine, contrast and distillation ask for")

    @property
    def identity(self) -> bool:
        """Whether a face encoder stands in the loss."""
        return any((self.hinge, self.cosine, self.contrast, self.distillation))


class Onlookers:
    """The networks that some settings ask for."""

    def __init__(self, settings: Looking) -> None:
        self._settings = settings

    @property
    def sources(self) -> Sequence[str]:
        """The data sets that they were trained on."""
        return [source for each in self._all for source in each.sources]

    @property
    def names(self) -> Sequence[str]:
        """They themselves, with their digests."""
        return [each.name for each in self._all]

    @property
    def _all(self) -> Sequence[Frozen[Any]]:
        asked = self._settings
        return [*([self._recogniser] if asked.identity else []), *([self._classifier] if asked.attributes else [])]

    @cached_property
    def _recogniser(self) -> Frozen[SphereFace]:
        return recogniser(Path(self._settings.recogniser))

    @cached_property
    def _classifier(self) -> Classifier:
        return classifier(Path(self._settings.classifier))

    @torch.no_grad()
    def prototypes(self, batches: Iterable[Batch], key: str) -> Tensor:
        """What the face encoder knows of each `person` of some rows, of pictures at a key: [P, D], rows of length 1."""
        seen = [(self._recogniser.network(faces_of_square(picture(batch[key]))), batch["person"]) for batch in batches]
        features, persons = (torch.cat(each) for each in zip(*seen, strict=True))
        return prototypes(features, persons)

    def identity(self, step: Step, made: Tensor, photo: Tensor) -> dict[str, Tensor]:
        """What the face encoder says of pictures [B, 3, S, S] that were made of photos.

        It knows a person by the photo, or by the `prototype` of the batch.
        """
        asked, look = self._settings, self._recogniser.network.to(made.device)
        with torch.no_grad():
            known = step.batch["prototype"] if asked.prototypes else look(faces_of_square(photo))
        seen = look(faces_of_square(made))
        cosine = similarity(seen, known)
        step.note("recognised", (cosine >= asked.threshold).float().mean())
        terms = {
            "hinge": asked.hinge * identity_hinge(cosine, asked.threshold),
            "cosine": asked.cosine * (1 - cosine).mean(),
            "contrast": asked.contrast * contrast(seen, known, asked.temperature),
            "distillation": asked.distillation * neighbour_loss(seen, known, asked.softness),
        }
        return {name: term for name, term in terms.items() if getattr(asked, name)}

    def attributes(self, made: Tensor, photo: Tensor) -> Mapping[str, Tensor]:
        """How far what the classifier says of pictures is from what it says of the photos."""
        judge = self._classifier
        look = judge.network.to(made.device)
        with torch.no_grad():
            known = look(shown(photo, judge.size))
        return {"attributes": self._settings.attributes * attribute_loss(look(shown(made, judge.size)), known)}
