"""What each part of SATNet-R is worth: variants of the recipe `satnet_r` on a small tier, all with one budget.

    python -m training.evaluation.ablations INTO --shapes SHAPES.pack --drawings DRAWINGS.pack --packed PACKED \
        --law LAW.pack --artists ARTISTS.pack --classifier ATTRIBUTES

Every variant of a part is a run INTO/NAME of as many images, of one batch, seed and schedule (`BASE`). The painters go
on from the run INTO/begun, which begins from INTO/warp, and are judged joined with that warp. A line of figures for
each goes to standard output and to INTO/ablations.jsonl, the tables follow. The same command goes on where it was
interrupted (docs/ablations.md).
"""

from pathlib import Path
from typing import Annotated

import typer

from training.console import told
from training.data.pack import Pack
from training.evaluation.ablations.bench import Bench
from training.evaluation.ablations.figures import COLUMNS, LINES, add, figures, line, table
from training.evaluation.ablations.runs import Runs, keep_to
from training.evaluation.ablations.variants import ATTRIBUTES, BEGUN, PAINT, VARIANTS, WARP, names

app = typer.Typer(help=__doc__, add_completion=False)


@app.command()
def main(
    into: Annotated[Path, typer.Argument(help="folder of the runs and figures")],
    shapes: Annotated[Path, typer.Option(help="a pack of shapes")],
    drawings: Annotated[Path, typer.Option(help="a pack of drawings")],
    packed: Annotated[Path, typer.Option(help="folder that training.data.portraits wrote")],
    law: Annotated[Path | None, typer.Option(help="shapes by the law alone; without, that variant is left out")] = None,
    artists: Annotated[Path | None, typer.Option(help="the same by the artists' habit alone")] = None,
    classifier: Annotated[Path | None, typer.Option(help="a run of `attributes`; without, that variant too")] = None,
    images: Annotated[int, typer.Option(min=1, help="that each painter goes on with")] = 3_000,
    begun: Annotated[int, typer.Option(min=1, help="that the painter is trained with that they go on from")] = 24_000,
    warped: Annotated[int, typer.Option(min=1, help="that each warp is trained with")] = 30_000,
    people: Annotated[int, typer.Option(min=1, help="set aside, by whom each is judged")] = 100,
    only: Annotated[list[str] | None, typer.Option(help="a variant; may be repeated; by default all")] = None,
) -> None:
    """Train and judge every variant that has no figures yet; then the tables."""
    packs = {"both": shapes, "law": law, "artists": artists}
    told_of = {*Pack(drawings).columns, ""}
    can = {
        each.name
        for each in VARIANTS
        if packs[each.taught] and each.told in told_of and (classifier or each.name != ATTRIBUTES)
    }
    chosen = [each for each in VARIANTS if each.name in can & set(only or names())]
    if unknown := set(only or ()) - {each.name for each in chosen}:
        raise typer.BadParameter(f"--only: no variant {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    with told():
        keep_to(into, {"images": images, "begun": begun, "warped": warped, "people": people})
        budgets = {PAINT: images, BEGUN: begun, WARP: warped}
        runs = Runs(into, {name: pack for name, pack in packs.items() if pack}, drawings, budgets, classifier)
        bench, lines = Bench(packed, drawings, people), into / LINES
        for variant in chosen:
            if variant.name in (known := figures(lines)):
                found = known[variant.name]
            else:
                found = bench.judged(variant, runs.trained(variant))
                add(lines, variant, found)
            typer.echo(line(variant, found))
        known = figures(lines)
        for part, columns in COLUMNS.items():
            typer.echo("\n" + table([each for each in VARIANTS if each.part == part], known, columns))


if __name__ == "__main__":
    app()
