"""What a run tells while it trains: a bar, figures in a file and for TensorBoard, sheets of pictures, complaints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from training.engine.errors import RunError
from training.engine.events import Events
from training.engine.recipe import Measured, Sheet

FIGURES = "figures.jsonl"
SHEETS = "sheets"
EVENTS = "events"
_QUALITY = 92


class Journal:
    """The journal of one run; what an earlier, interrupted part of it wrote beyond `seen` is passed over by readers.

    Its methods raise RunError if a file cannot be written.
    """

    def __init__(self, folder: Path, name: str, images: int, seen: int) -> None:
        """Of a run that goes on at `seen` of `images`."""
        self._folder = folder
        # TensorBoard passes over what is at this step or later, and at `seen` itself there is a report that holds.
        with _written(folder / EVENTS):
            self._events = Events(folder / EVENTS, purged=seen + 1)
        self._told = set[str]()
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self._console,
            # It is drawn in this process: ten times a second, as rich does by itself, is 8 % of small networks' time.
            refresh_per_second=1,
        )
        self._task = self._bar.add_task(name, total=images, completed=seen, pace="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def advance(self, seen: int) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=seen)

    def report(self, seen: int, figures: Mapping[str, float], pace: float) -> None:
        """Figures since the last report; `pace` in images a second."""
        self._write(seen, {**figures, "pace": pace})
        self._bar.update(self._task, completed=seen, pace=f"{pace:.0f}/s" if pace >= 10 else f"{pace:.2f}/s")

    def measured(self, seen: int, found: Measured) -> None:
        """Figures of the averages; why others are refused is said once."""
        self._write(seen, found.figures)
        for refusal in found.refusals:
            if refusal not in self._told:
                self._told.add(refusal)
                self.say(refusal)

    def _write(self, seen: int, figures: Mapping[str, float]) -> None:
        self._line({"images": seen, **{name: float(f"{value:.5g}") for name, value in figures.items()}})
        with _written(self._folder / EVENTS):
            for name, value in figures.items():
                self._events.scalar(name, value, seen)
        shown = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        self._console.print(f"{seen:>10,}  {shown}", highlight=False, markup=False)

    def _line(self, line: Mapping[str, float | str]) -> None:
        path = self._folder / FIGURES
        with _written(path), path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def sheet(self, seen: int, sheet: Sheet) -> None:
        """A picture of pictures."""
        path, picture = self._folder / SHEETS / f"{seen:09d}.jpg", tiled(sheet)
        with _written(path):
            path.parent.mkdir(exist_ok=True)
            Pillow.fromarray(picture).save(path, quality=_QUALITY)
        with _written(self._folder / EVENTS):
            self._events.picture("sheet", picture, seen)

    def complain(self, seen: int, complaint: str) -> None:
        """In words, which stay with the figures."""
        self._line({"images": seen, "complaint": complaint})
        with _written(self._folder / EVENTS):
            self._events.text("complaint", complaint, seen)
        self._console.print(complaint, style="bold yellow", highlight=False, markup=False)

    def say(self, words: str) -> None:
        """On the terminal alone."""
        self._console.print(words, highlight=False, markup=False)


class Silent:
    """In place of a journal, in the processes beside the first: what they would tell, that one tells."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def advance(self, seen: int) -> None:
        """Nothing is shown."""

    def report(self, seen: int, figures: Mapping[str, float], pace: float) -> None:
        """Nothing is written."""

    def complain(self, seen: int, complaint: str) -> None:
        """Nothing is said."""

    def say(self, words: str) -> None:
        """Nothing is said."""


def tiled(sheet: Sheet) -> NDArray[np.uint8]:
    """One picture, uint8 [rows * height, columns * width, 3]."""
    rows, columns, height, width, _ = sheet.shape
    return sheet.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, 3)


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """An error of the system gets the name of the file, which it lacks where it is one of writing."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{path} could not be written: {error}") from error
