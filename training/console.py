"""What the commands tell whoever sits at the terminal: errors in a sentence, how far they are, what they counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import typer

T = TypeVar("T")
INTERRUPTED = 130
"""Exit status, as of a shell's command that Ctrl-C ended."""


@contextmanager
def told() -> Iterator[None]:
    """Errors and Ctrl-C in a sentence, without a traceback."""
    try:
        from export.contract import ContractError, ControlError
        from export.repository import RepositoryError
        from training.engine.errors import TrainingError
    except ImportError as error:
        raise _incomplete(error) from None
    try:
        yield
    except ImportError as error:
        raise _incomplete(error) from None
    except (TrainingError, ContractError, ControlError, RepositoryError, OSError) as error:
        typer.secho(str(error), fg="red", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt as error:
        typer.secho(str(error) or "interrupted", fg="red", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _incomplete(error: ImportError) -> typer.Exit:
    typer.secho(f"{error}; install likeness[training]", fg="red", err=True)
    return typer.Exit(2)


def watched(things: Iterable[T], what: str, count: int | None = None) -> Iterator[T]:
    """The things, one after the other, with a bar on stderr that is gone when they are.

    `count`: how many there are, where their type does not tell.
    """
    from rich.console import Console
    from rich.progress import track

    return iter(track(things, what, count, transient=True, console=Console(stderr=True)))


def pair(text: str) -> tuple[str, str]:
    """Both sides of key=value, as an option has it."""
    key, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not key=value")
    return key, value


def show(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """A line and, if it has any rows, a table on stdout."""
    from rich.console import Console
    from rich.table import Table

    console, table = Console(), Table(*columns)
    for row in rows:
        table.add_row(*map(str, row))
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    if table.rows:
        console.print(table, markup=False)


def counted(counts: Mapping[str, int]) -> str:
    """In words, the most frequent first: "12 drawing, 3 photo"."""
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{count:,} {name or '-'}" for name, count in ordered)
