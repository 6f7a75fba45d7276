"""When a run is sick, and what to do about it, in words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Symptom:
    """A figure that has been out of its bounds for several reports."""

    figure: str
    above: float = math.inf
    below: float = -math.inf
    reports: int = 5
    """In a row."""
    says: str
    """What it means."""
    try_: str
    """What usually helps."""

    def shows(self, figures: Mapping[str, float]) -> bool:
        """In one report."""
        value = figures.get(self.figure)
        return value is not None and not self.below <= value <= self.above


class Health:
    """Watches the reports of one run."""

    def __init__(self, symptoms: Iterable[Symptom]) -> None:
        self._symptoms = list(symptoms)
        self._times: Counter[int] = Counter()

    def complaints(self, figures: Mapping[str, float]) -> list[str]:
        """A sentence for each symptom that has just become one."""
        found = []
        for number, symptom in enumerate(self._symptoms):
            self._times[number] = self._times[number] + 1 if symptom.shows(figures) else 0
            if self._times[number] == symptom.reports:
                found.append(f"{symptom.says} ({symptom.figure} is {figures[symptom.figure]:.3g}). {symptom.try_}")
        return found
