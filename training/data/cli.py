"""`likeness data`: sets of pictures before anything learns from them.

A set in any known form is read, and what is found out about it is written as a table: `index.csv`, a line for each
picture. Commands add to a line; none removes one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training.console import counted, pair, show, told, watched

if TYPE_CHECKING:
    from training.data.sources import Picture

app = typer.Typer(help="Sets of pictures: list, align, reject, split, report, pack.", no_args_is_help=True)


class Format(StrEnum):
    """How a set lies on disk."""

    FOLDER = "folder"
    UNPAIRED = "trainA-trainB"
    CLASSES = "class-folders"
    ATTRIBUTES = "attribute-list"
    TABLE = "table"
    WEB_CARICATURE = "webcaricature"
    CARTOON_SET = "cartoon-set"


class Frame(StrEnum):
    """Names of training.data.crops.TEMPLATES."""

    SQUARE = "square-256"
    SPHEREFACE = "sphereface"
    SATNET = "satnet"


Sets = Annotated[list[Path], typer.Argument(help="folders, tables or lists", metavar="SET...", show_default=False)]
Tables = Annotated[list[Path], typer.Argument(help="tables that `align` or `list` wrote", metavar="INDEX.CSV...")]
As = Annotated[
    Format | None, typer.Option("--format", help="how the sets lie on disk; by default table for .csv, else folder")
]
Images = Annotated[Path | None, typer.Option(help="where the pictures of a table or an attribute list lie")]
Domains = Annotated[
    list[str] | None,
    typer.Option("--domain", help="domain of pictures that have none, or A=photo to rename one; may be repeated"),
]
Template = Annotated[Frame, typer.Option(help="where the points of a face stand")]


@app.command("list")
def list_(
    sets: Sets,
    form: As = None,
    images: Images = None,
    domain: Domains = None,
    into: Annotated[Path | None, typer.Option(help="write the table of all pictures")] = None,
) -> None:
    """Say what is in sets, without opening a picture."""
    with told():
        pictures = _read(sets, form, images, domain)
        show(f"{len(pictures):,} pictures", ["", "pictures"], _inventory(pictures))
        if into is not None:
            from training.data import tables

            tables.write(into, pictures)


@app.command()
def align(
    context: typer.Context,
    sets: Sets,
    into: Annotated[Path, typer.Option(help="a new folder, for the crops and their table")],
    form: As = None,
    images: Images = None,
    domain: Domains = None,
    template: Template = Frame.SQUARE,
) -> None:
    """Cut the largest face out of each picture, by its points or else by those that the service finds."""
    with told():
        from training.data import crops, tables
        from training.data.errors import DataError

        if (into / tables.INDEX).exists():
            raise DataError(f"{into} holds a set already")
        pictures = _read(sets, form, images, domain)
        # Whoever composes the command gives what finds faces: nothing here may know the service.
        finder = context.obj or crops.no_finder
        found = crops.align(watched(pictures, "aligning"), crops.TEMPLATES[template], into / "img", finder)
        tables.write(into / tables.INDEX, found)
        _tell_rejected(found)


@app.command()
def reject(
    listed: Tables,
    template: Template = Frame.SQUARE,
    tolerance: Annotated[
        float | None,
        typer.Option(min=0, help="share of the area that a circle around a place may have: 0.1, of 5 points 0.025"),
    ] = None,
) -> None:
    """Mark aligned faces that are out of order, with all reasons: training/data/rejection.py has the six rules."""
    with told():
        from dataclasses import replace

        from training.data import crops, tables
        from training.data.rejection import verdict

        frame = crops.TEMPLATES[template]
        for each in listed:
            pictures = _read([each], Format.TABLE)
            crops.check(pictures, frame)
            found = [replace(picture, rejected=verdict(picture, frame, tolerance)) for picture in pictures]
            tables.mark(each, "rejected", [picture.rejected for picture in found])
            _tell_rejected(found)


@app.command()
def split(
    listed: Tables,
    share: Annotated[
        list[str] | None, typer.Option(help="test=0.1: a part, and its share of the persons; may be repeated")
    ] = None,
    people: Annotated[
        list[str] | None,
        typer.Option(help="test=FILE: a part, and its persons, one a line or WebCaricature's; may be repeated"),
    ] = None,
    seed: int = 0,
) -> None:
    """Divide sets into parts that share no person; what is in no part named here is `train`."""
    if bool(share) == bool(people):
        raise typer.BadParameter("either --share or --people says what the parts are")
    with told():
        from training.data import sources, splits, tables

        sets = [_read([each], Format.TABLE) for each in listed]
        pictures = [picture for each in sets for picture in each]
        if people:
            lists = {part: sources.people(Path(file)) for part, file in map(pair, people)}
            parts = splits.by_list(pictures, lists)
        else:
            parts = splits.by_share(pictures, {part: _number(text) for part, text in map(pair, share or [])}, seed)
        values = iter(parts)
        for each, mine in zip(listed, sets, strict=True):
            tables.mark(each, "split", [next(values) for _ in mine])
        persons = {(part, picture.person) for part, picture in zip(parts, pictures, strict=True) if picture.person}
        named = Counter(part for part, _ in persons)
        rows = [(part, count, named[part]) for part, count in Counter(parts).most_common()]
        show(f"{len(pictures):,} pictures", ["part", "pictures", "persons"], rows)


@app.command()
def report(
    sets: Sets,
    into: Annotated[Path, typer.Option(help="the page, one HTML file")],
    form: As = None,
    images: Images = None,
    domain: Domains = None,
) -> None:
    """Look at every picture, and write a page on sizes, people, duplicates, rejections and mean faces."""
    with told():
        from training.data.report import Examination
        from training.page import written

        pictures = _read(sets, form, images, domain)
        examination = Examination(pictures)
        for picture in watched(pictures, "looking"):
            examination.see(picture)
        written(examination.page(", ".join(map(str, sets))), into)
        for complaint in examination.complaints():
            typer.secho(complaint, fg="yellow", err=True)
        typer.echo(into)


@app.command()
def pack(
    sets: Sets,
    into: Annotated[Path, typer.Option(help="the pack, one file")],
    form: As = None,
    images: Images = None,
    domain: Domains = None,
    part: Annotated[str | None, typer.Option("--split", help="pack this part only, e.g. train")] = None,
    rejected: Annotated[bool, typer.Option("--rejected", help="pack rejected pictures too")] = False,
    side: Annotated[int | None, typer.Option(min=1, help="make all square, of so many pixels, without points")] = None,
    quality: Annotated[int, typer.Option(min=1, max=100, help="of JPEG")] = 95,
) -> None:
    """Write sets to one file that a run reads, without what is rejected."""
    with told():
        from training.data.pack import write
        from training.data.selection import examples, selected

        pictures = selected(_read(sets, form, images, domain), part, rejected=rejected)
        into.parent.mkdir(parents=True, exist_ok=True)
        count = write(into, watched(examples(pictures, side), "packing", len(pictures)), quality)
        domains = counted(Counter(picture.domain for picture in pictures))
        typer.echo(f"{into}: {count:,} pictures ({domains}), {into.stat().st_size / 1e6:.1f} MB")


def _read(
    sets: Iterable[Path], form: Format | None, images: Path | None = None, domains: Iterable[str] | None = None
) -> list[Picture]:
    """All pictures of all sets. DataError."""
    from dataclasses import replace

    from training.data import sources

    readers: dict[Format, Callable[[Path], list[Picture]]] = {
        Format.FOLDER: sources.folder,
        Format.UNPAIRED: sources.unpaired,
        Format.CLASSES: sources.classes,
        Format.ATTRIBUTES: lambda path: sources.attribute_list(path, images),
        Format.TABLE: lambda path: sources.table(path, images),
        Format.WEB_CARICATURE: sources.web_caricature,
        Format.CARTOON_SET: sources.cartoon_set,
    }
    # The name "" stands for a domain that is not told.
    names = dict(pair(each) if "=" in each else ("", each) for each in domains or [])
    found = []
    for path in sets:
        reader = readers[form or (Format.TABLE if path.suffix == ".csv" else Format.FOLDER)]
        found += [replace(each, domain=names.get(each.domain, each.domain)) for each in reader(path)]
    return found


def _inventory(pictures: list[Picture]) -> Iterator[tuple[str, str]]:
    """What is known of pictures, and of how many."""
    yield "domains", counted(Counter(picture.domain for picture in pictures))
    yield "parts", counted(Counter(picture.split for picture in pictures))
    persons = Counter(picture.person for picture in pictures if picture.person)
    each = f", each with {min(persons.values())} to {max(persons.values())}" if persons else ""
    yield "persons", f"{len(persons):,}{each}"
    points = Counter("no" if picture.points is None else str(len(picture.points)) for picture in pictures)
    yield "points", counted(points)
    yield "rejected", f"{sum(bool(picture.rejected) for picture in pictures):,}"
    yield "missing files", f"{sum(not picture.path.is_file() for picture in pictures):,}"
    yield "attributes", ", ".join(sorted({name for picture in pictures for name in picture.attributes})) or "-"


def _tell_rejected(pictures: list[Picture]) -> None:
    from training.data.report import reasons

    rejected = [picture for picture in pictures if picture.rejected]
    title = f"{len(pictures):,} pictures, {len(rejected):,} rejected"
    show(title, ["reason", "pictures"], reasons(rejected).most_common())


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no number") from None
