"""What the terms of data sets mean for what learnt from them. A source is a name and, in brackets, its terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

RESEARCH = "research"
"""A source whose terms have this word makes weights that are for research only."""
_TAUGHT, _BETWEEN = "teachers", "; "


class Terms(TypedDict):
    """Fields of a contract."""

    notice: str
    licence: str
    data: tuple[str, ...]


def terms(sources: Sequence[str]) -> Terms:
    """Of a model that learnt from them."""
    names = [source.partition(" (")[0] for source in sources if RESEARCH in source]
    return Terms(
        notice=f"Research only: trained on {', '.join(names)}, non-commercial research" if names else "",
        licence="Research only, as the training data" if names else "",
        data=tuple(sources),
    )


def taught(teachers: Sequence[str]) -> dict[str, str]:
    """What the provenance of a contract says of the networks in a model's loss, each with its digest."""
    return {_TAUGHT: _BETWEEN.join(teachers)} if teachers else {}


def teachers(provenance: Mapping[str, str]) -> tuple[str, ...]:
    """They, back out of it."""
    return tuple(filter(None, provenance.get(_TAUGHT, "").split(_BETWEEN)))


def foreign(file: str) -> str:
    """The source that a checkpoint of others is."""
    return f"{Path(file).name} (its authors' terms, and those of the research data they used)"
