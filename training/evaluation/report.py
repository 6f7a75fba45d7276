"""An evaluation told three ways: a table for people, a line for programs, a page with pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
from rich.table import Table

from export.alignment import Image
from training.evaluation.evaluate import Evaluation
from training.evaluation.findings import Sheet, meaning
from training.metrics.interval import Interval
from training.page import embedded, filled

PAGE = Path(__file__).with_suffix(".html")
_SIDE = 192
"""Pixels of a picture's longer side on the page, at most."""


def table(evaluation: Evaluation) -> Table:
    """For a terminal."""
    found = evaluation.found
    shown = Table(title=_title(evaluation), caption="\n".join(found.remarks) or None, caption_justify="left")
    shown.add_column("figure")
    shown.add_column("value", justify="right")
    shown.add_column("95 %", justify="right")
    shown.add_column("what it is")
    for name, value in found.figures.items():
        shown.add_row(name, *_written(value), meaning(name))
    return shown


def line(evaluation: Evaluation) -> str:
    """JSON without a line break; each figure as [value, low, high]."""
    found = evaluation.found
    told = {
        "model": evaluation.name,
        "role": evaluation.contract.role,
        "request": evaluation.request,
        "counts": found.counts,
        "figures": {name: [_short(each) for each in _ends(value)] for name, value in found.figures.items()},
        "remarks": found.remarks,
    }
    return json.dumps(told)


@dataclass(frozen=True)
class Row:
    """A row of a sheet as it stands on the page."""

    name: str
    pictures: Sequence[str]
    """Data URIs."""


def page(evaluation: Evaluation) -> str:
    """HTML that needs no other file."""
    found = evaluation.found
    return filled(
        PAGE,
        title=_title(evaluation),
        contract=evaluation.contract,
        request=evaluation.request,
        figures=[(name, *_written(value), meaning(name)) for name, value in found.figures.items()],
        remarks=found.remarks,
        sheets=[(sheet.title, _rows(sheet)) for sheet in found.sheets],
    )


def _title(evaluation: Evaluation) -> str:
    counts = ", ".join(f"{count:,} {what}" for what, count in evaluation.found.counts.items())
    return f"{evaluation.name}: {counts}" if counts else evaluation.name


def _rows(sheet: Sheet) -> list[Row]:
    return [Row(name, [_uri(image) for image in row]) for name, row in zip(sheet.names, sheet.rows, strict=True)]


def _uri(image: Image) -> str:
    scale = min(1.0, _SIDE / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    return embedded(small)


def _written(value: Interval) -> tuple[str, str]:
    """The value and its interval; nothing where there is none."""
    interval = "" if value.low == value.high else f"{value.low:.4g}..{value.high:.4g}"
    return f"{value.value:.4g}", interval


def _ends(value: Interval) -> tuple[float, float, float]:
    return value.value, value.low, value.high


def _short(value: float) -> float:
    return float(f"{value:.5g}")
