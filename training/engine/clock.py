"""The one clock of training: images seen. What is due, how fast to learn and how large pictures are follow from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

Schedule = Callable[[int], float]
"""Images seen -> share of a phase's learning rate."""


def due(before: int, after: int, every: int) -> bool:
    """Whether a multiple of `every` images was reached on the way from `before` to `after`; 0: never."""
    return every > 0 and after // every > before // every


def constant(seen: int) -> float:
    """The whole learning rate, always."""
    return 1.0


def linear_decay(start: int, end: int) -> Schedule:
    """All of it until `start` images, then a straight line to 0 at `end` (CycleGAN, U-GAT-IT)."""
    return lambda seen: 1.0 - min(max(seen - start, 0) / (end - start), 1.0)


def half_cosine(images: int, warm_up: int = 0) -> Schedule:
    """A straight rise over `warm_up` images, then half a cosine to 0 at `images`."""

    def share(seen: int) -> float:
        if seen < warm_up:
            return (seen + 1) / (warm_up + 1)
        return 0.5 * (1 + math.cos(math.pi * min((seen - warm_up) / (images - warm_up), 1.0)))

    return share


def steps_down(at: tuple[int, ...], factor: float = 0.1) -> Schedule:
    """Times `factor` at each of these numbers of images (SphereFace)."""
    return lambda seen: factor ** sum(seen >= place for place in at)


@dataclass(frozen=True)
class Size:
    """How pictures are at one moment of progressive growth."""

    resolution: int
    alpha: float
    """Share of the newest resolution in the picture; 1: it has faded in."""


@dataclass(frozen=True)
class Growth:
    """Progressive growth (Karras et al. 2018, section 2) by images alone, so that a run resumes within a fade.

    `start` is held for `hold` images; then each further resolution fades in over `fade` images and is held, until
    `end`, which is held for ever. Resolutions are powers of two.
    """

    start: int
    end: int
    hold: int
    fade: int

    def at(self, seen: int) -> Size:
        """The size after so many images."""
        past, resolution = seen - self.hold, self.start
        while past >= 0 and resolution < self.end:
            resolution *= 2
            if past < self.fade:
                return Size(resolution, (past + 1) / (self.fade + 1))
            past -= self.fade + self.hold
        return Size(resolution, 1.0)

    @property
    def arrivals(self) -> tuple[int, ...]:
        """Images after which each further resolution begins."""
        count = int(math.log2(self.end // self.start))
        return tuple(self.hold + number * (self.fade + self.hold) for number in range(count))
