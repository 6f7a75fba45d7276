"""The commands of `likeness` that make models. What they need is loaded when one is called: `likeness serve` is too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.console import INTERRUPTED, pair
from training.console import told as _told
from training.data.cli import app as data
from training.evaluation.cli import MODEL
from training.evaluation.cli import app as evaluation

app = typer.Typer()
app.add_typer(data, name="data")
app.add_typer(evaluation, name="eval")

RUNS = Path("runs")

RecipeName = Annotated[str, typer.Argument(help="name of a file of training/recipes", metavar="RECIPE")]
Folder = Annotated[Path, typer.Argument(help="a run's folder")]


@app.command()
def train(
    recipe: RecipeName,
    data: Annotated[Path, typer.Option(help="what the recipe learns from", exists=True)],
    into: Annotated[Path | None, typer.Option(help="the run's folder; by default runs/RECIPE")] = None,
    config: Annotated[
        Path | None, typer.Option(help="settings in YAML: the recipe's, or a file of the system's authors", exists=True)
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value; may be repeated; wins over --config")
    ] = None,
    begin_from: Annotated[Path | None, typer.Option(help="a run whose networks a new run begins with")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="make one step, say what it was, keep nothing")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    precision: Annotated[str, typer.Option(help="32-true or bf16-mixed")] = "32-true",
    workers: Annotated[int, typer.Option(min=0, help="processes that read examples")] = 0,
) -> None:
    """Train a recipe, or go on: the same command resumes where it was interrupted. Ctrl-C saves; twice, it does not."""
    with _told():
        from training.engine.session import Session, translate

        written, ignored = translate(recipe, config) if config else ({}, ())
        if ignored:
            typer.secho(f"{config}: {', '.join(ignored)}: say nothing here", fg="yellow", err=True)
        chosen = written | dict(pair(each) for each in settings or [])
        session = Session(recipe, chosen, into or RUNS / recipe, device=device, precision=precision)
        if session.first and session.advice:
            typer.secho(session.advice, fg="yellow", err=True)
        if dry_run:
            words = session.rehearse(data, begin_from=begin_from)
            if session.first:
                typer.echo(words)
            return
        if not session.train(data, begin_from=begin_from, workers=workers):
            raise typer.Exit(INTERRUPTED)


@app.command()
def curves(
    runs: Annotated[list[Path], typer.Argument(help="folders of runs; several share the panels")],
    into: Annotated[Path, typer.Option(help="the picture: .png, .svg or .pdf")],
) -> None:
    """Draw the figures of runs: every loss, every measurement, against the images seen."""
    with _told():
        from training.curves import draw, read

        draw({run.name: read(run) for run in runs}, into)


@app.command("export")
def export_(
    run: Folder,
    to: Annotated[Path, typer.Option(help="models/NAME/VERSION")],
    data: Annotated[
        Path | None,
        typer.Option(help="what thresholds, and what shortened weights change, are measured on", exists=True),
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="of the weights: float32, float16 or int8", show_default=False)
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, of those that a run may change; may be repeated")
    ] = None,
) -> None:
    """Export the averages of a run with their contract; refused unless ONNX Runtime agrees with them."""
    with _told():
        from training.engine.session import publish_run

        typer.echo(publish_run(run, to, data, precision, dict(map(pair, settings or []))))


@app.command("import")
def import_(
    recipe: RecipeName,
    files: Annotated[
        list[Path],
        typer.Argument(
            help="what the system's authors saved with torch, or a published model.onnx", exists=True, metavar="FILE..."
        ),
    ],
    into: Annotated[Path, typer.Option(help="the run's folder")],
) -> None:
    """Begin a run with checkpoints of others or a published model, to export it or to begin from it.

    Only tensors are read of them.
    """
    with _told():
        from training.engine.session import import_run

        typer.echo(import_run(recipe, files, into))


@evaluation.command(MODEL)
def eval_(
    model: Annotated[Path, typer.Argument(help="models/NAME/VERSION")],
    data: Annotated[Path, typer.Option(help="photos: a folder, a table (CSV) or a pack", exists=True)],
    against: Annotated[
        Path | None, typer.Option(help="drawings to compare with, or their statistics (.npz); by default the pack's")
    ] = None,
    features: Annotated[
        list[str] | None, typer.Option(help="dlib, an encoder's folder or Inception-v3's weights; may be repeated")
    ] = None,
    attributes: Annotated[
        Path | None, typer.Option(help="a run of `attributes`, asked what drawings keep of photos with labels")
    ] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="control=value; may be repeated")] = None,
    count: Annotated[int, typer.Option(min=0, help="pictures of each kind at most; 0: all")] = 0,
    into: Annotated[Path, typer.Option(help="the folder of the report")] = RUNS / "eval",
) -> None:
    """Measure a published model on pictures; the word `model` may be left out.

    A table, a page with pictures, and a line of JSON on standard output.
    """
    with _told():
        from rich.console import Console

        from training.evaluation import report
        from training.evaluation.evaluate import DLIB, evaluate
        from training.page import written

        request = {name: _value(text) for name, text in map(pair, settings or [])}
        judges = features or [DLIB]
        found = evaluate(model, data, against, features=judges, attributes=attributes, request=request, count=count)
        page = into / f"{found.name.replace('/', '-')}.html"
        written(report.page(found), page)
        console = Console(stderr=True)
        console.print(report.table(found))
        console.print(str(page), style="bold", highlight=False, markup=False)
        typer.echo(report.line(found))


def _value(text: str) -> float | str:
    """Of a control: a number, or a style's name."""
    try:
        return float(text)
    except ValueError:
        return text
