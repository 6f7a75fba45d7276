"""Tables of figures, for a terminal and for a page."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.table import Table as RichTable


@dataclass(frozen=True)
class Table:
    """Its rows are as long as its header."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """The title as a paragraph, and the table."""
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        return "\n".join([f"**{self.title}**", "", *("| " + " | ".join(line) + " |" for line in lines)])

    def rich(self) -> RichTable:
        """For the terminal."""
        table = RichTable(*self.header, title=self.title)
        for row in self.rows:
            table.add_row(*row)
        return table


def number(value: float | None, digits: int) -> str:
    """Empty where there is none."""
    return "" if value is None else f"{value:.{digits}f}"


def milliseconds(value: float | None) -> str:
    """With three digits or so."""
    return number(value, 0 if value and value >= 100 else 1)


def megabytes(size: float) -> str:
    """Of a million bytes."""
    return f"{size / 1e6:.0f}"


def median(values: Iterable[float | None]) -> float | None:
    """Of those that are there."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
