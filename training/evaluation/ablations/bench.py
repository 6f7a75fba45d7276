"""How variants are judged: by people set aside, and by pairs that no painter has learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.data.caricaturist import FaceSpace
from training.data.looks import DEFAULT
from training.data.pack import Pack
from training.data.paired import Drawings
from training.data.portraits import Portraits
from training.data.streams import in_order
from training.evaluation.ablations.runs import weights
from training.evaluation.ablations.variants import BASE, Variant
from training.metrics.interval import Interval, mean, resampled
from training.metrics.judge import Face, Judge, estimates
from training.metrics.warp import energies, folded
from training.networks.pixels import picture
from training.networks.satnet_r import Translator
from training.networks.warp import PARTS, Warp, no_code
from training.recipes.satnet_r import points

SOME = 8
"""Photos that are drawn at once."""


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
        pack, missed = Pack(self._drawings), list[Tensor]()
        rows = Drawings(pack, BASE["side"], len(pack) - BASE["apart"], len(pack))
        for batch in in_order(rows, SOME, len(rows)):
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


def controls(count: int, strength: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Strength, code and parts of as many faces: what is a face's own."""
    strengths = torch.full((count,), strength)
    return strengths, no_code(strengths), torch.ones(count, len(PARTS))


def drawn(translator: Translator, photos: Tensor, variant: Variant) -> NDArray[np.uint8]:
    """What a variant makes of photos, both uint8 [B, S, S, 3]: drawings in the default look, or warped photos."""
    strength, code, parts = controls(len(photos), variant.strength)
    style = torch.tensor(DEFAULT.style()).expand(len(photos), -1)
    texture = torch.full_like(strength, variant.part == "paint")
    made = translator(photos, strength, style, code, parts, texture)
    return np.ascontiguousarray(made.numpy())  # dlib misreads what is not
