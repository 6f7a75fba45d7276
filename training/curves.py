"""The figures of a run as curves, a panel for each: what a sheet of paper shows of `figures.jsonl`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from training.engine.errors import RunError
from training.engine.journal import FIGURES

COLUMNS = 3
PANEL = (3.4, 2.1)  # inches
DOTS = 110  # an inch, where the format has any
SPAN = 40
"""A trend is a mean over about a fortieth of the run."""

Curve = NDArray[np.float64]
"""Images and values, [2, N]."""
Curves = Mapping[str, Curve]
"""By the figure's name."""


def read(run: Path) -> Curves:
    """The curves of a run's folder, without what an interrupted part wrote and a later one did again.

    Raises RunError if it has no figures, or a line has something else.
    """
    try:
        lines = (run / FIGURES).read_bytes().splitlines()
    except OSError as error:
        raise RunError(f"{run} has no figures: {error.strerror}") from error
    points: list[dict[str, float]] = []
    for number, line in enumerate(lines, 1):
        try:
            found = json.loads(line)
        except ValueError:
            continue  # a part of a line, which a full disk or a sudden end cut off
        try:
            point = dict(found)
            seen = float(point["images"])
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{run / FIGURES}, line {number}: no figures") from error
        if points and points[-1]["images"] > seen:
            points = [each for each in points if each["images"] < seen]
        if "complaint" not in point:
            points.append(point)
    names = dict.fromkeys(name for point in points for name in point if name != "images")
    if not names:
        raise RunError(f"{run / FIGURES} has no figures")
    return {name: np.array([(each["images"], each[name]) for each in points if name in each]).T for name in names}


def draw(runs: Mapping[str, Curves], into: Path) -> None:
    """A picture of the curves, of several runs in the same panels; the file's suffix is its format (png, svg, pdf).

    Raises RunError for a suffix that is none.
    """
    names = list(dict.fromkeys(name for curves in runs.values() for name in curves))
    rows = math.ceil(len(names) / COLUMNS)
    figure = Figure((COLUMNS * PANEL[0], rows * PANEL[1] + 0.3), layout="constrained", dpi=DOTS)
    panels: Sequence[Axes] = figure.subplots(rows, COLUMNS, squeeze=False).flat
    for panel, name in zip(panels, names, strict=False):
        _fill(panel, name, [curves.get(name) for curves in runs.values()])
    for panel in panels[len(names) :]:
        panel.set_axis_off()
    if len(runs) > 1:
        lines = [Line2D([], [], color=f"C{number}", label=run) for number, run in enumerate(runs)]
        figure.legend(handles=lines, loc="outside upper left", ncols=len(runs), frameon=False)
    try:
        figure.savefig(into)
    except ValueError as error:
        raise RunError(f"{into}: {error}") from error


def _fill(panel: Axes, name: str, curves: Sequence[Curve | None]) -> None:
    """Each run keeps its colour in all panels."""
    for number, curve in enumerate(curves):
        if curve is not None:
            images, values = curve
            panel.plot(images, values, color=f"C{number}", alpha=0.3, linewidth=0.8)
            panel.plot(images, _trend(values), color=f"C{number}", linewidth=1.4)
    panel.set_title(name, loc="left", fontsize=9)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8)
    panel.xaxis.set_major_locator(MaxNLocator(4))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda images, _: f"{images / 1000:g}k"))


def _trend(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """A mean that forgets by powers; what is not finite is passed over."""
    share = min(1.0, SPAN / len(values))
    trend, mean = [], math.nan
    for value in values:
        if math.isfinite(value):
            mean = value if math.isnan(mean) else mean + share * (value - mean)
        trend.append(mean)
    return np.array(trend)
